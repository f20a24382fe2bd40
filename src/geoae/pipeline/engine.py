"""The loop of a restoration: tiles through the network, blended, and written as finished pixels."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array

from geoae.errors import DeviceError
from geoae.pipeline.tiles import Native, Tile, Work, in_groups, read_tile, subtract_strips, to_model
from geoae.radiometry.rare import take_noise
from geoae.system.ahead import read_ahead
from geoae.system.memory import is_out_of_memory
from geoae.tiling.blend import Mosaic
from geoae.tiling.plan import Slab, TilePlan
from geoae.tiling.source import Sink
from geoae.tiling.window import Read
from geoae.types import DeviceArray

__all__ = ["predict", "restore_slabs"]


def restore_slabs(
    work: Work,
    read: Read,
    slabs: Sequence[Slab],
    sink: Callable[[Slab], AbstractContextManager[Sink]],
    on_tile: Callable[[bool], None] = lambda computed: None,
) -> None:
    """Restore consecutive slabs of a scene.

    Where the first slab is not the scene's first, the row of tiles above it is computed too, so
    that its border equals that of the whole scene.

    Args:
        work: plan, map and model.
        read: reads a window of the scene; called from one other thread, ahead of the network.
        slabs: slabs of ``work.plan``.
        sink: opens the target of a slab; used in a third thread, behind the network.
        on_tile: called for each tile; True if it was computed, False if it has no valid pixel.

    """
    plan = work.plan
    first, stop = slabs[0].first, slabs[-1].stop
    places = [
        (row, col) for row in range(max(first - 1, 0), stop) for col in range(plan.cols.count)
    ]
    mosaic = Mosaic(plan, len(work.scale.sigma), work.ramp)
    # One batch is read while another is computed and a third is written.
    depth = work.tiles_per_batch
    with ThreadPoolExecutor(1, "geoae-read") as reading, _WriteBehind(sink, slabs, depth) as behind:
        tiles = read_ahead(
            reading,
            lambda place: read_tile(read, plan, work.scale, *place, work.corrections, work.speckle),
            places,
            depth,
        )
        for batch in in_groups(tiles, depth):
            _restore_batch(work, batch, mosaic, behind, first, on_tile)


def _restore_batch(
    work: Work,
    batch: Sequence[Tile],
    mosaic: Mosaic,
    behind: "_WriteBehind",
    first: int,
    on_tile: Callable[[bool], None],
) -> None:
    """Restore ``batch`` and submit what it completes.

    This is a function of its own so that its arrays are freed before the next batch.
    """
    for tile, residual in zip(batch, predict(work, batch), strict=True):
        with _tell_memory(work):
            final = mosaic.add(tile.row, tile.col, residual)
            native = None if tile.empty or tile.row < first else _map_back(work, final)
        if tile.row >= first:
            behind.submit(work, tile, native)
            on_tile(not tile.empty)


@contextmanager
def _tell_memory(work: Work) -> Iterator[None]:
    """Raise ``DeviceError`` where a device lacks memory outside the network."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        rows, cols = work.plan.rows.tile, work.plan.cols.tile
        raise DeviceError(
            f"{work.restorer.name}: out of memory at {work.tiles_per_batch} tiles of {rows} x"
            f" {cols} px; give a smaller --batch-size, or a smaller --tile"
        ) from error


def _map_back(work: Work, residual: DeviceArray) -> Native:
    """Return a function from rows to a residual in DN.

    On the host, rows are mapped when they are asked for, which bounds the memory. On a device the
    whole residual is mapped now, and its copy to the host begins.
    """
    if is_numpy_array(residual):
        return lambda rows: work.scale.to_native(residual[:, rows])
    wait = cache(work.restorer.fetch(work.placed.to_native(residual)))
    return lambda rows: wait()[:, rows]


def predict(work: Work, batch: Sequence[Tile]) -> Iterator[DeviceArray]:
    """Compute the residuals of some tiles where the model computes.

    Args:
        work: map and model.
        batch: the tiles, whose ``signal`` is dropped.

    Returns:
        For each tile its residual ``(component, H, W)``; zeros where it has no valid pixel.

    """
    with _tell_memory(work):
        return _predict(work, batch)


