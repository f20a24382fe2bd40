"""Flows for one scene, ``restore_scene``, and for many, each a run of its own,
``restore_scenes``.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from prefect import flow, get_run_logger
from prefect.exceptions import MissingResult
from prefect.runtime import flow_run
from prefect.task_engine import TaskRunTimeoutError

from flows import tasks
from flows.notifications import on_end
from flows.parameters import SCHEDULER, with_options
from flows.process import remember_process
from geoae.archive.attempt import Attempt
from geoae.archive.batch import restore_each
from geoae.archive.failures import Failures
from geoae.archive.triage import Outcome
from geoae.catalog.sources import SceneRef
from geoae.errors import GeoaeError
from geoae.pipeline.job import Job

__all__ = ["restore_scene", "restore_scenes"]

# Seconds; a scene of 20,000 x 20,000 px takes an hour or two on a CPU.
TIMEOUT = 6 * 3600.0


def _name() -> str:
    return f"restore {PurePosixPath(flow_run.parameters['source']).name}"


@flow(name="restore-scene", flow_run_name=_name, log_prints=True, persist_result=False, **on_end())
@with_options
def restore_scene(
    source: str,
    target: str | None = None,
    *,
    timeout: float = TIMEOUT,
    scheduler: str | None = SCHEDULER,
    **options: Any,
) -> dict[str, Any]:
    """Restore one scene, in four steps whatever its size; the report.

    A run that was cancelled or killed goes on from its finished slabs when it is started again.

    Args:
        source: scene to restore: anything GDAL opens by name.
        target: file to write; by default NAME_restored.tif beside the source.
        timeout: seconds after which restoring is given up.
        scheduler: address of a Dask scheduler whose workers see source and target under the same
            names.

    """
    remember_process()
    job = Job.checked(source=source, target=target, **options)
    name = PurePosixPath(source).name
    tasks.inspect(name, job)
    try:
        report = tasks.restore.with_options(timeout_seconds=timeout)(name, job, scheduler)
    except TaskRunTimeoutError as error:
        raise GeoaeError(
            f"{source}: was not restored within {timeout:.0f} s; what is finished is kept: run it"
            " again to go on, or give a longer timeout"
        ) from error
    tasks.verify(name, report)
    tasks.publish(name, report)
    return report


def restore_scenes(
    todo: Iterable[tuple[SceneRef, Job]],
    failures: Failures,
    options_digest: str,
    timeout: float,
    scheduler: str | None,
) -> list[Outcome]:
    """Restore scenes one after the other as runs of ``restore_scene``; log the outcome of each.

    Args:
        todo: scenes and their jobs.
        failures: record of the scenes that cannot be restored.
        options_digest: digest of model and options, under which failures are recorded.
        timeout: seconds after which a scene is given up.
        scheduler: address of a Dask scheduler, or None.

    Returns:
        The outcome of each scene.

    """
    log = get_run_logger()

    def restore(job: Job) -> Outcome:
        given: dict[str, Any] = job.model_dump()
        # Not with return_state: where the server's answer to the last state was lost, that state
        # comes from the server, and holds no result.
        try:
            status = restore_scene(**given, timeout=timeout, scheduler=scheduler)["status"]
        except MissingResult:  # it had completed when this run lost its process
            status = "restored"
        return Outcome(job.source, str(job.target), status)

    def tell(done: Attempt) -> None:
        reason = f": {done.outcome.reason}" if done.outcome.reason else ""
        log.info("%s: %s%s", done.found.name, done.outcome.status, reason)

    return restore_each(todo, failures, options_digest, restore, tell)
