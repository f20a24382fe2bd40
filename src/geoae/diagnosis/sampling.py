"""Sample windows of a scene; the sample is bounded and deterministic."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from geoae.diagnosis.patches import count_places
from geoae.tiling.window import FEW, GRID, SIDE, Read, Window, grids, windows
from geoae.types import Mask, Pixels, Samples

__all__ = ["count_valid", "grids_of", "has_enough_valid", "sample"]

# Side of the blocks in which a whole scene is searched, a multiple of SIDE, and side of the squares
# whose valid pixels are counted.
BLOCK = 2 * SIDE
SQUARE = 32


def sample(read: Read, height: int, width: int) -> Samples:
    """Draw the windows from which all statistics of a scene are computed.

    At first on a grid, then on a finer one. Where these hold too few valid pixels of some band, the
    whole scene is searched, once: strips and islands may lie between the windows.

    Args:
        read: gives the pixels and the mask of a window.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        Pixels in DN and mask, True = valid, ``(band, row, col)`` of each window.

    """
    for grid in grids_of(height, width):
        found = [_read(read, window) for window in windows(height, width, *grid)]
        if has_enough_valid(found):
            return found
    return found if _is_small(height, width) else _search(read, height, width)


def grids_of(height: int, width: int) -> list[tuple[int, int]]:
    """Side and count of the windows to look through: the first ones alone where they hold all of a
    scene of ``height`` x ``width`` px.
    """
    return grids()[:1] if _is_small(height, width) else grids()


def _is_small(height: int, width: int) -> bool:
    return max(height, width) <= SIDE * GRID


def has_enough_valid(samples: Samples) -> bool:
    """Whether a sample holds enough valid pixels side by side, of every band, to measure noise."""
    return bool((count_places(samples) >= FEW).all())


def count_valid(samples: Samples) -> NDArray[np.intp]:
    """Count the valid pixels of each band, ``(band,)``."""
    counts = [np.count_nonzero(mask, axis=(1, 2)) for _, mask in samples]
    return np.sum(counts, axis=0, dtype=np.intp)


def _read(read: Read, window: Window) -> tuple[Pixels, Mask]:
    pixels, mask = read(window)
    return pixels, np.ones(pixels.shape, dtype=bool) if mask is None else mask


def _search(read: Read, height: int, width: int) -> Samples:
    """The windows of a whole scene in which there is most to measure, as many as on a grid."""
    blocks = [
        Window(row, col, min(BLOCK, height - row), min(BLOCK, width - col))
        for row in range(0, height, BLOCK)
        for col in range(0, width, BLOCK)
    ]
    best: list[tuple[Pixels, Mask]] = []
    for block in blocks:
        pixels, mask = _read(read, block)
        if not mask.any():
            continue
        inside = (slice(None), *_fullest(mask))
        # Copies, or the whole blocks would stay in memory.
        best.append((pixels[inside].copy(), mask[inside].copy()))
        if len(best) > GRID * GRID:
            best.pop(_least_telling(best))
    return best or [_read(read, blocks[0])]


def _fullest(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns of the window of ``SIDE`` px with most valid pixels; all bands count the
    same, however many of theirs are valid.
    """
    counts = np.maximum(np.count_nonzero(mask, axis=(1, 2)), 1)
    weight = np.tensordot(1 / counts, mask, 1)
    rows, cols = (np.arange(0, size, SQUARE) for size in weight.shape)
    squares = np.add.reduceat(np.add.reduceat(weight, rows, axis=0), cols, axis=1)
    side = SIDE // SQUARE
    padded = np.pad(squares, [(0, max(side - size, 0)) for size in squares.shape])
    sums = sliding_window_view(padded, (side, side)).sum(axis=(2, 3))
    row, col = (int(place) * SQUARE for place in np.unravel_index(sums.argmax(), sums.shape))
    return slice(row, row + SIDE), slice(col, col + SIDE)


def _least_telling(samples: Samples) -> int:
    """Which of ``samples`` holds the least of what there is of the bands, of each its share."""
    counts = np.array([np.count_nonzero(mask, axis=(1, 2)) for _, mask in samples])
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    return int(shares.sum(axis=1).argmin())
