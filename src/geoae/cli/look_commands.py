"""Subcommands that look at a scene and write nothing beside it unless they are asked to."""

from pathlib import Path
from typing import Any

import click

from geoae.cli.options import with_options
from geoae.cli.process import silence_libraries

__all__ = ["diagnose", "inspect"]

# ``--html`` without a path.
BESIDE = "SCENE_diagnosis.html"


@click.command()
@click.argument("source", metavar="INPUT")
@with_options
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def inspect(as_json: bool, **options: Any) -> None:
    """Say what a scene is, its noise, and how it would be restored."""
    from geoae.cli.console import show_inspection
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
    from geoae.cli.console import say, show_diagnosis
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
