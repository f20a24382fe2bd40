"""Which tiles a scene is cut into, and which pixels each of them completes: arithmetic alone."""

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
    """Tiles along one axis of ``size`` pixels: ``count`` tiles of ``tile`` pixels, one ``stride``.

    Tile ``i`` covers ``start(i) .. start(i) + tile``, where the first begins ``pad`` pixels before
    the scene. What lies outside the scene is its reflection. Neighbours share ``overlap`` pixels.
    """

    size: int
    tile: int
    overlap: int
    pad: int
    count: int

    @classmethod
    def fitted(cls, size: int, tile: int, overlap: int, pad: int, multiple: int) -> Self:
        """The least number of tiles of at most ``tile`` pixels, each then as small as can be.

        The stride stays a multiple of ``multiple`` and no less than the overlap, so at most two
        tiles meet along an axis and the last overhang is below ``count * multiple``.
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
        """Distance from tile to tile."""
        return self.tile - self.overlap

    def start(self, index: int) -> int:
        """First pixel of a tile in scene coordinates; negative for the first."""
        return index * self.stride - self.pad

    def completed(self, index: int, settled: int) -> tuple[int, int]:
        """Start and stop of the scene's pixels that are final once tile ``index`` is in.

        ``settled``: how many pixels of an overlap need no more than the first of its two tiles.
        """
        begins, ends = self.start(index) + settled, self.start(index + 1) + settled
        start = 0 if index == 0 else min(max(begins, 0), self.size)
        stop = self.size if index == self.count - 1 else min(max(ends, 0), self.size)
        return start, stop


@dataclass(frozen=True, slots=True)
class Slab:
    """Tile rows ``first .. stop`` and the full-width rows of the scene they complete."""

    index: int
    first: int
    stop: int
    window: Window


@dataclass(frozen=True, slots=True)
class TilePlan:
    """The one global cut of a scene: ``rows`` x ``cols`` tiles on the network's grid."""

    rows: Axis
    cols: Axis
    halo: int
    multiple: int

    @classmethod
    def fitted(
        cls,
        height: int,
        width: int,
        *,
        tile: int,
        overlap: int | None = None,
        halo: int,
        multiple: int,
    ) -> Self:
        """Plan ``height`` x ``width`` pixels in tiles of at most ``tile`` pixels a side.

        ``overlap``: least number of pixels that neighbours share; by default just what the halo
        asks for. Raises ``RecipeError`` where tiled could not equal whole.
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
        rows, cols = (Axis.fitted(size, tile, overlap, pad, multiple) for size in (height, width))
        return cls(rows, cols, halo, multiple)

    def window(self, row: int, col: int) -> Window:
        """What tile (``row``, ``col``) covers, in scene coordinates; may reach beyond the scene."""
        return Window(self.rows.start(row), self.cols.start(col), self.rows.tile, self.cols.tile)

    def settled(self, axis: Axis) -> int:
        """Pixels of an overlap, from its start, that its first tile completes: the second gives
        them no weight.

        At most the halo, and so few that the last tile always has something to complete.
        """
        return min(self.halo, axis.overlap - axis.pad)

    def completed(self, row: int, col: int) -> Window:
        """The scene's pixels that tile (``row``, ``col``) completes; together they cover it
        once.
        """
        top, bottom = self.rows.completed(row, self.settled(self.rows))
        left, right = self.cols.completed(col, self.settled(self.cols))
        return Window(top, left, bottom - top, right - left)

    def slabs(self, tile_rows: int = 1) -> Iterator[Slab]:
        """Slabs of ``tile_rows`` rows of tiles each, the last perhaps fewer."""
        for index, first in enumerate(range(0, self.rows.count, tile_rows)):
            stop = min(first + tile_rows, self.rows.count)
            top, bottom = self.completed(first, 0).row, self.completed(stop - 1, 0).stop_row
            yield Slab(index, first, stop, Window(top, 0, bottom - top, self.cols.size))

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.rows.count * self.cols.count
