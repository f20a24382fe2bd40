"""Whether the values of a band are flags or classes, without looking at its name."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoae.tiling.window import FEW, Window, grids, windows

__all__ = ["FEW_LEVELS", "count_levels", "gather_values", "is_classes"]

# More different values than any quality band of a few windows has.
MOST_LEVELS = 1024
# Every so many values of a window are looked at first.
SOME = 4
# Values of classes that are numbered one after the other, and at most this many.
FEW_LEVELS = 64
# Pairs of different neighbours without which nothing can be told.
FEW_PAIRS = 100
# Least share of pixels of a value that counts among the common ones.
COMMON = 0.002
# Share of the steps between the lowest and the highest common value that are taken: less than this
# in bit patterns; more than 0.17 in measurements of few values, other than stretched ones.
SPARSE = 0.15
# Levels of 22 real bands posterised, thresholded, saturated, smoothed and stretched in 23 ways, and
# 17 kinds of flags made from them, were told apart with these: no measurement was lost.
# Pairs: how much more often neighbours are equal than by chance, and how much closer to each other
# they are, where they differ, than by chance.
LIMITS = ((0.15, 0.02), (0.35, 0.25), (0.5, 0.5))
# From so many levels on, differences of more than one step count too: neighbours in a measurement
# are nearer than by chance by more than this.
UNORDERED, NEAR = 16, 0.3
# Two values are a mask where neighbours are equal that much more often than by chance.
MASK = 0.3

Values = Sequence[NDArray[Any]]


def gather_values(
    read: Callable[[Window], NDArray[Any]], height: int, width: int
) -> list[NDArray[Any]]:
    """Read windows all over a band, as many as it takes to tell classes from measurements.

    Args:
        read: returns a window ``(row, col)`` in DN, NaN where it is invalid.
        height: rows of the band.
        width: columns of the band.

    Returns:
        What was read; of most measurements that is one window.

    """
    found: list[NDArray[Any]] = []
    for grid in grids():
        found = []
        for window in windows(height, width, *grid):
            found.append(read(window))
            if _is_continuous(found[-1]):
                return found
        if sum(np.count_nonzero(_valid(values)) for values in found) >= FEW:
            break
    return found


def _is_continuous(window: NDArray[Any]) -> bool:
    """Whether a window alone shows too many values for classes."""
    # Some of the values are enough where they are too many already.
    if _are_measured(np.unique(_valid(window.reshape(-1)[::SOME]))):
        return True
    levels, counts = np.unique(_valid(window), return_counts=True)
    if _are_measured(levels):
        return True
    return len(levels) > FEW_LEVELS and not _is_sparse(levels, counts)


def _are_measured(levels: NDArray[Any]) -> bool:
    """Whether different values are more than classes have, or no whole numbers."""
    return len(levels) > MOST_LEVELS or bool((levels != np.rint(levels)).any())


def count_levels(values: Values) -> int:
    """Count the different valid values; more than ``MOST_LEVELS`` where they are not whole numbers.

    Args:
        values: windows ``(row, col)`` in DN; NaN is invalid.

    """
    found = np.concatenate([_valid(window) for window in values]) if values else np.zeros(0)
    levels = np.unique(found)
    return MOST_LEVELS + 1 if (levels != np.rint(levels)).any() else len(levels)


def is_classes(values: Values) -> bool:
    """Tell flags and classes from measurements by their values.

    Neighbours of one class are equal, and those of two classes are as far apart as any two values.
    Neighbours in a measurement of few values are close to each other: most of those that differ
    are one step apart. Both are compared to what the shares of the values would give by chance, so
    neither the number of the values nor their order on the scene counts. Ordered classes, each
    between its neighbours like terraces, cannot be told from a measurement and pass for one.

    Args:
        values: windows ``(row, col)`` of a band in DN; NaN is invalid.

    """
    if any(_is_continuous(window) for window in values):
        return False
    levels = count_levels(values)
    if not 2 <= levels <= MOST_LEVELS:
        return False
    pairs, found = _count_pairs(values)
    if pairs.sum() - np.trace(pairs) < 2 * FEW_PAIRS:
        return False
    equal, close = _coherence(pairs)
    if levels == 2:
        return equal >= MASK
    if _is_sparse(found, pairs.sum(axis=0)):
        return any(equal >= least and close <= most for least, most in LIMITS[:2])
    if levels > FEW_LEVELS or (levels > UNORDERED and _nearness(pairs) > NEAR):
        return False
    if levels >= 5:  # saturated pixels are equal, and far from their neighbours
        within, near = _coherence(pairs[1:-1, 1:-1])
        equal, close = min(equal, within), max(close, near)
    limits = LIMITS if levels < UNORDERED else LIMITS[:2]
    return any(equal >= least and close <= most for least, most in limits)


def _valid(window: NDArray[Any]) -> NDArray[Any]:
    return window[np.isfinite(window)]


def _count_pairs(values: Values) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """How often two levels are neighbours, as a symmetric matrix; and the levels."""
    windows = [_without_repeats(np.asarray(window, np.float64)) for window in values]
    levels = np.unique(np.concatenate([_valid(window) for window in windows]))
    size = len(levels)
    pairs = np.zeros(size * size, np.int64)
    for window in windows:
        valid = np.isfinite(window)
        index = np.searchsorted(levels, np.where(valid, window, levels[0]))
        for one, other, both in (
            (index[1:], index[:-1], valid[1:] & valid[:-1]),
            (index[:, 1:], index[:, :-1], valid[:, 1:] & valid[:, :-1]),
        ):
            pairs += np.bincount((one * size + other)[both], minlength=size * size)
    square = pairs.reshape(size, size)
    return square + square.T, levels


def _without_repeats(window: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drop rows and columns that repeat the one before, as those of enlarged pixels do."""
    for axis in (0, 1):
        lines = np.moveaxis(window, axis, 0)
        same = (lines[1:] == lines[:-1]) | (np.isnan(lines[1:]) & np.isnan(lines[:-1]))
        window = np.compress(np.append(True, ~same.all(axis=1)), window, axis=axis)
    return window


