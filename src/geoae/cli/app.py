"""The subcommands of ``geoae``: they turn words into calls, and hold no logic."""

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoae.cli.batch_command import batch
from geoae.cli.look_commands import diagnose, inspect, preview
from geoae.cli.model_commands import adapt, demo, evaluate, train
from geoae.cli.options import DEVICE, PRECISION, with_options, with_output_options
from geoae.cli.process import silence_libraries
from geoae.cli.service.commands import deploy, server, worker
from geoae.errors import OutputError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from geoae.pipeline.job import Job

__all__ = ["cli"]

STANDARD_OUTPUT = Path("-")


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(package_name="geoae")
@click.pass_context
def cli(context: click.Context) -> None:
    """Restore noisy satellite scenes: a GeoTIFF in, a GeoTIFF out, nothing else changed."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@click.argument("source", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    "target",
    metavar="OUTPUT",
    help="A file, or a folder; by default INPUT's name with _restored.tif, beside it.",
)
@with_options
@with_output_options
@click.option(
    "--report",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="PATH.json",
    help="Write all figures; - writes them to standard output, in place of the summary.",
)
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
def restore(
    source: tuple[str, ...],
    target: str | None,
    report: Path | None,
    quiet: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Restore scenes, one after the other."""
    from geoae.pipeline.job import Job

    silence_libraries()
    if (target or "").startswith("/vsimem/"):
        raise OutputError(
            f"{target}: is memory of this process, which ends with it; name a file with -o"
        )
    restore_one = _try_one if dry_run else partial(_restore_one, report=report, quiet=quiet)
    if len(source) == 1:
        restore_one(Job.checked(source=source[0], target=target, **options))
        return
    if report and report != STANDARD_OUTPUT:
        raise OutputError(
            f"{report}: is one report for {len(source)} scenes; give --report - or one scene"
        )
    # Not loaded for one scene.
    from geoae.archive.batch import jobs_of, restore_jobs
    from geoae.cli.console import show_error

    jobs = jobs_of(source, target, **options)
    restore_jobs(jobs, restore_one, show_error)


def _restore_one(job: "Job", report: Path | None, quiet: bool) -> None:
    from geoae.cli.console import progress, summary, warn
    from geoae.pipeline.job import target_of
    from geoae.pipeline.run import run

    if report:
        _refuse_report(report, job.source, target_of(job))
    with progress(quiet) as on_progress:
        result = run(job, on_progress, warn)
    _write_report(report, result)
    if not quiet and report != STANDARD_OUTPUT:
        summary(result)


def _try_one(job: "Job") -> None:
    """Say what restoring would do."""
    from geoae.cli.console import say, say_copied, warn
    from geoae.pipeline.preparation.prepare import prepare

    prepared = prepare(job)
    for warning in prepared.warnings:
        warn(warning)
    say_copied(prepared.scene.copied)
    for step in [*prepared.missed, *(prepared.steps or ["no pixel would change"])]:
        say(step)
    say(f"{prepared.target}: not written, since this is a dry run")


def _refuse_report(report: Path, source: str, target: str | None) -> None:
    """Raise ``OutputError`` where a report cannot be written, or would replace input or output."""
    if report == STANDARD_OUTPUT:
        return
    if report.is_dir():
        raise OutputError(f"{report}: is a folder; give --report a file, like report.json")
    if not report.parent.is_dir():
        raise OutputError(
            f"{report.parent}: no such folder; make it, or give --report another path"
        )
    for scene in (source, target):
        if scene and (
            report == Path(scene)
            or (report.exists() and Path(scene).exists() and report.samefile(scene))
        ):
            raise OutputError(f"{report}: is a scene itself; give --report another path")


def _write_report(path: Path | None, report: "BaseModel") -> None:
    try:
        if path == STANDARD_OUTPUT:
            click.echo(report.model_dump_json(indent=2))
        elif path:
            path.write_text(report.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); give --report another path"
        ) from error


@cli.command()
def models() -> None:
    """List the shipped models."""
    from geoae.cli.tables import show_models
    from geoae.models.card import shipped_models

    show_models(shipped_models())


@cli.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--scene", metavar="FILE", help="A raster, whose middle is used; by default a synthetic scene."
)
@click.option(
    "--nodata", metavar="VALUE", help="Value of the scene's pixels without a measurement."
)
@DEVICE
@PRECISION
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH.json",
    help="Write all figures.",
)
@click.option(
    "--into-card",
    is_flag=True,
    help="Write the figures into the model's card, if every check passed.",
)
def verify(
    model: str,
    scene: str | None,
    nodata: str | None,
    device: str,
    precision: str,
    report: Path | None,
    into_card: bool,
) -> None:
    """Measure what geoae promises, with MODEL on this machine; exit 1 if a promise is not kept.

    MODEL: a shipped model's name, a model folder, or identity.
    """
    from geoae.cli.console import say
    from geoae.cli.tables import show_verification
    from geoae.pipeline.job import Job
    from geoae.verification.run import into_card as write_card
    from geoae.verification.run import verify as run

    if report:
        _refuse_report(report, scene or "", None)
    fill = Job.checked(source=scene or "", nodata=nodata).nodata
    found = run(model, scene, device=device, precision=precision, nodata=fill)
    show_verification(found)
    _write_report(report, found)
    found.require()
    if into_card:
        say(f"{write_card(model, found)}: has the figures now")


class _Degrade(click.Command):
    """The command that lists the kinds of damage in its help."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from geoae.simulation import DEGRADATIONS  # not loaded where no help is asked for

        words = {
            kind: re.split(r"[:.]", str(made.__doc__))[0] for kind, made in DEGRADATIONS.items()
        }
        with formatter.section("Kinds in CONFIG.toml"):
            formatter.write_dl([(kind, " ".join(text.split())) for kind, text in words.items()])


@cli.command(cls=_Degrade)
@click.argument("source", metavar="SCENE")
@click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path), required=True, metavar="NOISY"
)
@click.option(
    "--nodata", metavar="VALUE", help="As of restore: pixels of this value stay as they are."
)
@click.option("--overwrite", is_flag=True, help="Replace an output that is there.")
def degrade(source: str, config: Path, target: Path, nodata: str | None, overwrite: bool) -> None:
    """Do known damage to a scene, to measure a restoration by."""
    from geoae.cli.console import say
    from geoae.pipeline.job import Job
    from geoae.simulation.degrade import DegradeConfig
    from geoae.simulation.degrade import degrade as run

    silence_libraries()
    settings = DegradeConfig.read(config)
    run(
        source,
        settings,
        target,
        overwrite=overwrite,
        nodata=Job.checked(source=source, nodata=nodata).nodata,
    )
    say(f"{target}: {source} after {', '.join(step.kind for step in settings.degradations)}")


MODELS = (train, adapt, evaluate, demo)
for command in (batch, inspect, diagnose, preview, *MODELS, deploy, worker, server):
    cli.add_command(command)
