"""Tiles on their way to the network: read and hole-filled a little ahead of it, then brought to
model units.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoae.radiometry.fill import LOCAL, fill, local_mean
from geoae.radiometry.scale import Scale
from geoae.tiling.plan import TilePlan
from geoae.tiling.window import Read

__all__ = ["STRIP", "Tile", "ahead", "in_groups", "read_tile", "to_model"]

# Rows at a time that are brought to model units or back.
STRIP = 64

T = TypeVar("T")
R = TypeVar("R")


@dataclass(eq=False, slots=True)
class Tile:
    """Tile (``row``, ``col``): ``pixels`` (band, H, W) in DN and ``mask`` of the same shape, or
    None where all are valid; ``empty``: none is.

    ``signal``: the same pixels, holes filled, with ``margin`` more on each side; None where the
    tile is empty or already in model units.
    """

    row: int
    col: int
    pixels: NDArray[Any]
    mask: NDArray[np.bool_] | None
    empty: bool
    signal: NDArray[Any] | None
    margin: int = 0


def read_tile(read: Read, plan: TilePlan, scale: Scale, row: int, col: int) -> Tile:
    """Read one tile of ``plan``. Its holes are filled from valid pixels up to a halo away, which
    may lie outside the tile: every tile that sees a hole sees the same filling.
    """
    window = plan.window(row, col)
    if not scale.varies:  # then most tiles need no more than themselves
        pixels, mask = read(window)
        if mask is None:
            return Tile(row, col, pixels, None, False, pixels)
        if not mask.any():
            return Tile(row, col, pixels, mask, True, None)
    apron = window.grown(plan.halo)
    wide, wide_mask = read(apron)
    margin = LOCAL if scale.varies else 0
    inside, around = (
        (slice(None), *part.slices(apron.row, apron.col)) for part in (window, window.grown(margin))
    )
    # Copies, or what lies around them would wait with them.
    if wide_mask is None:
        signal = wide[around].copy()
        return Tile(row, col, _without(signal, margin), None, False, signal, margin)
    pixels, mask = wide[inside].copy(), wide_mask[inside].copy()
    if not mask.any():
        return Tile(row, col, pixels, mask, True, None)
    signal = fill(wide, wide_mask, plan.halo, scale.offset)[around].copy()
    return Tile(row, col, pixels, mask, False, signal, margin)


def to_model(
    tile: Tile, scale: Scale, model: NDArray[np.float32], level: NDArray[np.float32] | None
) -> None:
    """Write ``tile`` (component, H, W) in model units into ``model``, and the level of its noise
    into ``level`` where one is given. Strip by strip, and the tile's ``signal`` is let go: both
    bound the memory.
    """
    assert tile.signal is not None
    for top in range(0, model.shape[1], STRIP):
        rows = slice(top, top + STRIP)
        around = tile.signal[:, top : top + STRIP + 2 * tile.margin]
        model[:, rows] = scale.to_model(_without(around, tile.margin))
        if level is not None:
            level[:, rows] = scale.level(scale.variance(_without(local_mean(around), tile.margin)))
    tile.signal = None


def _without(pixels: NDArray[Any], margin: int) -> NDArray[Any]:
    """``pixels`` (band, H, W) without ``margin`` of them on each side."""
    height, width = pixels.shape[1:]
    return pixels[:, margin : height - margin, margin : width - margin]


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


def ahead(
    executor: Executor, function: Callable[[T], R], items: Iterable[T], depth: int
) -> Iterator[R]:
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