def _coherence(pairs: NDArray[np.int64]) -> tuple[float, float]:
    """How equal neighbours are, and how close where they differ: 0 as by chance, 1 at most.

    Where all that differ are one step apart by chance too, they count as close.
    """
    total = pairs.sum()
    if not total:
        return 0.0, 1.0
    share = pairs.sum(axis=0) / total
    chance = float((share**2).sum())
    differ = total - np.trace(pairs)
    if not differ or chance == 1:
        return 1.0, 1.0
    equal = (np.trace(pairs) / total - chance) / (1 - chance)
    far = 1 - 2 * np.trace(pairs, 1) / differ
    far_by_chance = 1 - 2 * (share[1:] * share[:-1]).sum() / (1 - chance)
    return float(equal), float(1 - far / far_by_chance) if far_by_chance > 1e-9 else 1.0


def _nearness(pairs: NDArray[np.int64]) -> float:
    """How near neighbours that differ are, counted in levels: 0 as by chance, 1 at most."""
    share = pairs.sum(axis=0) / max(pairs.sum(), 1)
    index = np.arange(len(pairs))
    steps = np.abs(index[:, None] - index)
    differ = pairs * (steps > 0)
    chance = np.outer(share, share) * (steps > 0)
    if not differ.sum() or not chance.sum():
        return 0.0
    mean, by_chance = ((steps * one).sum() / one.sum() for one in (differ, chance))
    return float(1 - mean / by_chance)


def _is_sparse(levels: NDArray[np.float64], counts: NDArray[np.int64]) -> bool:
    """Whether the common levels leave most steps between them empty."""
    # Between black and white, a thresholded or saturated band has many values, or rare ones.
    inner = slice(1, -1) if len(levels) >= 5 else slice(None)
    is_common = counts[inner] >= COMMON * counts.sum()
    common = levels[inner][is_common]
    if len(common) < 3 or counts[inner][is_common].sum() < 0.5 * counts[inner].sum():
        return False
    gaps = np.diff(common)
    steps = (common[-1] - common[0]) / gaps.min() + 1
    return bool(len(common) < SPARSE * steps)
