"""Overlap-add of tiles, with weights that sum to one by construction."""

from collections.abc import Callable

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from geoae.tiling.plan import Axis, TilePlan
from geoae.types import Array, DeviceArray

__all__ = ["RAMPS", "Mosaic", "weights"]

Ramp = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def linear(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``t``."""
    return t


def smooth(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``3 t^2 - 2 t^3`` (smoothstep), which is flat at both ends."""
    return t * t * (3.0 - 2.0 * t)


# Functions on 0..1, monotone, with f(t) + f(1 - t) = 1.
RAMPS: dict[str, Ramp] = {
    "linear": linear,
    "smooth": smooth,
}


def weights(axis: Axis, index: int, halo: int, ramp: str) -> Array:
    """Compute the weights of one tile along an axis.

    Beside a neighbour they are zero over the first ``halo`` pixels, where the network lacks
    context; then they follow the ramp up to one. At the scene's border they are one. A falling edge
    is one minus the neighbour's rising edge, so the two sum to one in float32 too, up to one
    rounding.

    Args:
        axis: the tiles along the axis.
        index: number of the tile.
        halo: halo of the network in pixels.
        ramp: key of ``RAMPS``.

    Returns:
        Weights ``(tile,)``.

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
    """Blends tiles that arrive row by row, and returns the pixels that each one completes.

    Of an overlap, only pixels where both tiles have a weight wait for the second tile: some rows
    over the full width, and some columns of the tile to the left. With the least overlap that the
    halo allows these are few, so memory hardly depends on the width and never on the height.

    Args:
        plan: tiles of the scene.
        components: components of each tile.
        ramp: key of ``RAMPS``.

    """

    def __init__(self, plan: TilePlan, components: int, ramp: str) -> None:
        self._plan, self._ramp = plan, ramp
        rows, cols = plan.rows, plan.cols
        width = (cols.count - 1) * cols.stride + cols.tile
        down, across = (
            axis.overlap - plan.halo - plan.settled_pixels(axis) for axis in (rows, cols)
        )
        # What waits for another tile. It lies where the first tile does.
        self._sizes = ((components, down, width), (components, rows.tile, across))
        self._waiting: tuple[DeviceArray, DeviceArray] | None = None
        self._weights: dict[tuple[Axis, int], DeviceArray] = {}

    def add(self, row: int, col: int, tile: DeviceArray) -> DeviceArray:
        """Blend in one tile. The first one may belong to any row; what that row completes is then
        wrong.

        Args:
            row: row of the tile in the plan.
            col: column of the tile in the plan.
            tile: its residual ``(component, tile, tile)``, float32, which is overwritten. All tiles
                are of one library and lie on one device.

        Returns:
            Residual ``(component, height, width)`` of ``plan.completed_window(row, col)``, a view
            of ``tile``.

        """
        rows, cols = self._plan.rows, self._plan.cols
        top, left = self._plan.settled_pixels(rows), self._plan.settled_pixels(cols)
        tile *= self._weigh(cols, col, tile)
        tile *= self._weigh(rows, row, tile)[:, None]
        if self._waiting is None:
            xp, where = array_namespace(tile), device(tile)
            one, other = (xp.zeros(size, dtype=xp.float32, device=where) for size in self._sizes)
            self._waiting = one, other
        waiting_above, waiting_left = self._waiting
        across = waiting_left.shape[2]
        if col > 0:
            tile[:, :, left : left + across] += waiting_left
        if col < cols.count - 1:
            waiting_left[...] = tile[:, :, cols.stride + left : cols.stride + left + across]
        # Columns that no other tile of this row adds to.
        begin = left if col > 0 else 0
        end = cols.stride + left if col < cols.count - 1 else cols.tile
        final = tile[:, :, begin:end]
        down = waiting_above.shape[1]
        above = waiting_above[:, :, col * cols.stride + begin : col * cols.stride + end]
        if row > 0:
            final[:, top : top + down, :] += above
        if row < rows.count - 1:
            above[...] = final[:, rows.stride + top : rows.stride + top + down, :]
        window = self._plan.completed_window(row, col)
        return tile[(slice(None), *window.slices(rows.start(row), cols.start(col)))]

    def _weigh(self, axis: Axis, index: int, tile: DeviceArray) -> DeviceArray:
        """Return the weights of a tile along an axis: first tiles, last tiles, and those between
        have the same ones.
        """
        kind = axis, 0 if index == 0 else 2 if index == axis.count - 1 else 1
        if kind not in self._weights:
            found = weights(axis, index, self._plan.halo, self._ramp)
            self._weights[kind] = array_namespace(tile).asarray(found, device=device(tile))
        return self._weights[kind]
