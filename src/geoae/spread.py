"""Slabs over the workers of a Dask cluster, where one is active."""

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from geoae.diagnose import Facts
from geoae.engine import Work, restore_slabs
from geoae.errors import GeoaeError, ModelError
from geoae.order import Job, Prepared, load_restorer
from geoae.plan import Slab, TilePlan
from geoae.restorer import Restorer
from geoae.scene import Scene
from geoae.tilestore import PartStore

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["active_client", "restore_spread", "restorer_of"]

# Tasks a worker: more balance the load better, but each computes a row of tiles for its lead-in.
TASKS_PER_WORKER = 2


def active_client() -> "Client | None":
    """The ``dask.distributed.Client`` of this process, if it has one: the whole switch from a laptop
    to a cluster.
    """
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client

    try:
        return get_client()
    except ValueError:
        return None


def restore_spread(
    client: "Client",
    prepared: Prepared,
    store: PartStore,
    runs: Sequence[Sequence[Slab]],
    on_tile: Callable[[bool], None],
) -> None:
    """Restore ``runs`` of consecutive slabs on the workers, which write their parts to ``store``.

    Every worker must see the source and the store's folder under the same names.
    """
    from dask import delayed
    from distributed import as_completed

    workers = max(1, len(client.scheduler_info()["workers"]))
    length = -(-sum(map(len, runs)) // (TASKS_PER_WORKER * workers))
    scene, work = prepared.scene, prepared.work
    common = (prepared.job.model_dump_json(), work.restorer.digest, scene, work.plan, prepared.facts, work.ramp, store)
    tasks = [delayed(_restore_run, pure=False)(*common, piece) for run in runs for piece in _pieces(run, length)]
    futures = client.compute(tasks)
    try:
        for future in as_completed(futures):
            for computed in future.result():
                on_tile(computed)
    finally:
        client.cancel(futures)


def _pieces(slabs: Sequence[Slab], length: int) -> Iterator[Sequence[Slab]]:
    for start in range(0, len(slabs), length):
        yield slabs[start : start + length]


def restorer_of(job: Job, digest: str) -> Restorer:
    """The restorer of ``job``: one a process and model, however many slabs and scenes it computes.

    Raises ``ModelError`` where the model is not the one of ``digest`` that the order was given for.
    """
    restorer = _cached_restorer(digest, job.model, job.recipe, job.tta, job.device, job.precision, job.batch_size)
    if restorer.digest != digest:
        _cached_restorer.cache_clear()
        raise ModelError(
            f"{job.model or job.recipe or restorer.name}: is another model here ({restorer.digest[:12]}) than where the "
            f"order was given ({digest[:12]}); let all workers see the same model folder and run again"
        )
    return restorer


@lru_cache(maxsize=2)
def _cached_restorer(digest: str, *options: Any) -> Restorer:
    names = ("model", "recipe", "tta", "device", "precision", "batch_size")
    return load_restorer(Job(source="", **dict(zip(names, options, strict=True))))


def _restore_run(
    order: str,
    digest: str,
    scene: Scene,
    plan: TilePlan,
    facts: Facts,
    ramp: str,
    store: PartStore,
    slabs: Sequence[Slab],
) -> list[bool]:
    """On a worker: restore consecutive slabs; for each tile, whether it was computed."""
    restorer: Any = restorer_of(Job.model_validate_json(order), digest)
    work = Work(plan, facts.scale(restorer.channels), restorer, scene.nodata, ramp)
    tiles: list[bool] = []
    try:
        with scene.reader() as reader:
            restore_slabs(work, reader.read, slabs, store.writer, tiles.append)
    except GeoaeError as error:
        # Without its cause: GDAL's errors cannot be pickled.
        failure = type(error)(str(error))
    else:
        return tiles
    raise failure
