"""The tasks of one scene: inspect, restore, verify, publish. Arguments are strings and numbers."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.tasks import Task

from flows.artifacts import progress, show_report
from geoae.archive.attempt import allow_output
from geoae.cli.console import summary
from geoae.errors import BusyError, GeoaeError, OutputError
from geoae.pipeline.distributed import use_cluster
from geoae.pipeline.job import Job
from geoae.pipeline.report import RestoreReport
from geoae.pipeline.run import run
from geoae.raster.scene import Scene
from geoae.raster.tags import read_tags
from geoae.system.files import is_local
from geoae.system.wording import count

__all__ = ["STEP", "inspect", "publish", "restore", "verify"]

# The output's fingerprint decides what is done, never a cache of Prefect.
STEP: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}


def _is_transient(task: Task[Any, Any], task_run: TaskRun, state: State) -> bool:
    """Whether a failure is worth a retry. Prefect calls this with the failed state.

    A run of an archive does not wait for another that restores the scene: it has more to do.
    """
    error = state.result(raise_on_failure=False)
    context = FlowRunContext.get()
    is_inner = bool(context and context.flow_run and context.flow_run.parent_task_run_id)
    if isinstance(error, BusyError) and is_inner:
        return False
    return isinstance(error, GeoaeError) and error.transient


@task(
    **STEP,
    task_run_name="inspect {name}",
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_condition_fn=_is_transient,
)
def inspect(name: str, job: Job) -> None:
    """Log what the scene is; fail early, with a reason, where it cannot be restored.

    Args:
        name: name of the scene.
        job: the job.

    Raises:
        InputError: the scene cannot be restored.

    """
    scene = Scene.open(job.source, None if job.bands is None else tuple(job.bands), job.nodata)
    log = get_run_logger()
    log.info(
        "%s: %s, %d x %d px, %s of %s, CRS %s",
        name,
        scene.driver,
        scene.height,
        scene.width,
        count(scene.count, "band"),
        scene.dtype,
        scene.crs,
    )
    for band, reason in scene.copied.items():
        log.info("band %d will be copied untouched: %s", band, reason)


@task(
    **STEP,
    task_run_name="restore {name}",
    log_prints=True,
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_jitter_factor=0.2,
    retry_condition_fn=_is_transient,
)
def restore(name: str, job: Job, scheduler: str | None) -> dict[str, Any]:
    """Carry out a job.

    The output gets its name only once it has been checked against its source. What an interrupted
    run finished is used again. An older output of geoae is replaced once the new one is complete;
    another file of that name is left alone unless the job says ``overwrite``.

    Args:
        name: name of the scene.
        job: the job.
        scheduler: address of a Dask scheduler, or None.

    Returns:
        The fields of ``RestoreReport``.

    Raises:
        GeoaeError: the scene was not restored.

    """
    job = allow_output(job)
    warn = get_run_logger().warning
    with use_cluster(scheduler, warn) if scheduler else nullcontext():
        report = run(job, progress(f"tiles of {name}"), warn)
    summary(report)
    return report.model_dump()


@task(**STEP, task_run_name="verify {name}")
def verify(name: str, report: dict[str, Any]) -> None:
    """Check that the target holds the output of this run, and log what its check has found.

    Args:
        name: name of the scene.
        report: the fields of ``RestoreReport``.

    Raises:
        OutputError: the target holds another output.

    """
    found = RestoreReport.model_validate(report)
    held = (read_tags(found.target) or {}).get("FINGERPRINT")
    if held != found.fingerprint:
        raise OutputError(
            f"{found.target}: holds the fingerprint {held}, not this run's; has another run"
            " written it?"
        )
    moved = ", ".join(f"{bias:+.3g}" for bias in found.bias)
    get_run_logger().info(
        "checked against its source; band means moved by %s DN", moved or "nothing"
    )


@task(**STEP, task_run_name="publish {name}")
def publish(name: str, report: dict[str, Any]) -> None:
    """Write the report beside a local output, and create the artifacts of the run.

    Args:
        name: name of the scene.
        report: the fields of ``RestoreReport``.

    """
    found = RestoreReport.model_validate(report)
    written = f"{found.target}.json" if is_local(found.target) else None
    if written and (found.status == "restored" or not Path(written).exists()):
        draft = Path(f"{written}.part")
        draft.write_text(found.model_dump_json(indent=2) + "\n")
        draft.replace(written)
    show_report(found, written)
