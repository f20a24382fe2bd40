"""Subcommands that look at a scene and change nothing in it."""

import re
from pathlib import Path
from typing import Any

import click

from geoae.cli.options import with_options
from geoae.cli.process import silence_libraries

__all__ = ["diagnose", "inspect", "preview"]

# ``--html`` without a path.
BESIDE = "SCENE_diagnosis.html"
# Sides of a picture in pixels: the least that shows anything, and the most that memory holds.
SIDES = click.IntRange(32, 8192)


@click.command()
@click.argument("source", metavar="INPUT")
@with_options
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def inspect(as_json: bool, **options: Any) -> None:
    """Say what a scene is, its noise, and how it would be restored."""
    from geoae.cli.tables import show_inspection
    from geoae.pipeline.inspection import inspect as look
    from geoae.pipeline.job import Job

    silence_libraries()
    show_inspection(look(Job.checked(**options)), as_json)


@click.command()
@click.argument("source", metavar="SCENE")
@click.option("--bands", metavar="1-3,7", help="Bands to look at; by default all measurements.")
@click.option(
    "--nodata",
    metavar="VALUE",
    help="Value of pixels without a measurement that the file does not declare.",
)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.option(
    "--html",
    "page",
    is_flag=False,
    flag_value=BESIDE,
    metavar="[PATH.html]",
    help=f"Write a page too; without a path {BESIDE} in the current folder.",
)
def diagnose(as_json: bool, page: str | None, **options: Any) -> None:
    """Find what a scene carries besides its signal: lost lines, stripes, noise, blur and more."""
    from geoae.cli.console import say
    from geoae.cli.tables import show_diagnosis
    from geoae.pipeline.diagnose import diagnose as look
    from geoae.pipeline.job import Job

    silence_libraries()
    found = look(Job.checked(**options))
    show_diagnosis(found, as_json)
    if page:
        path = Path(f"{Path(found.source).stem}_diagnosis.html" if page == BESIDE else page)
        found.write_page(path)
        if not as_json:
            say(f"{path}: the same as a page")


@click.command()
@click.argument("source", metavar="SCENE")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="OUT.png|OUT.jpg|OUT.tif",
    help="A picture, or a visual COG of all pixels in 8 bits; by default SCENE_preview.png in the"
    " current folder.",
)
@click.option(
    "--bands",
    metavar="4,3,2",
    help="Bands for red, green and blue, or one for grey; by default those of these names or"
    " colours, else the first three.",
)
@click.option("--size", type=SIDES, metavar="N", help="Largest side of the picture; 1024.")
@click.option(
    "--compare",
    metavar="RESTORED",
    help="Show the middle of scene and output, and three times their difference.",
)
@click.option(
    "--nodata",
    metavar="VALUE",
    help="Value of pixels without a measurement that the file does not declare.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def preview(
    source: str,
    target: str | None,
    bands: str | None,
    size: int | None,
    compare: str | None,
    nodata: str | None,
    overwrite: bool,
) -> None:
    """Draw a scene, stretched for display: a picture, or a visual COG."""
    from geoae.audit.preview import preview as draw
    from geoae.cli.console import say, warn
    from geoae.pipeline.job import Job
    from geoae.system.files import file_name

    silence_libraries()
    job = Job.checked(source=source, bands=bands, nodata=nodata)
    name = re.sub(r"[^\w.-]+", "_", Path(file_name(source)).stem) or "scene"
    path = Path(target or f"{name}_preview.png")
    shown = draw(
        source,
        path,
        bands=None if job.bands is None else tuple(job.bands),
        nodata=job.nodata,
        size=size,
        restored=compare,
        overwrite=overwrite,
    )
    if shown.is_empty:
        warn(f"{path}: nothing to show, since none of its pixels is valid in {source}")
    colours = "red, green and blue" if len(shown.bands) == 3 else "grey"
    many = "bands" if len(shown.bands) == 3 else "band"
    say(f"{path}: {many} {', '.join(map(str, shown.bands))} as {colours}")
