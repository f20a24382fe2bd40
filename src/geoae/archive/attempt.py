"""Restore one scene of an archive, in this process or on a worker, and say what came of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from geoae.archive.triage import DONE, Outcome
from geoae.catalog.sources import SceneRef
from geoae.errors import BusyError, GeoaeError
from geoae.pipeline.distributed import load_same
from geoae.pipeline.fingerprint import is_geoae_output
from geoae.pipeline.job import Job, ModelSpec, target_of
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.run import run
from geoae.raster.target import make_folder
from geoae.system.files import is_local

__all__ = ["Attempt", "Restore", "allow_output", "attempt", "restore_scene"]

# Seconds before the first and, at most, before a later try after an error that may pass.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0

Restore = Callable[[Job], Outcome]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of restoring a scene. It can be sent from worker to client."""

    found: SceneRef
    """The scene."""
    outcome: Outcome
    """Its outcome."""
    stamp: str
    """Its ``stamp`` before the work began."""
    error: GeoaeError | None = None
    """Why it failed or was left to another run; None where its output is there."""


def attempt(restore: Restore, found: SceneRef, job: Job) -> Attempt:
    """Restore one scene. No error of it leaves this function.

    Args:
        restore: restores one scene. What it raises is the reason why the scene failed.
        found: the scene.
        job: its job.

    """
    stamp, began, clock = found.stamp, time.time(), time.monotonic()
    error: GeoaeError | None = None
    try:
        outcome = restore(job)
    except BusyError as busy:  # no failure: the next run sees whether the other one has finished
        outcome = Outcome(found.source, str(job.target), "skipped", "another run is restoring it")
        error = _without_cause(busy)
    except Exception as failure:  # one scene's error, of any kind, must not stop the others
        error = _without_cause(failure)
        outcome = Outcome(found.source, str(job.target), "failed", str(error))
    took = time.monotonic() - clock
    return Attempt(found, replace(outcome, began=began, seconds=took), stamp, error)


def restore_scene(job: Job, *, options: Recipe, digest: str, retries: int) -> Outcome:
    """Restore one scene, and replace an older output of geoae.

    The model is loaded once for a process.

    Args:
        job: the job.
        options: its resolved options.
        digest: digest of its model where the archive was looked through.
        retries: how often to try again after an error that may pass.

    Returns:
        Its outcome, "restored" or "skipped".

    Raises:
        GeoaeError: the scene was not restored.

    """
    restorer = load_same(ModelSpec.of(job, options), digest)
    tries = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, GeoaeError) and error.transient),
        stop=stop_after_attempt(retries + 1),
        wait=wait_exponential_jitter(FIRST_WAIT, LONGEST_WAIT),
        reraise=True,
    )
    report = tries(run, allow_output(job), options=options, restorer=restorer)
    return Outcome(
        report.source,
        report.target,
        report.status,
        DONE if report.status == "skipped" else "",
        megapixels=report.megapixels_per_second * report.seconds,
        warnings=tuple(report.warnings),
    )


def allow_output(job: Job) -> Job:
    """Make the folder of an output, and let the output replace an older one of geoae.

    Args:
        job: the job.

    Returns:
        The job, which may overwrite an output of geoae. Another file is left alone, unless the job
        says ``overwrite``.

    Raises:
        OutputError: the folder cannot be made.

    """
    target = target_of(job)
    if is_local(target):
        make_folder(Path(target).parent)
    return job.model_copy(update={"overwrite": True}) if is_geoae_output(target) else job


def _without_cause(error: Exception) -> GeoaeError:
    """Return an error in words alone: GDAL's errors, its causes, cannot be sent to the client."""
    said = str(error) or type(error).__name__
    return type(error)(said) if isinstance(error, GeoaeError) else GeoaeError(said)
