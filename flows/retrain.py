"""A flow that trains a newer model from recent scenes: ``retrain``."""

import logging
import os
import shutil
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.runtime import flow_run

from flows.notifications import on_end
from flows.parameters import INBOX
from flows.process import remember_process
from flows.tasks import STEP
from geoae.catalog.sources import scenes, scenes_below
from geoae.evaluation.measure import evaluate
from geoae.evaluation.verdict import judge
from geoae.models.folder import CURRENT, current_model, promote
from geoae.training.adapt import STEPS, Adapted, adapt
from geoae.training.config import TrainConfig
from geoae.training.fit import Hardware
from geoae.training.fit import train as fit
from geoae.training.renewal import link_training_scenes, retraining_config, training_config

__all__ = ["retrain"]

# Folder of one's own models, and folder of the scenes that they are measured on.
MODELS = os.environ.get("GEOAE_MODELS", "models-own")
FIXED = os.environ.get("GEOAE_FIXED", "fixed")
TIMEOUT = 24 * 3600.0


@flow(
    name="retrain",
    flow_run_name="retrain {config}",
    log_prints=True,
    persist_result=False,
    **on_end(),
)
def retrain(
    source: str = INBOX,
    fixed: str = FIXED,
    models: str = MODELS,
    *,
    config: str = "res-cae",
    days: float = 30.0,
    steps: int | None = None,
    sigmas: list[float] = [15.0, 25.0, 50.0],  # noqa: B006
    least_gain: float = 0.05,
    accelerator: str = "auto",
    timeout: float = TIMEOUT,
) -> dict[str, Any]:
    """Train on recent scenes, measure against the model in use, and put the new one in place if it
    is better.

    The link `current` in the folder of models names the one in use; the one before stays beside it.
    A run that was killed goes on from its last checkpoint when it is retried.

    Args:
        source: folder, glob, or STAC collection of scenes.
        fixed: folder of clean scenes that models are measured on; none of them is trained on. Empty
            where there are none: then the model is adapted to the noisy scenes themselves, and a
            part of them is held out to judge it by, whatever config, sigmas and least_gain say.
        models: folder of models.
        config: shipped model's name, or path of a training config.
        days: train on scenes of so many days.
        steps: training steps; by default as the config says.
        sigmas: noise to measure under, in 255ths of a band's span.
        least_gain: mean gain in dB that a new model must show.
        accelerator: auto, cpu or gpu.
        timeout: seconds after which training is given up.

    """
    remember_process()
    base = training_config(config)
    current = current_model(Path(models), base.name)
    work = Path(models) / f".training-{flow_run.id}"
    work.mkdir(parents=True, exist_ok=True)
    recent = scenes(source, since=timedelta(days=days))
    if not fixed:
        found = adapt_current.with_options(timeout_seconds=timeout)(
            [one.source for one in recent], current, str(work / base.name), steps
        )
        verdict = {"better": found.card is not None, "gain": found.gain.decibel}
        return _end(verdict | {"reason": str(found.gain)}, work, work / base.name, models)
    folder = link_training_scenes(recent, Path(fixed), work / "scenes")
    settings = retraining_config(base, base.name, current, folder, steps)
    train.with_options(timeout_seconds=timeout)(settings, str(work), accelerator)
    verdict = measure(str(work / "model"), current, fixed, sigmas, least_gain)
    return _end(verdict, work, work / "model", models)


def _end(verdict: dict[str, Any], work: Path, new: Path, models: str) -> dict[str, Any]:
    """Say the verdict, put a better model in place, and remove what the run needed."""
    get_run_logger().info(
        "%s: %s", "better" if verdict["better"] else "not better", verdict["reason"]
    )
    if verdict["better"]:
        put_in_place(str(new), models)
    shutil.rmtree(work)
    return verdict


@task(**STEP)
def adapt_current(sources: list[str], current: str, new: str, steps: int | None) -> Adapted:
    """Adapt the model in use to the noisy scenes themselves, as nothing clean is there."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    return adapt(sources, current, Path(new), steps=STEPS if steps is None else steps)


@task(**STEP)
def train(settings: TrainConfig, work: str, accelerator: str) -> None:
    """Train, going on where an interrupted run was."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    fit(
        settings,
        Path(work) / "scenes",
        Path(work) / "run",
        Path(work) / "model",
        Hardware(accelerator),
    )


@task(**STEP)
def measure(
    new: str, current: str, fixed: str, sigmas: list[float], least_gain: float
) -> dict[str, Any]:
    """Both models, blind, on the fixed set; the verdict, and a table of all figures."""
    rows = evaluate([current, new], scenes_below([Path(fixed)]), sigmas)
    figures = ("scene", "sigma", "contender", "psnr", "ssim", "bias", "megapixels")
    table = [
        {
            name: round(value, 4) if isinstance(value := getattr(row, name), float) else value
            for name in figures
        }
        for row in rows
    ]
    verdict = judge(rows, new, current, least_gain)
    create_table_artifact(
        table,
        key="geoae-retrain",
        description=f"{'better' if verdict.better else 'not better'}: {verdict.reason}",
    )
    return asdict(verdict)


@task(**STEP)
def put_in_place(new: str, models: str) -> None:
    """Let ``current`` name the new model; the one before stays."""
    folder = promote(Path(new), Path(models))
    get_run_logger().info(
        "%s is %s now; name it as model to restore with it", Path(models) / CURRENT, folder.name
    )
