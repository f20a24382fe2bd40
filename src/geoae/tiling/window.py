"""Windows of pixels, those that are sampled, and reflection beyond the border."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["FEW", "GRID", "SIDE", "Read", "Window", "grids", "reflect", "reflect_inside", "windows"]

SIDE = 192
GRID = 4
# If the first windows hold fewer valid pixels than this, a finer grid of smaller ones is sampled.
FEW = 1024


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels; rows always come before columns."""

    row: int
    """First row."""
    col: int
    """First column."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""

    @property
    def stop_row(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def stop_col(self) -> int:
        """First column right of the window."""
        return self.col + self.width

    def expand(self, margin: int) -> Self:
        """Return the window with ``margin`` more pixels on every side."""
        return type(self)(
            self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin
        )

    def clip(self, height: int, width: int) -> Self:
        """Return the part of the window inside a raster; empty where there is none.

        Args:
            height: rows of the raster.
            width: columns of the raster.

        """
        row, col = min(max(self.row, 0), height), min(max(self.col, 0), width)
        stop_row, stop_col = (
            min(max(self.stop_row, row), height),
            min(max(self.stop_col, col), width),
        )
        return type(self)(row, col, stop_row - row, stop_col - col)

    def slices(self, row: int = 0, col: int = 0) -> tuple[slice, slice]:
        """Return the slices of the window in an array.

        Args:
            row: row of the array's first pixel.
            col: column of the array's first pixel.

        """
        return slice(self.row - row, self.stop_row - row), slice(
            self.col - col, self.stop_col - col
        )


def reflect(start: int, length: int, size: int) -> NDArray[np.intp]:
    """Map positions along an axis to indices into it.

    Positions beyond the ends are mirrored about the border pixels, which are not repeated, as often
    as necessary: any length works with any size from 1 up.

    Args:
        start: first position, which may be negative.
        length: number of positions.
        size: number of pixels along the axis.

    Returns:
        Indices ``(length,)`` in ``0 .. size - 1``.

    """
    if size == 1:
        return np.zeros(length, dtype=np.intp)
    period = 2 * (size - 1)
    folded = np.arange(start, start + length, dtype=np.intp) % period
    return np.minimum(folded, period - folded)


A = TypeVar("A", bound=np.generic)


def reflect_inside(
    window: Window, height: int, width: int
) -> tuple[Window, Callable[[NDArray[A]], NDArray[A]]]:
    """Find what to read of a scene for a window that may reach beyond it.

    Args:
        window: the window.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        The window to read, inside the scene, and what makes the pixels ``(band, row, col)`` of
        ``window`` from its pixels.

    """
    rows = reflect(window.row, window.height, height)
    cols = reflect(window.col, window.width, width)
    inner = Window(int(rows.min()), int(cols.min()), int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1)

    def continued(pixels: NDArray[A]) -> NDArray[A]:
        if inner == window:
            return pixels
        # Rows first, while they are whole: three times as fast as both at once.
        return pixels[:, rows - inner.row].take(cols - inner.col, axis=2)

    return inner, continued


def windows(height: int, width: int, side: int = SIDE, grid: int = GRID) -> list[Window]:
    """Choose windows evenly spread over a scene. A small scene is covered whole.

    Args:
        height: rows of the scene.
        width: columns of the scene.
        side: largest side of a window in pixels.
        grid: most windows along each axis.

    Returns:
        The windows, row by row.

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
    """Return side and count of the windows to sample; the second pair is for nearly empty
    scenes.
    """
    return [(SIDE, GRID), (SIDE // 4, GRID * 4)]


Read = Callable[[Window], tuple[NDArray[Any], NDArray[np.bool_] | None]]
