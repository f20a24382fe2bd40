"""Where the scenes of an archive are restored: in this process, or on a Dask cluster."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoae.archive.attempt import Attempt, Restore, attempt
from geoae.archive.triage import Outcome
from geoae.catalog.sources import SceneRef
from geoae.errors import ClusterError
from geoae.pipeline.distributed import LOST, explain_killed
from geoae.pipeline.job import Job
from geoae.raster.dataset import one_line
from geoae.system.files import is_local, to_absolute

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["Execute", "in_process", "on_cluster"]

# Restores scenes that it takes one by one, and gives what came of each, in any order.
Execute = Callable[[Restore, Iterable[tuple[SceneRef, Job]]], Generator[Attempt]]
# Scenes that a cluster is given ahead, for each of its threads: the next one waits on the spot,
# and the scheduler holds no more, however large the archive is.
SCENES_PER_THREAD = 2


def in_process(restore: Restore, todo: Iterable[tuple[SceneRef, Job]]) -> Generator[Attempt]:
    """Restore scenes one after the other in this process.

    Args:
        restore: restores one scene.
        todo: scenes and their jobs.

    Yields:
        What came of each.

    """
    for found, job in todo:
        yield attempt(restore, found, job)


def on_cluster(
    client: "Client", restore: Restore, todo: Iterable[tuple[SceneRef, Job]]
) -> Generator[Attempt]:
    """Restore scenes on the workers of a cluster, a scene a task.

    Where workers have the resource ``GPU``, a scene takes one of it. The scenes of a worker that is
    lost are given to the others.

    Args:
        client: client of the cluster. All workers must see sources and outputs under the same
            names.
        restore: restores one scene; it can be pickled.
        todo: scenes and their jobs.

    Yields:
        What came of each, as soon as it is known.

    Raises:
        ClusterError: the scheduler was lost, or a worker cannot run geoae.

    """
    from distributed import as_completed

    needs = {"GPU": 1} if client.run_on_scheduler(_has_gpus) else None
    queue = _Queue(client, restore, iter(todo), needs, as_completed())
    try:
        queue.fill()
        for future in queue.given:
            done = queue.take(future)
            queue.fill()
            yield done
    except (CancelledError, OSError) as error:  # CommClosedError is an OSError
        raise ClusterError(LOST) from error
    finally:
        if client.status == "running":
            client.cancel(list(queue.flying))


def _has_gpus(dask_scheduler: object) -> bool:
    """On the scheduler: whether a worker says that it has a GPU."""
    return any(dask_scheduler.resources.get("GPU", {}).values())  # type: ignore[attr-defined]


def _name_for_workers(found: SceneRef, job: Job) -> tuple[SceneRef, Job]:
    """Name a scene and its output so that workers in another folder find them."""
    source, target = to_absolute(found.source), str(job.target)
    if is_local(target):  # it need not be there yet
        target = str(Path(target).absolute())
    named = job.model_copy(update={"source": source, "target": target})
    return replace(found, source=source), named


@dataclass(frozen=True, slots=True)
class _Queue:
    """Scenes that a cluster has been given, never more than it will take soon."""

    client: "Client"
    restore: Restore
    waiting: Iterator[tuple[SceneRef, Job]]
    needs: dict[str, int] | None
    given: Any  # distributed.as_completed, whose type is known only where it is installed
    flying: "dict[Future, tuple[SceneRef, Job]]" = field(default_factory=dict)

    def fill(self) -> None:
        """Give the cluster as many scenes as it may hold now: workers come and go."""
        threads = sum(self.client.nthreads().values())
        room = SCENES_PER_THREAD * max(threads, 1) - len(self.flying)
        for found, job in islice(self.waiting, max(room, 0)):
            named = _name_for_workers(found, job)
            future = self.client.submit(
                attempt, self.restore, *named, pure=False, resources=self.needs
            )
            self.flying[future] = found, job
            self.given.add(future)

    def take(self, future: "Future") -> Attempt:
        """Return what came of the scene of a future that has ended."""
        from distributed.scheduler import KilledWorker

        found, job = self.flying.pop(future)
        try:
            done = future.result()
            outcome = replace(done.outcome, source=found.source, target=str(job.target))
            return replace(done, found=found, outcome=outcome)
        except KilledWorker as error:
            died = explain_killed(error)
            outcome = Outcome(found.source, str(job.target), "failed", str(died))
            return Attempt(found, outcome, "", died)
        except (CancelledError, OSError):
            raise
        except Exception as error:  # of Dask: those of scenes are part of what came of them
            raise ClusterError(
                f"the Dask cluster cannot run geoae ({one_line(error)}); install the same geoae for"
                " its scheduler and all of its workers"
            ) from error
