"""The only loop: tiles through the network, blended, and out as finished pixels."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoae.batches import Tile, ahead, in_groups, read_tile
from geoae.blend import Mosaic
from geoae.diagnose import Read
from geoae.plan import Slab, TilePlan
from geoae.radiometry import Nodata, subtract
from geoae.restorer import Restorer
from geoae.scale import Scale
from geoae.window import Window

__all__ = ["Sink", "Work", "restore_slabs"]


class Sink(Protocol):
    """Where the finished pixels of a slab go."""

    def write(self, window: Window, pixels: NDArray[Any]) -> None:
        """``pixels`` (band, height, width) of ``window``, in scene coordinates."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Work:
    """All that a slab needs besides its pixels. ``nodata`` of each band in DN, or None."""

    plan: TilePlan
    scale: Scale
    restorer: Restorer
    nodata: Sequence[Nodata]
    ramp: str = "smooth"

    @property
    def groups(self) -> int:
        """Samples that the network sees for one tile."""
        return len(self.scale.sigma) // self.restorer.channels

    @property
    def tiles_per_batch(self) -> int:
        """Tiles that fill one call of the restorer."""
        plan = self.plan
        return max(1, self.restorer.batch(plan.rows.tile, plan.cols.tile) // max(self.groups, 1))


def restore_slabs(
    work: Work,
    read: Read,
    slabs: Sequence[Slab],
    sink: Callable[[Slab], AbstractContextManager[Sink]],
    on_tile: Callable[[bool], None] = lambda computed: None,
) -> None:
    """Restore consecutive ``slabs`` of ``work.plan`` and hand their pixels to ``sink(slab)``.

    Where the first slab is not the scene's first, the row of tiles above it is computed too, so that
    its border gets what the whole plan would give it. ``read`` is called from one other thread,
    ahead of the network; sinks are used in a third, behind it. ``on_tile`` hears of each tile
    whether it was computed (False: it has no valid pixel).
    """
    plan = work.plan
    first, stop = slabs[0].first, slabs[-1].stop
    places = [(row, col) for row in range(max(first - 1, 0), stop) for col in range(plan.cols.count)]
    mosaic = Mosaic(plan, len(work.scale.sigma), work.ramp)
    depth = 2 * work.tiles_per_batch
    with ThreadPoolExecutor(1, "geoae-read") as reading, _WriteBehind(sink, slabs, depth) as behind:
        tiles = ahead(reading, lambda place: read_tile(read, plan, work.scale, *place), places, depth)
        for batch in in_groups(tiles, work.tiles_per_batch):
            for tile, residual in zip(batch, _predict(work, batch), strict=True):
                final = mosaic.add(tile.row, tile.col, residual)
                if tile.row >= first:
                    behind.submit(work, tile, final)
                    on_tile(tile.model is not None)


def _predict(work: Work, batch: Sequence[Tile]) -> Iterator[NDArray[np.float32]]:
    """Residual ``(component, H, W)`` of each tile; zeros where it has no valid pixel."""
    shape = (work.groups, work.restorer.channels, work.plan.rows.tile, work.plan.cols.tile)
    given = [tile for tile in batch if tile.model is not None]
    components = (-1, *shape[2:])
    if not given:
        return (np.zeros((len(work.scale.sigma), *shape[2:]), np.float32) for _ in batch)
    pixels = _stacked([tile.model.reshape(shape) for tile in given if tile.model is not None])
    levels = [tile.level.reshape(shape) for tile in given if tile.level is not None]
    constant = np.tile(work.scale.sigma.reshape(shape[:2]), (len(given), 1)).astype(np.float32)
    sigma = _stacked(levels) if levels else constant
    residuals = iter(work.restorer(pixels, sigma).reshape(len(given), *shape))
    return (
        np.zeros((len(work.scale.sigma), *shape[2:]), np.float32)
        if tile.model is None
        else next(residuals).reshape(components)
        for tile in batch
    )


def _stacked(arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


class _WriteBehind:
    """Finishes and writes tiles in order on one thread, at most ``depth`` behind the network."""

    def __init__(self, sink: Callable[[Slab], AbstractContextManager[Sink]], slabs: Sequence[Slab], depth: int) -> None:
        self._sink, self._slabs, self._depth = sink, iter(slabs), depth
        self._pool = ThreadPoolExecutor(1, "geoae-write")
        self._open = ExitStack()
        self._running: list[Future[None]] = []
        self._broken = False
        self._slab: Slab | None = None
        self._target: Sink | None = None

    def __enter__(self) -> "_WriteBehind":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            while kind is None and self._running:
                self._running.pop(0).result()
        except BaseException as late:
            self._close(late)
            raise
        self._close(error)

    def _close(self, error: BaseException | None) -> None:
        """Close the open part on its own thread, as complete only where nothing failed."""
        self._pool.submit(self._open.__exit__, type(error) if error else None, error, None).result()
        self._pool.shutdown()

    def submit(self, work: Work, tile: Tile, residual: NDArray[np.float32]) -> None:
        """Queue the pixels that ``tile`` completes; waits where writing lags too far behind."""
        self._running.append(self._pool.submit(self._finish, work, tile, residual))
        if len(self._running) > self._depth:
            self._running.pop(0).result()

    def _finish(self, work: Work, tile: Tile, residual: NDArray[np.float32]) -> None:
        """One tile; after a failure none of those queued behind it, which would complete its part."""
        if self._broken:
            return
        try:
            self._write(work, tile, residual)
        except BaseException:
            self._broken = True
            raise

    def _write(self, work: Work, tile: Tile, residual: NDArray[np.float32]) -> None:
        while self._slab is None or tile.row >= self._slab.stop:
            self._open.close()
            self._slab = next(self._slabs)
            self._target = self._open.enter_context(self._sink(self._slab))
        window = work.plan.completed(tile.row, tile.col)
        if not (window.height and window.width):
            return
        inside = (slice(None), *window.slices(*_corner(work.plan, tile)))
        pixels = tile.pixels[inside]
        if tile.model is not None:
            native = work.scale.to_native(residual)
            masks = [None] * len(pixels) if tile.mask is None else list(tile.mask[inside])
            bands = zip(pixels, native, masks, work.nodata, strict=True)
            pixels = np.stack([subtract(*band) for band in bands])
        assert self._target is not None
        self._target.write(window, pixels)


def _corner(plan: TilePlan, tile: Tile) -> tuple[int, int]:
    return plan.rows.start(tile.row), plan.cols.start(tile.col)
