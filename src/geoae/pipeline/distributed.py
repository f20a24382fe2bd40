"""Restore slabs on the workers of a Dask cluster, where one is active."""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from geoae.corrections.chain import NONE, Corrections
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import ClusterError, GeoaeError, ModelError
from geoae.models.card import is_known
from geoae.models.restorer import Restorer
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.job import ModelSpec
from geoae.pipeline.preparation.prepare import build_work, load_restorer
from geoae.pipeline.preparation.prepared import Prepared
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.tiles import Work
from geoae.radiometry.speckle import Speckle
from geoae.radiometry.spectrum import KERNELS
from geoae.raster.parts import PartStore
from geoae.raster.scene import Scene
from geoae.resources import require_extra
from geoae.system.files import to_absolute
from geoae.tiling.plan import Slab
from geoae.tiling.source import Source

if TYPE_CHECKING:
    from distributed import Client
    from distributed.scheduler import KilledWorker

__all__ = [
    "LOST",
    "RemoteWork",
    "active_client",
    "explain_killed",
    "load_same",
    "name_for_workers",
    "restore_on_cluster",
    "use_cluster",
]

# Tasks a worker: more balance the load better, but each computes a row of tiles for its lead-in.
TASKS_PER_WORKER = 2
# Seconds that a scheduler has for its first answer.
ANSWER_SECONDS = 30
LOST = "the Dask scheduler was lost; start it and run again, what is finished is kept"


