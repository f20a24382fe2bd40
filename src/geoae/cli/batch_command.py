"""The command ``geoae batch``."""

from typing import Any

import click

from geoae.cli.options import with_options, with_output_options
from geoae.cli.process import silence_libraries

__all__ = ["batch"]


@click.command()
@click.argument("source", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "-o", "--output", "target", metavar="DIR", required=True, help="Folder of the outputs."
)
@click.option(
    "--scheduler",
    metavar="local|tcp://HOST:PORT|FILE.json",
    help="Dask workers: those that local starts, or those of a cluster; by default none.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that --scheduler local starts; by default one a GPU, or one a core.",
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=2,
    show_default=True,
    metavar="N",
    help="Further tries of a scene after an error that may pass.",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Restore at most so many scenes."
)
@click.option(
    "--order",
    type=click.Choice(["name", "newest", "oldest", "smallest"]),
    default="name",
    show_default=True,
    help="Which scenes come first.",
)
@with_options
@with_output_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and restore nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print all outcomes as JSON, no table.")
def batch(
    source: tuple[str, ...],
    target: str,
    scheduler: str | None,
    workers: int | None,
    retries: int,
    limit: int | None,
    order: Any,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Restore the scenes of an archive that are not done.

    SOURCE: a scene, a folder, a glob, a text file that lists scenes, or a STAC catalogue. Outputs
    mirror the folders of the sources. The same command goes on where it stopped.
    """
    from geoae.archive.batch import BatchOptions, restore_archive
    from geoae.archive.workers import use_workers
    from geoae.cli.batch_display import show_batch, show_progress
    from geoae.cli.console import warn

    silence_libraries()
    chosen = BatchOptions(order, limit, retries, dry_run)
    with (
        use_workers(None if dry_run else scheduler, workers, options["device"], warn),
        show_progress() as on_progress,
    ):
        report = restore_archive(source, target, chosen, options, on_progress)
    show_batch(report, as_json)
    report.require()
