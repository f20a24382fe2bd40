"""Tiles on their way to the network: read, hole-filled and in model units, a little ahead of it."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoae.diagnose import Read
from geoae.plan import TilePlan
from geoae.radiometry import fill, local_mean
from geoae.scale import Scale

__all__ = ["Tile", "ahead", "in_groups", "read_tile"]

# Rows at a time in which a level map is made.
STRIP = 64

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, eq=False, slots=True)
class Tile:
    """Tile (``row``, ``col``): ``pixels`` (band, H, W) in DN, ``mask`` of the same shape or None
    where all are valid, ``model`` (component, H, W) or None where no pixel is valid, ``level`` of its
    noise, of the same shape and units, or None where it does not depend on the signal.
    """

    row: int
    col: int
    pixels: NDArray[Any]
    mask: NDArray[np.bool_] | None
    model: NDArray[np.float32] | None
    level: NDArray[np.float32] | None = None


def read_tile(read: Read, plan: TilePlan, scale: Scale, row: int, col: int) -> Tile:
    """Read one tile of ``plan``. Its holes are filled from valid pixels up to a halo away, which may
    lie outside the tile: every tile that sees a hole sees the same filling.
    """
    window = plan.window(row, col)
    if not scale.varies:  # then most tiles need no more than themselves
        pixels, mask = read(window)
        if mask is None:
            return Tile(row, col, pixels, None, scale.to_model(pixels))
        if not mask.any():
            return Tile(row, col, pixels, mask, None)
    apron = window.grown(plan.halo)
    wide, wide_mask = read(apron)
    inside = (slice(None), *window.slices(apron.row, apron.col))
    # Copies, or what lies around them would wait with them.
    pixels, mask = wide[inside].copy(), None if wide_mask is None else wide_mask[inside].copy()
    if mask is not None and not mask.any():
        return Tile(row, col, pixels, mask, None)
    filled = wide if wide_mask is None else fill(wide, wide_mask, plan.halo, scale.offset)
    level = _level(scale, local_mean(filled)[inside]) if scale.varies else None
    return Tile(row, col, pixels, mask, scale.to_model(filled[inside]), level)


def _level(scale: Scale, signal: NDArray[Any]) -> NDArray[np.float32]:
    """Noise level (component, H, W) in model units where the ``signal`` (band, H, W) is in DN; in strips, for the
    variances are float64 of all bands.
    """
    level = np.empty((len(scale.sigma), *signal.shape[1:]), np.float32)
    for top in range(0, signal.shape[1], STRIP):
        strip = slice(top, top + STRIP)
        level[:, strip] = scale.level(scale.variance(signal[:, strip]))
    return level


def in_groups(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Lists of ``size`` items, the last perhaps shorter."""
    group: list[T] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def ahead(executor: Executor, function: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[R]:
    """``map(function, items)`` in order, with up to ``depth`` calls under way in ``executor``."""
    running: deque[Future[R]] = deque()
    try:
        for item in items:
            running.append(executor.submit(function, item))
            if len(running) > depth:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
