"""Overlap-add of tiles whose weights sum to one by construction."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from geoae.plan import Axis, TilePlan

__all__ = ["RAMPS", "Mosaic", "weights"]

Array = NDArray[np.float32]
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

    Holds the last ``overlap`` rows of the row of tiles above, over the full width, and the last
    ``overlap`` columns of the tile to the left: memory grows with the scene's width times the
    overlap, never with its height.
    """

    def __init__(self, plan: TilePlan, components: int, ramp: str) -> None:
        self._plan, self._ramp = plan, ramp
        width = plan.cols.start(plan.cols.count - 1) + plan.cols.tile + plan.cols.pad
        self._above = np.zeros((components, plan.rows.overlap, width), dtype=np.float32)
        self._left = np.zeros((components, plan.rows.tile, plan.cols.overlap), dtype=np.float32)

    def add(self, row: int, col: int, tile: Array) -> Array:
        """Blend in tile (``row``, ``col``), ``(component, tile, tile)``, which is overwritten.

        Returns ``(component, height, width)`` of ``plan.completed(row, col)``. A mosaic may begin
        at any row of tiles; what its first row completes is then not to be used.
        """
        rows, cols = self._plan.rows, self._plan.cols
        tile *= weights(cols, col, self._plan.halo, self._ramp)
        tile *= weights(rows, row, self._plan.halo, self._ramp)[:, None]
        if col > 0:
            tile[:, :, : cols.overlap] += self._left
        if col < cols.count - 1:
            self._left[:] = tile[:, :, -cols.overlap :]
        final = tile if col == cols.count - 1 else tile[:, :, : cols.stride]
        begin = col * cols.stride
        above = self._above[:, :, begin : begin + final.shape[2]]
        if row > 0:
            final[:, : rows.overlap] += above
        if row < rows.count - 1:
            above[:] = final[:, -rows.overlap :]
        window = self._plan.completed(row, col)
        return final[(slice(None), *window.slices(rows.start(row), cols.start(col)))]
