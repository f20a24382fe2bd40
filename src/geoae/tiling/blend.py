"""Overlap-add of tiles whose weights sum to one by construction."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geoae.tiling.plan import Axis, TilePlan
from geoae.types import Array

__all__ = ["RAMPS", "Mosaic", "weights"]

Ramp = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def linear(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """``t``."""
    return t


def smooth(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """``3 t^2 - 2 t^3``, flat at both ends (smoothstep)."""
    return t * t * (3.0 - 2.0 * t)


# f on 0..1, monotone, f(t) + f(1 - t) = 1.
RAMPS: dict[str, Ramp] = {
    "linear": linear,
    "smooth": smooth,
}


def weights(axis: Axis, index: int, halo: int, ramp: str) -> Array:
    """Weights ``(tile,)`` of one tile along an axis.

    Beside a neighbour: zero over the first ``halo`` pixels, where the network misses context, then
    the ramp, one from there on. At the scene's border: one. A falling edge is one minus the
    neighbour's rising edge, so any two sum to one in float32 too, up to one rounding.
    """
    inner = axis.overlap - 2 * halo
    rising = np.zeros(axis.overlap, dtype=np.float32)
    rising[halo : halo + inner] = RAMPS[ramp]((np.arange(inner) + 0.5) / inner)
    rising[halo + inner :] = 1.0
    result = np.ones(axis.tile, dtype=np.float32)
    if index > 0:
        result[: axis.overlap] = rising
    if index < axis.count - 1:
        result[-axis.overlap :] = 1.0 - rising
    return result


class Mosaic:
    """Takes tiles in reading order and gives back the pixels that each completes.

    Of an overlap, only the pixels where both tiles have a weight wait for the second one: some rows
    over the full width, and some columns of the tile to the left. With the least overlap that the
    halo allows they are a few, so that memory hardly depends on the width and never on the height.
    """

    def __init__(self, plan: TilePlan, components: int, ramp: str) -> None:
        self._plan, self._ramp = plan, ramp
        rows, cols = plan.rows, plan.cols
        width = (cols.count - 1) * cols.stride + cols.tile
        down, across = (axis.overlap - plan.halo - plan.settled(axis) for axis in (rows, cols))
        self._above = np.zeros((components, down, width), dtype=np.float32)
        self._left = np.zeros((components, rows.tile, across), dtype=np.float32)

    def add(self, row: int, col: int, tile: Array) -> Array:
        """Blend in tile (``row``, ``col``), ``(component, tile, tile)``, which is overwritten.

        Returns ``(component, height, width)`` of ``plan.completed(row, col)``, a view of ``tile``.
        A mosaic may begin at any row of tiles; what its first row completes is then not to be used.
        """
        rows, cols = self._plan.rows, self._plan.cols
        top, left = self._plan.settled(rows), self._plan.settled(cols)
        tile *= weights(cols, col, self._plan.halo, self._ramp)
        tile *= weights(rows, row, self._plan.halo, self._ramp)[:, None]
        across = self._left.shape[2]
        if col > 0:
            tile[:, :, left : left + across] += self._left
        if col < cols.count - 1:
            self._left[:] = tile[:, :, cols.stride + left : cols.stride + left + across]
        # Columns that no other tile of this row adds to.
        begin = left if col > 0 else 0
        end = cols.stride + left if col < cols.count - 1 else cols.tile
        final = tile[:, :, begin:end]
        down = self._above.shape[1]
        above = self._above[:, :, col * cols.stride + begin : col * cols.stride + end]
        if row > 0:
            final[:, top : top + down] += above
        if row < rows.count - 1:
            above[:] = final[:, rows.stride + top : rows.stride + top + down]
        window = self._plan.completed(row, col)
        return tile[(slice(None), *window.slices(rows.start(row), cols.start(col)))]
