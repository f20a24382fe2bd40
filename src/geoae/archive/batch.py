"""Restore many scenes: those that are left of an archive, or those that are named."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from geoae.archive.attempt import Attempt, Restore, restore_scene
from geoae.archive.executors import Execute, in_process, on_cluster
from geoae.archive.failures import Failures
from geoae.archive.report import BatchProgress, BatchReport
from geoae.archive.triage import Outcome, Triage, triage
from geoae.catalog.sources import SORT_KEYS, SceneRef, SortKey, scenes, sort_scenes
from geoae.errors import GeoaeError, InputError, RecipeError, RejectedError
from geoae.pipeline.distributed import active_client, name_for_workers
from geoae.pipeline.job import Job, is_folder, target_of
from geoae.raster.target import make_folder
from geoae.system.files import is_local, to_gdal_name

__all__ = [
    "BatchOptions",
    "jobs_of",
    "restore_archive",
    "restore_each",
    "restore_jobs",
]

# Seconds until a scene that repeatedly could not be read is tried again.
PUT_OFF = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How an archive is restored; raises ``RecipeError`` where a field is wrong."""

    order: SortKey = "name"
    """Which scenes come first: name, newest, oldest or smallest."""
    limit: int | None = None
    """Most scenes to restore; None for all."""
    retries: int = 2
    """How often a scene is tried again after an error that may pass."""
    dry_run: bool = False
    """Whether only to say what would be done."""

    def __post_init__(self) -> None:
        if self.order not in SORT_KEYS:
            raise RecipeError(f"order: {self.order!r} is none of {', '.join(SORT_KEYS)}")
        if self.limit is not None and self.limit < 1:
            raise RecipeError(f"limit: {self.limit} restores nothing; give 1 or more, or leave it")
        if self.retries < 0:
            raise RecipeError(f"retries: {self.retries} is below 0; give 0 for a single try")


def restore_archive(
    sources: str | Sequence[str],
    target: str,
    chosen: BatchOptions,
    options: dict[str, Any],
    on_progress: Callable[[BatchProgress], None] = lambda progress: None,
    restore: Restore | None = None,
) -> BatchReport:
    """Restore the scenes of an archive that are not done.

    If a Dask client is active, its workers restore a scene each; a scene that is alone is spread
    over them. Otherwise this process restores one after the other.

    Args:
        sources: what ``geoae.catalog.sources.scenes`` takes.
        target: folder of the outputs, which mirror the folders of the sources.
        chosen: how the archive is restored.
        options: fields of ``Job``, the same for all scenes.
        on_progress: called after each scene that was tried.
        restore: restores one scene; by default ``restore_scene``.

    Returns:
        The outcome of each scene.

    Raises:
        GeoaeError: there is no scene, the model or an option cannot be used, or the cluster was
            lost. A scene that fails raises nothing.

    """
    began, target = time.monotonic(), to_gdal_name(target)
    found = sort_scenes(scenes(sources, beside=target), chosen.order, None)
    if not found:
        named = sources if isinstance(sources, str) else ", ".join(sources)
        raise InputError(f"{named or 'nothing'}: holds no scene; give scenes, folders or globs")
    failures = Failures.below(target)
    left = triage(found, target, options, failures)
    outcomes, total = left.outcomes, len(left.todo[: chosen.limit])
    if chosen.dry_run:
        planned = left.jobs(chosen.limit)
        outcomes += [Outcome(one.source, str(job.target), "planned") for one, job in planned]
    elif total:
        if is_local(target):
            make_folder(Path(target))
        tell = _Teller(total, left, on_progress)
        client = active_client()
        execute = in_process if client is None or total == 1 else partial(on_cluster, client)
        restore = restore or partial(
            restore_scene,
            options=name_for_workers(left.options),
            digest=left.model_digest,
            retries=chosen.retries,
        )
        with left.cache:
            todo = left.jobs(chosen.limit)
            outcomes += restore_each(
                todo, failures, left.options_digest, restore, tell, execute=execute
            )
    return BatchReport(
        outcomes=outcomes, seconds=time.monotonic() - began, workers=max(_count_workers(), 1)
    )


def restore_each(
    todo: Iterable[tuple[SceneRef, Job]],
    failures: Failures,
    options_digest: str,
    restore: Restore,
    on_attempt: Callable[[Attempt], None] = lambda done: None,
    execute: Execute = in_process,
) -> list[Outcome]:
    """Restore scenes. One that fails does not stop the others.

    Args:
        todo: scenes and their jobs, which are taken one by one.
        failures: record of the scenes that cannot be restored.
        options_digest: digest of model and options, under which failures are recorded.
        restore: restores one scene and returns its outcome. What it raises is the reason why the
            scene failed.
        on_attempt: called after each scene.
        execute: where the scenes are restored.

    Returns:
        The outcome of each scene, in the order in which they ended.

    """
    outcomes = []
    with closing(execute(restore, todo)) as attempts:
        for done in attempts:
            if isinstance(done.error, InputError | RejectedError):
                _note_failure(done.found, failures, options_digest, done.error)
            elif done.error is None:
                failures.forget(done.found)
            outcomes.append(done.outcome)
            on_attempt(done)
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


class _Teller:
    """Counts what has ended, says so, and remembers what is done."""

    def __init__(
        self, total: int, left: Triage, on_progress: Callable[[BatchProgress], None]
    ) -> None:
        self._total, self._cache, self._on_progress = total, left.cache, on_progress
        self._done = self._failed = 0
        self._megapixels = 0.0

    def __call__(self, ended: Attempt) -> None:
        if ended.error is None:
            self._cache.add(ended.found, ended.stamp, new=True)
        self._done += 1
        self._failed += ended.outcome.status == "failed"
        self._megapixels += ended.outcome.megapixels
        figures = (self._done, self._total, self._failed, self._megapixels)
        self._on_progress(BatchProgress(ended.outcome, *figures, max(_count_workers(), 1)))


def _count_workers() -> int:
    """Count the workers of the active cluster; 0 where there is none, or it does not answer."""
    client = active_client()
    with suppress(OSError):
        return 0 if client is None else len(client.nthreads())
    return 0


def _note_failure(
    found: SceneRef, failures: Failures, options_digest: str, error: GeoaeError
) -> None:
    """Note that a scene cannot be restored, for good where a change of it would be seen."""
    # What cannot be seen to change, a remote scene or what a VRT refers to, is tried again in time.
    seen = found.stamp and not found.source.lower().endswith(".vrt")
    for_good = seen and not error.transient
    failures.note(found, options_digest, str(error), seconds=None if for_good else PUT_OFF)
