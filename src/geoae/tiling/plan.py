"""The tiles of a scene, and the pixels that each of them completes, as pure arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from geoae.errors import RecipeError
from geoae.tiling.window import Window

__all__ = ["Axis", "Slab", "TilePlan"]


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


@dataclass(frozen=True, slots=True)
class Axis:
    """Tiles along one axis; neighbours overlap.

    Tile ``i`` covers ``start(i) .. start(i) + tile``. Pixels outside the scene are its reflection.
    """

    size: int
    """Length of the scene in pixels."""
    tile: int
    """Length of a tile in pixels."""
    overlap: int
    """Pixels that neighbours share."""
    pad: int
    """Pixels by which the first tile begins before the scene."""
    count: int
    """Number of tiles."""

    @classmethod
    def fit(cls, size: int, tile: int, overlap: int, pad: int, multiple: int) -> Self:
        """Plan the least number of tiles, and then make them as small as possible.

        The stride is a multiple of ``multiple`` and at least the overlap, so no more than two tiles
        meet along an axis, and the last overhang is below ``count * multiple``.

        Args:
            size: length of the scene in pixels.
            tile: largest length of a tile in pixels.
            overlap: pixels that neighbours share, a multiple of ``multiple``.
            pad: pixels by which tiles reach beyond the scene.
            multiple: divisor of the lengths of tiles.

        """
        span = size + 2 * pad
        if span <= _up(tile, multiple):
            return cls(size, _up(span, multiple), overlap, pad, 1)
        count = max(2, -(-(span - overlap) // (tile - overlap)))
        stride = max(_up(-(-(span - overlap) // count), multiple), overlap)
        count = -(-(span - overlap) // stride)
        return cls(size, stride + overlap, overlap, pad, count)

    @property
    def stride(self) -> int:
        """Distance between neighbours in pixels."""
        return self.tile - self.overlap

    def start(self, index: int) -> int:
        """Return the first pixel of a tile in scene coordinates; negative for the first tile."""
        return index * self.stride - self.pad

    def completed_range(self, index: int, settled: int) -> tuple[int, int]:
        """Return the pixels of the scene that are final once a tile has been added.

        Args:
            index: number of the tile.
            settled: pixels of an overlap that need only the first of its two tiles.

        Returns:
            Start and stop.

        """
        begins, ends = self.start(index) + settled, self.start(index + 1) + settled
        start = 0 if index == 0 else min(max(begins, 0), self.size)
        stop = self.size if index == self.count - 1 else min(max(ends, 0), self.size)
        return start, stop


@dataclass(frozen=True, slots=True)
class Slab:
    """Consecutive rows of tiles, and the full-width rows of the scene that they complete."""

    index: int
    """Number of the slab."""
    first: int
    """First row of tiles."""
    stop: int
    """Row of tiles after the last one."""
    window: Window
    """Rows of the scene."""


@dataclass(frozen=True, slots=True)
class TilePlan:
    """The tiles of a scene, on the network's grid."""

    rows: Axis
    """Tiles along the height."""
    cols: Axis
    """Tiles along the width."""
    halo: int
    """Halo of the network in pixels."""
    multiple: int
    """Grid of the network in pixels."""

    @classmethod
    def fit(
        cls,
        height: int,
        width: int,
        *,
        tile: int,
        overlap: int | None = None,
        halo: int,
        multiple: int,
    ) -> Self:
        """Plan the tiles of a scene.

        Args:
            height: rows of the scene.
            width: columns of the scene.
            tile: largest side of a tile in pixels.
            overlap: least overlap of neighbours in pixels; by default what the halo needs.
            halo: halo of the network in pixels.
            multiple: divisor of tile sides.

        Raises:
            RecipeError: tile or overlap is so small that a tiled result would differ from a whole
                one.

        """
        needed = _up(2 * halo + 1, multiple)
        overlap = needed if overlap is None else _up(overlap, multiple)
        if overlap < needed:
            raise RecipeError(
                f"overlap of {overlap} px is too small for a network with a halo of {halo} px: "
                f"give --overlap {needed} or more, or leave it out"
            )
        if tile < 2 * overlap:
            raise RecipeError(
                f"tile of {tile} px is too small for an overlap of {overlap} px: "
                f"give --tile {2 * overlap} or more, or leave it out"
            )
        tile, pad = tile // multiple * multiple, _up(halo, multiple)
        rows, cols = (Axis.fit(size, tile, overlap, pad, multiple) for size in (height, width))
        return cls(rows, cols, halo, multiple)

    def window(self, row: int, col: int) -> Window:
        """Return the window of a tile in scene coordinates, which may reach beyond the scene.

        Args:
            row: row of the tile.
            col: column of the tile.

        """
        return Window(self.rows.start(row), self.cols.start(col), self.rows.tile, self.cols.tile)

    def settled_pixels(self, axis: Axis) -> int:
        """Return the pixels of an overlap, from its start, to which the second tile gives no
        weight.

        The first tile completes them. They are at most the halo, and so few that the last tile
        always completes some pixels.
        """
        return min(self.halo, axis.overlap - axis.pad)

    def completed_window(self, row: int, col: int) -> Window:
        """Return the window of the scene that a tile completes; together these cover it exactly
        once.

        Args:
            row: row of the tile.
            col: column of the tile.

        """
        top, bottom = self.rows.completed_range(row, self.settled_pixels(self.rows))
        left, right = self.cols.completed_range(col, self.settled_pixels(self.cols))
        return Window(top, left, bottom - top, right - left)

    def slabs(self, tile_rows: int = 1) -> Iterator[Slab]:
        """Yield slabs of ``tile_rows`` rows of tiles each; the last may have fewer."""
        for index, first in enumerate(range(0, self.rows.count, tile_rows)):
            stop = min(first + tile_rows, self.rows.count)
            top, bottom = (
                self.completed_window(first, 0).row,
                self.completed_window(stop - 1, 0).stop_row,
            )
            yield Slab(index, first, stop, Window(top, 0, bottom - top, self.cols.size))

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.rows.count * self.cols.count
