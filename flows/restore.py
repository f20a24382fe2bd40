"""One scene: ``restore_scene``."""

from pathlib import PurePosixPath
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.task_engine import TaskRunTimeoutError

from flows import tasks
from flows.notifications import on_end
from flows.parameters import SCHEDULER, with_options
from flows.process import remember_process
from geoae.errors import GeoaeError
from geoae.pipeline.job import Job

__all__ = ["restore_scene"]

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
        scheduler: address of a Dask scheduler whose workers see source and target under the same names.

    """
    remember_process()
    job = Job.checked(source=source, target=target, **options)
    name = PurePosixPath(source).name
    tasks.inspect(name, job)
    try:
        report = tasks.restore.with_options(timeout_seconds=timeout)(name, job, scheduler)
    except TaskRunTimeoutError as error:
        raise GeoaeError(f"{source}: was not restored within {timeout:.0f} s; what is finished is kept: run it again to go on, or give a longer timeout") from error  # fmt: skip
    tasks.verify(name, report)
    tasks.publish(name, report)
    return report
