"""Sample windows of a scene; the sample is bounded and deterministic."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from geoae.diagnosis.patches import count_places
from geoae.tiling.window import GRID, SIDE, Read, Window, grids, windows
from geoae.types import Mask, Pixels, Samples

__all__ = [
    "Drawn",
    "count_valid",
    "draw_sample",
    "has_enough_valid",
    "is_small",
    "read_masked",
    "sample",
]

# Places of patches that a sample of a band holds at least, where the scene has them.
ENOUGH_PLACES = 2_000
# A whole scene is searched in windows of its width, of so many rows or pixels of all bands at most:
# rows and blocks of a file are then read once. Each is looked at in blocks of so many columns.
ROWS, PIXELS = 512, 1 << 26
BLOCK = 512
# Side of the squares whose valid pixels are counted, a divisor of SIDE. Blocks and strips overlap
# by it too.
SQUARE = 32
# Windows that a search keeps at most, where few of their pixels are valid; fewer of many bands.
MOST = 256


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """The sample of a scene."""

    samples: Samples
    """Pixels in DN and mask, True = valid, ``(band, row, col)`` of each window."""
    kept: list[int]
    """Indices of the bands that are in it: those that have any valid pixel."""


def draw_sample(
    only: Callable[[Sequence[int]], AbstractContextManager[Read]],
    bands: int,
    height: int,
    width: int,
) -> Drawn:
    """Draw the windows from which all statistics of a scene are computed.

    At first on a grid, then on a finer one. Where these hold too few valid pixels of some band, the
    whole scene is searched: strips and islands may lie between the windows.

    Args:
        only: opens the bands of some indices for reading.
        bands: number of the bands.
        height: rows of the scene.
        width: columns of the scene.

    """
    kept = list(range(bands))
    with only(kept) as read:
        found = _look(read, height, width)
    unseen = np.flatnonzero(count_valid(found) == 0).tolist()
    if unseen:
        with only(unseen) as read:
            seen = _find_valid(read, len(unseen), height, width)
        empty = [band for band, valid in zip(unseen, seen, strict=True) if not valid]
        kept = [band for band in kept if band not in empty]
        found = [(pixels[kept], mask[kept]) for pixels, mask in found]
    if not kept:
        return Drawn([], kept)
    with only(kept) as read:
        return Drawn(_complete(found, read, height, width), kept)


def sample(read: Read, height: int, width: int) -> Samples:
    """Draw the same sample of a scene of which all bands count, whether they are valid or not.

    Args:
        read: gives the pixels and the mask of a window.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        Pixels in DN and mask, True = valid, ``(band, row, col)`` of each window.

    """
    return _complete(_look(read, height, width), read, height, width)


def _look(read: Read, height: int, width: int) -> Samples:
    """Read windows on a grid; on a finer one where these hold too few valid pixels."""
    found: Samples = []
    for grid in grids():
        found = [read_masked(read, window) for window in windows(height, width, *grid)]
        if has_enough_valid(found) or is_small(height, width):
            break
    return found


def _complete(found: Samples, read: Read, height: int, width: int) -> Samples:
    """Return what ``_look`` has ``found`` if that is enough, else what the whole scene holds."""
    if has_enough_valid(found) or (len(found) == 1 and is_small(height, width)):
        return found
    if is_small(height, width):
        return [read_masked(read, Window(0, 0, height, width))]
    bands = len(found[0][0])
    best = _search(read, bands, height, width)
    if len(best) < GRID * GRID or has_enough_valid(best):
        return best
    # Pixels are valid in many places, but hardly any side by side.
    return _search(read, bands, height, width, SIDE - SQUARE)


def has_enough_valid(samples: Samples) -> bool:
    """Whether a sample holds enough of every band to estimate its noise."""
    # Counting the places that all bands share is quick, and mostly suffices.
    shared = [(p, np.logical_and.reduce(mask, axis=0, keepdims=True)) for p, mask in samples]
    return bool(
        count_places(shared)[0] >= ENOUGH_PLACES or (count_places(samples) >= ENOUGH_PLACES).all()
    )


def count_valid(samples: Samples) -> NDArray[np.intp]:
    """Count the valid pixels of each band, ``(band,)``."""
    counts = [np.count_nonzero(mask, axis=(1, 2)) for _, mask in samples]
    return np.sum(counts, axis=0, dtype=np.intp)


def _find_valid(read: Read, bands: int, height: int, width: int) -> NDArray[np.bool_]:
    """Which bands have any valid pixel, ``(band,)``. The scene is read until each has one, or to
    its end.
    """
    found = np.zeros(bands, dtype=bool)
    for _, mask in _strips(read, bands, height, width):
        found |= mask.any(axis=(1, 2))
        if found.all():
            break
    return found


def is_small(height: int, width: int) -> bool:
    """Whether the windows of the first grid hold all of a scene.

    Args:
        height: rows of the scene.
        width: columns of the scene.

    """
    return max(height, width) <= SIDE * GRID


def read_masked(read: Read, window: Window) -> tuple[Pixels, Mask]:
    """Read a window with its mask, also where all pixels are valid.

    Args:
        read: reads a window of the scene.
        window: the window.

    Returns:
        Pixels ``(band, row, col)``, and a mask of their shape, true where they are valid.

    """
    pixels, mask = read(window)
    return pixels, np.ones(pixels.shape, dtype=bool) if mask is None else mask


def _strips(read: Read, bands: int, height: int, width: int) -> Iterator[tuple[Pixels, Mask]]:
    """All of a scene, from top to bottom; each strip begins with the last rows of that before."""
    rows = int(np.clip(PIXELS // (bands * width) // SQUARE * SQUARE, SQUARE, ROWS))
    for row in range(0, height, rows):
        top = max(row - SQUARE, 0)
        yield read_masked(read, Window(top, 0, min(row + rows, height) - top, width))


@dataclass(frozen=True, eq=False, slots=True)
class _Found:
    """A window that a search has found; ``valid`` pixels and ``places`` of patches, ``(band,)``."""

    pixels: Pixels
    mask: Mask
    valid: NDArray[np.intp]
    places: NDArray[np.intp]

    @classmethod
    def of(cls, pixels: Pixels, mask: Mask) -> Self:
        """Count what is in a window."""
        one: Samples = [(pixels, mask)]
        return cls(pixels, mask, count_valid(one), count_places(one))


def _search(read: Read, bands: int, height: int, width: int, side: int = BLOCK) -> Samples:
    """The windows of a whole scene in which there is most to measure, one of each block of ``side``
    px: as many as on a grid, or more where few of their pixels are valid.
    """
    best: list[_Found] = []
    for number, (pixels, mask) in enumerate(_strips(read, bands, height, width)):
        for block in _blocks(mask, side, SQUARE if number else 0):
            if not mask[block].any():
                continue
            inside = (slice(None), *_fullest(mask[block]))
            # Copies, or the whole strips would stay in memory.
            best.append(_Found.of(pixels[block][inside].copy(), mask[block][inside].copy()))
            while len(best) > GRID * GRID and (found := _without_least(best)):
                best = found
    if not best:
        return [read_masked(read, Window(0, 0, min(height, SIDE), min(width, SIDE)))]
    return [(found.pixels, found.mask) for found in best]


def _blocks(mask: Mask, side: int, top: int) -> Iterator[tuple[slice, slice, slice]]:
    """Blocks of a strip below its row ``top``. They overlap, or what is narrow and lies on their
    seam would be cut in two.
    """
    for row in range(top, mask.shape[1], side):
        for col in range(0, mask.shape[2], side):
            yield np.s_[:, max(row - SQUARE, 0) : row + side, max(col - SQUARE, 0) : col + side]


def _without_least(found: list[_Found]) -> list[_Found]:
    """``found`` without the window that holds least of what there is of the bands, of each its
    share; empty where it is still needed.
    """
    counts = np.array([one.valid for one in found])
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    least = int(shares.sum(axis=1).argmin())
    others = found[:least] + found[least + 1 :]
    places = np.sum([one.places for one in others], axis=0)
    most = np.clip(PIXELS // (counts.shape[1] * SIDE**2), GRID * GRID, MOST)
    is_needed = found[least].places.any() and (places < ENOUGH_PLACES).any()
    return [] if is_needed and len(found) <= most else others


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
