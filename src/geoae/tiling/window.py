"""Rectangles of pixels, the few that are looked through for a sample, and the reflection beyond a
border.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEW", "GRID", "SIDE", "Read", "Window", "grids", "reflect", "windows"]

SIDE = 192
GRID = 4
# Where the first windows hold almost no valid pixel, finer grids of smaller ones look for some.
FEW = 1024


@dataclass(frozen=True, slots=True)
class Window:
    """``height`` x ``width`` pixels from (``row``, ``col``); row always before col."""

    row: int
    col: int
    height: int
    width: int

    @property
    def stop_row(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def stop_col(self) -> int:
        """First column right of the window."""
        return self.col + self.width

    def grown(self, margin: int) -> Self:
        """The window with ``margin`` pixels more on every side."""
        return type(self)(
            self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin
        )

    def clipped(self, height: int, width: int) -> Self:
        """The part inside a raster of ``height`` x ``width``; empty where there is none."""
        row, col = min(max(self.row, 0), height), min(max(self.col, 0), width)
        stop_row, stop_col = (
            min(max(self.stop_row, row), height),
            min(max(self.stop_col, col), width),
        )
        return type(self)(row, col, stop_row - row, stop_col - col)

    def slices(self, row: int = 0, col: int = 0) -> tuple[slice, slice]:
        """Slices of this window in an array whose first pixel is (``row``, ``col``)."""
        return slice(self.row - row, self.stop_row - row), slice(
            self.col - col, self.stop_col - col
        )


def reflect(start: int, length: int, size: int) -> NDArray[np.intp]:
    """Indices into an axis of ``size`` pixels for positions ``start .. start + length``.

    Positions outside 0 .. size are mirrored about the border pixels, which are not repeated, as
    often as it takes: any length is served by any size from 1 up.
    """
    if size == 1:
        return np.zeros(length, dtype=np.intp)
    period = 2 * (size - 1)
    folded = np.arange(start, start + length, dtype=np.intp) % period
    return np.minimum(folded, period - folded)


def windows(height: int, width: int, side: int = SIDE, grid: int = GRID) -> list[Window]:
    """At most ``grid`` x ``grid`` windows of at most ``side`` px, evenly spread over the scene.

    A scene no larger than they are together is covered whole.
    """

    def starts(size: int) -> list[tuple[int, int]]:
        count = min(grid, -(-size // side))
        edges = np.linspace(0, size, count + 1).astype(int)
        length = int(min(side, np.diff(edges).max()))
        return [
            (int(np.clip((a + b - length) // 2, 0, size - length)), length)
            for a, b in pairwise(edges)
        ]

    return [Window(row, col, h, w) for row, h in starts(height) for col, w in starts(width)]


def grids() -> list[tuple[int, int]]:
    """Side and count of the windows to look through, the next where the last were nearly empty."""
    return [(SIDE, GRID), (SIDE // 4, GRID * 4)]


Read = Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_] | None]]