def _predict(work: Work, batch: Sequence[Tile]) -> Iterator[DeviceArray]:
    plan, scale, restorer = work.plan, work.scale, work.restorer
    side, components = (plan.rows.tile, plan.cols.tile), len(scale.sigma)
    given = [tile for tile in batch if not tile.empty]
    xp, where = array_namespace(work.placed.sigma), device(work.placed.sigma)
    model = xp.empty((len(given), components, *side), dtype=xp.float32, device=where)
    level = xp.empty_like(model) if scale.varies else None
    for place, tile in enumerate(given):
        assert tile.signal is not None
        signal, tile.signal = restorer.place(tile.signal), None
        told = None if level is None else level[place]
        to_model(signal, tile.margin, work.placed, model[place], told)
    known = xp.astype(work.placed.sigma, xp.float32)
    _predict_groups(work, model, known, level)
    holds = np.repeat(work.signal_groups, restorer.channels)
    if noise := np.flatnonzero(~holds).tolist():
        for place in range(len(given)):
            told = known[:, None, None] if level is None else level[place]
            take_noise(model[place], noise, told, scale.shape)
    residuals = iter(model)
    return (
        xp.zeros((components, *side), dtype=xp.float32, device=where)
        if tile.empty
        else next(residuals)
        for tile in batch
    )


def _predict_groups(
    work: Work, model: DeviceArray, known: DeviceArray, level: DeviceArray | None
) -> None:
    """Put residuals in the place of the components of which the network gets the groups.

    Args:
        work: map and model.
        model: ``(tile, component, H, W)`` in model units.
        known: noise of each component in model units, ``(component,)``.
        level: noise of each pixel, as ``model``; None where it is constant over the scene.

    """
    restorer, tiles = work.restorer, model.shape[0]
    xp = array_namespace(model)
    samples = xp.reshape(model, (-1, restorer.channels, *model.shape[2:]))
    constant = xp.tile(xp.reshape(known, (-1, restorer.channels)), (tiles, 1))
    sigma = constant if level is None else xp.reshape(level, samples.shape)
    shape = _shapes(work, tiles)
    chosen = np.flatnonzero(np.tile(work.signal_groups, tiles))
    size = restorer.batch(*model.shape[2:])
    for start in range(0, len(chosen), size):
        part = restorer.place(chosen[start : start + size])
        told = None if shape is None else shape[part]
        samples[part] = restorer(samples[part], sigma[part], told)


def _shapes(work: Work, tiles: int) -> DeviceArray | None:
    """Return the shape of the noise's spectrum for the samples of some tiles, ``(B, C, 9)``, where
    the model computes.
    """
    if work.scale.shape is None:
        return None
    one = work.scale.shape.astype(np.float32).reshape(work.groups, work.restorer.channels, -1)
    return work.restorer.place(np.tile(one, (tiles, 1, 1)))


class _WriteBehind:
    """Writes finished tiles in order on one thread, at most ``depth`` tiles behind the network."""

    def __init__(
        self,
        sink: Callable[[Slab], AbstractContextManager[Sink]],
        slabs: Sequence[Slab],
        depth: int,
    ) -> None:
        self._sink, self._slabs, self._depth = sink, iter(slabs), depth
        self._pool = ThreadPoolExecutor(1, "geoae-write")
        self._open = ExitStack()
        self._running: list[Future[None]] = []
        self._broken = False
        self._slab: Slab | None = None
        self._target: Sink | None = None

    def __enter__(self) -> "_WriteBehind":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        try:
            while kind is None and self._running:
                self._running.pop(0).result()
        except BaseException as late:
            self._close(late)
            raise
        self._close(error)

    def _close(self, error: BaseException | None) -> None:
        """Close the open part on its own thread; it is complete only if nothing failed."""
        self._pool.submit(self._open.__exit__, type(error) if error else None, error, None).result()
        self._pool.shutdown()

    def submit(self, work: Work, tile: Tile, residual: Native | None) -> None:
        """Queue the pixels that ``tile`` completes, as they are where there is no residual; wait
        where writing lags too far behind.
        """
        self._running.append(self._pool.submit(self._finish, work, tile, residual))
        if len(self._running) > self._depth:
            self._running.pop(0).result()

    def _finish(self, work: Work, tile: Tile, residual: Native | None) -> None:
        """Write one tile; after a failure write none of those queued, which would complete its
        part.
        """
        if self._broken:
            return
        try:
            self._write(work, tile, residual)
        except BaseException:
            self._broken = True
            raise

    def _write(self, work: Work, tile: Tile, residual: Native | None) -> None:
        while self._slab is None or tile.row >= self._slab.stop:
            self._open.close()
            self._slab = next(self._slabs)
            self._target = self._open.enter_context(self._sink(self._slab))
        window = work.plan.completed_window(tile.row, tile.col)
        if not (window.height and window.width):
            return
        inside = (slice(None), *window.slices(*_corner(work.plan, tile)))
        assert self._target is not None
        self._target.write(
            window,
            tile.pixels[inside]
            if residual is None
            else subtract_strips(tile, inside, residual, work.nodata, work.speckle),
        )


def _corner(plan: TilePlan, tile: Tile) -> tuple[int, int]:
    return plan.rows.start(tile.row), plan.cols.start(tile.col)
