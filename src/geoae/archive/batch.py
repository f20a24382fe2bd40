"""Restore many scenes, one after the other."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from geoae.archive.failures import Failures
from geoae.archive.triage import Outcome, Status
from geoae.catalog.sources import SceneRef
from geoae.errors import BusyError, GeoaeError, InputError, RecipeError, RejectedError
from geoae.pipeline.job import Job, is_folder, target_of

__all__ = ["jobs_of", "restore_each", "restore_jobs"]

# Seconds until a scene that repeatedly could not be read is tried again.
PUT_OFF = 6 * 3600.0


def restore_each(
    todo: Iterable[tuple[SceneRef, Job]],
    failures: Failures,
    options_digest: str,
    restore: Callable[[Job], Status],
    on_outcome: Callable[[SceneRef, Outcome], None] = lambda found, outcome: None,
) -> list[Outcome]:
    """Restore scenes one after the other. One that fails does not stop the others.

    Args:
        todo: scenes and their jobs.
        failures: record of the scenes that cannot be restored.
        options_digest: digest of model and options, under which failures are recorded.
        restore: restores one scene and returns "restored" or "skipped". What it raises is the
            reason why the scene failed.
        on_outcome: called after each scene.

    Returns:
        The outcome of each scene, in the order of ``todo``.

    """
    outcomes = []
    for found, job in todo:
        began = time.monotonic()
        status, reason = _attempt(found, job, failures, options_digest, restore)
        seconds = time.monotonic() - began
        outcomes.append(Outcome(found.source, str(job.target), status, reason, seconds))
        on_outcome(found, outcomes[-1])
    return outcomes


def jobs_of(sources: Sequence[str], target: str | None, **options: Any) -> list[Job]:
    """Describe the restoration of several scenes with the same options.

    Args:
        sources: the scenes.
        target: folder of their outputs; None puts each beside its scene.
        **options: other fields of ``Job``.

    Returns:
        One job for each scene, in their order.

    Raises:
        RecipeError: an option is wrong, the target is no folder, two scenes have one output, or an
                output is one of the scenes.

    """
    if target and not is_folder(target):
        raise RecipeError(
            f"{target}: is one file for {len(sources)} scenes; name a folder with -o, like"
            f" {target}/"
        )
    jobs = [Job.checked(source=source, target=target, **options) for source in sources]
    owners: dict[str, str] = {}
    inputs = {os.path.realpath(source) for source in sources}
    for job in jobs:
        output = target_of(job)
        place = os.path.realpath(output)
        if place in owners:
            raise RecipeError(
                f"{owners[place]} and {job.source}: would both be written to {output}; restore"
                " each by itself"
            )
        if place in inputs:
            raise RecipeError(
                f"{output}: is the output of {job.source} and a scene itself; leave it out"
            )
        owners[place] = job.source
    return jobs


def restore_jobs(
    jobs: Sequence[Job], restore: Callable[[Job], object], on_error: Callable[[Exception], None]
) -> None:
    """Restore scenes one after the other. One that fails does not stop the others.

    Args:
        jobs: the scenes.
        restore: restores one scene.
        on_error: called with the error of each scene that failed.

    Raises:
        GeoaeError: some scenes have failed.

    """
    failed = 0
    for job in jobs:
        try:
            restore(job)
        except Exception as error:  # one scene's error, of any kind, must not stop the others
            failed += 1
            on_error(error)
    if failed:
        raise GeoaeError(f"{failed} of {len(jobs)} scenes failed, for the reasons above")


def _attempt(
    found: SceneRef,
    job: Job,
    failures: Failures,
    options_digest: str,
    restore: Callable[[Job], Status],
) -> tuple[Status, str]:
    """Restore one scene and return its status and the reason."""
    try:
        status = restore(job)
    except BusyError:  # no failure: the next run sees whether the other one has finished
        return "skipped", "another run is restoring it"
    except Exception as error:  # one scene's error, of any kind, must not stop the others
        if isinstance(error, InputError | RejectedError):
            _note_failure(found, failures, options_digest, error)
        return "failed", str(error) or type(error).__name__
    failures.forget(found)
    return status, ""


def _note_failure(
    found: SceneRef, failures: Failures, options_digest: str, error: GeoaeError
) -> None:
    """Note that a scene cannot be restored, for good where a change of it would be seen."""
    # What cannot be seen to change, a remote scene or what a VRT refers to, is tried again in time.
    seen = found.stamp and not found.source.lower().endswith(".vrt")
    for_good = seen and not error.transient
    failures.note(found, options_digest, str(error), seconds=None if for_good else PUT_OFF)