@contextmanager
def use_cluster(address: str, on_warning: Callable[[str], None]) -> Iterator[None]:
    """Use a Dask cluster for the slabs of all restorations inside the block.

    Args:
        address: address of the cluster's scheduler.
        on_warning: called if the cluster has no workers yet; the scene then waits for the first
            one.

    Raises:
        ClusterError: no scheduler answers.

    """
    require_extra("distributed", "distributed")
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    try:
        # First, as a client of what is no address would stay behind, and be taken for the active
        # one.
        get_address_host_port(address)
        client = Client(address, timeout=ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ClusterError(
            f"{address}: no Dask scheduler answers ({reason}); correct the address or start it"
        ) from error
    with client:
        if not client.nthreads():
            on_warning(
                f"{address}: has no workers yet; the scene waits for the first one (dask worker"
                f" {address})"
            )
        yield


def active_client() -> "Client | None":
    """Return the ``dask.distributed.Client`` of this process, if there is one.

    This is the only switch between one machine and a cluster. A task of a cluster has none: it
    computes alone, as tasks that wait for tasks would hold the places that these need.
    """
    if "distributed" not in sys.modules:
        return None
    from distributed import get_client, get_worker

    try:
        get_worker()
    except ValueError:
        pass
    else:
        return None
    try:
        return get_client()
    except ValueError:
        return None


def restore_on_cluster(
    client: "Client",
    prepared: Prepared[Scene],
    store: PartStore,
    runs: Sequence[Sequence[Slab]],
    on_tile: Callable[[bool], None],
) -> None:
    """Restore slabs on the workers, which write their parts to the store.

    Every worker must see the source and the store's folder under the same names.

    Args:
        client: client of the cluster.
        prepared: the job.
        store: store of the parts.
        runs: runs of consecutive slabs.
        on_tile: called for each tile; True if it was computed, False if it has no valid pixel.

    Raises:
        ClusterError: the cluster was lost; finished slabs stay in the store.

    """
    from dask import delayed
    from distributed import as_completed
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker

    workers = max(1, len(client.nthreads()))
    length = -(-sum(map(len, runs)) // (TASKS_PER_WORKER * workers))
    remote = RemoteWork.of(prepared)
    scene = replace(prepared.scene, source=to_absolute(prepared.scene.source))
    seen = replace(store, folder=store.folder.absolute())
    tasks = [
        delayed(_restore_run, pure=False)(remote, scene, seen, piece)
        for run in runs
        for piece in _pieces(run, length)
    ]
    futures = client.compute(tasks)
    try:
        for future in as_completed(futures):
            for computed in future.result():
                on_tile(computed)
    except KilledWorker as error:
        raise explain_killed(error) from error
    except (CancelledError, CommClosedError) as error:
        raise ClusterError(LOST) from error
    finally:
        client.cancel(futures)


def explain_killed(error: "KilledWorker") -> ClusterError:
    """Say in words that workers died while they computed a scene."""
    return ClusterError(
        f"{error.last_worker.address}: this and other Dask workers died of the scene; give them"
        " more memory, or the scene a smaller tile"
    )


def name_for_workers(options: Recipe) -> Recipe:
    """Name the files of resolved options so that workers in another folder find them."""
    model, psd = options.model, options.psd
    files = {
        "model": to_absolute(model) if model and not is_known(model) else model,
        "psd": to_absolute(psd) if psd and psd not in KERNELS else psd,
    }
    return options.model_copy(update=files)


def _pieces(slabs: Sequence[Slab], length: int) -> Iterator[Sequence[Slab]]:
    for start in range(0, len(slabs), length):
        yield slabs[start : start + length]


@dataclass(frozen=True, eq=False, slots=True)
class RemoteWork:
    """What a worker needs to build the same ``Work`` as the process that planned it.

    Models do not travel: each worker loads its own, and checks that it is the same.
    """

    model: ModelSpec
    """Which model computes."""
    digest: str
    """Digest of that model where the work was planned."""
    options: Recipe
    """The resolved options."""
    facts: SceneStatistics
    """Statistics of the whole scene."""
    corrections: Corrections = NONE
    """Corrections of the whole scene."""
    speckle: Speckle | None = None
    """Logarithm of the whole scene; None for none."""

    @classmethod
    def of(cls, prepared: Prepared[Any]) -> Self:
        """Return what a worker needs of a job that is decided."""
        work = prepared.work
        options = name_for_workers(prepared.options)
        model = ModelSpec.of(prepared.job, options)
        digest, told = work.restorer.digest, prepared.told
        return cls(model, digest, options, told, work.corrections, work.speckle)

    def embed(self, kept: Sequence[int], bands: int) -> Self:
        """Return the work of a scene that has more bands, which stay as they are.

        Args:
            kept: index of each band of this work among them.
            bands: number of the bands.

        """
        return replace(
            self,
            facts=self.facts.embed(kept, bands),
            corrections=self.corrections.embed(kept, bands),
            speckle=self.speckle and self.speckle.embed(kept, bands),
        )

    def build(self, source: Source) -> Work:
        """Build the work.

        Args:
            source: the scene, or those of its rows that are needed.

        Raises:
            ModelError: the model of this name is another one here.

        """
        restorer = load_same(self.model, self.digest)
        scale = self.facts.scale(restorer.channels, shares_gain=restorer.shares_gain)
        return build_work(self.options, restorer, source, scale, self.corrections, self.speckle)


def load_same(spec: ModelSpec, digest: str) -> Restorer:
    """Load a model, once for a process, however many slabs and scenes it computes.

    Args:
        spec: the model.
        digest: its digest where the work was planned.

    Raises:
        ModelError: the model of this name is another one here.

    """
    restorer = _cached_restorer(spec, digest)
    if restorer.digest != digest:
        _cached_restorer.cache_clear()
        raise ModelError(
            f"{spec.model}: is another model here ({restorer.digest[:12]}) than where the order was"
            f" given ({digest[:12]}); let all workers see the same model folder and run again"
        )
    return restorer


@lru_cache(maxsize=2)
def _cached_restorer(spec: ModelSpec, digest: str) -> Restorer:
    return load_restorer(spec)


def _restore_run(
    remote: RemoteWork, scene: Scene, store: PartStore, slabs: Sequence[Slab]
) -> list[bool]:
    """On a worker: restore consecutive slabs; for each tile, whether it was computed."""
    work = remote.build(scene)
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
