"""Find lost lines and pixels in one pass over a scene."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.correction import Strip
from geoae.types import Floats, Mask

__all__ = ["Counts", "Survey", "find_lost_lines"]

# A line is constant, or a copy of its neighbour, where this share of its pixels is.
CONSTANT = 0.9
# Lines beside it vary in so many times as many pixels, and in this share of theirs.
MORE, VARIED = 5.0, 0.1
# Other bands, and other lines, repeat less than this share of the line before.
HALF, MOST_LINES = 0.5, 0.9
# More constant lines side by side are a missing area, not lost lines.
LONGEST = 6
# Fewer pixels tell nothing about a line.
FEWEST = 16
# A constant line among constant lines differs from both by so many robust deviations.
FAR = 8.0


@dataclass(eq=False)
class Counts:
    """What the lines of one axis have been found to hold; all of ``(band, line)``."""

    pixels: NDArray[np.int64]
    """Valid pixels."""
    total: Floats
    """Sum of their values in DN."""
    pairs: NDArray[np.int64]
    """Valid neighbours along the line."""
    equal: NDArray[np.int64]
    """Of these, pairs of one value."""
    shared: NDArray[np.int64]
    """Valid neighbours in this and the next line."""
    copied: NDArray[np.int64]
    """Of these, pairs of one value."""

    @classmethod
    def none(cls, bands: int, lines: int) -> "Counts":
        """Return counts of nothing."""
        pixels, pairs, equal, shared, copied = np.zeros((5, bands, lines), np.int64)
        return cls(pixels, np.zeros((bands, lines)), pairs, equal, shared, copied)


@dataclass(eq=False)
class Survey:
    """Sums over the rows and the columns of a scene."""

    height: int
    width: int
    rows: Counts | None = field(default=None, init=False)
    cols: Counts | None = field(default=None, init=False)

    def add(self, strip: Strip) -> None:
        """Add the new rows of a strip."""
        bands = len(strip.pixels)
        if self.rows is None or self.cols is None:
            self.rows, self.cols = Counts.none(bands, self.height), Counts.none(bands, self.width)
        # One more row, for the pairs of rows across two strips.
        before = 1 if strip.shared else 0
        pixels = strip.pixels[:, strip.shared - before :]
        mask = None if strip.mask is None else strip.mask[:, strip.shared - before :]
        first = strip.row + strip.shared
        new = slice(first, first + pixels.shape[1] - before)
        pairs = slice(first - before, new.stop - 1)
        inside = slice(before, None)
        along = pixels[:, :, 1:] == pixels[:, :, :-1]
        down = pixels[:, 1:] == pixels[:, :-1]
        values = pixels
        if mask is not None:
            values = np.where(mask, pixels, 0)
            beside, below = mask[:, :, 1:] & mask[:, :, :-1], mask[:, 1:] & mask[:, :-1]
            along &= beside
            down &= below
        bands, height, width = pixels[:, inside].shape
        rows, cols = self.rows, self.cols
        rows.total[:, new] = values[:, inside].sum(axis=2, dtype=np.float64)
        cols.total += values[:, inside].sum(axis=1, dtype=np.float64)
        rows.equal[:, new], equal = _count(along[:, inside])
        cols.copied[:, :-1] += equal
        rows.copied[:, pairs], copied = _count(down)
        cols.equal += copied
        if mask is None:
            rows.pixels[:, new], rows.pairs[:, new] = width, width - 1
            rows.shared[:, pairs] = width
            cols.pixels += height
            cols.pairs += down.shape[1]
            cols.shared[:, :-1] += height
            return
        rows.pixels[:, new], valid = _count(mask[:, inside])
        cols.pixels += valid
        rows.pairs[:, new], valid = _count(beside[:, inside])
        cols.shared[:, :-1] += valid
        rows.shared[:, pairs], valid = _count(below)
        cols.pairs += valid


def _count(true: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count what is true in each row and in each column of each band."""
    # Products of matrices are many times as fast as sums of bool, and exact up to 2**24.
    numbers = true.astype(np.float32)
    ones = np.ones(max(numbers.shape[1:]), np.float32)
    rows, cols = numbers @ ones[: numbers.shape[2]], ones[: numbers.shape[1]] @ numbers
    return rows.astype(np.int64), cols.astype(np.int64)


def find_lost_lines(counts: Counts, deviation: Floats) -> list[NDArray[np.intp]]:
    """Find the lost lines of each band.

    Lost are lines of one value among lines that vary or are far from it, and, where there are
    other bands that are not, copies of the line before.

    Args:
        counts: what has been counted.
        deviation: robust deviation of differences of neighbouring lines in DN, ``(band,)``.

    Returns:
        Numbers of the lost lines of each band, ascending.

    """
    flat = _share(counts.equal, counts.pairs)
    mean = counts.total / np.maximum(counts.pixels, 1)
    found = [
        _constant_lines(flat, mean, counts.pixels, band, far)
        for band, far in enumerate(FAR * deviation)
    ]
    copies = _copied_lines(counts, flat)
    return [
        np.union1d(lost, more).astype(np.intp) for lost, more in zip(found, copies, strict=True)
    ]


def _share(some: NDArray[np.int64], of_all: NDArray[np.int64]) -> Floats:
    """Return a share of counts; NaN where too little was counted."""
    return np.where(of_all >= FEWEST, some / np.maximum(of_all, 1), np.nan)


def _constant_lines(
    flat: Floats, mean: Floats, pixels: NDArray[np.int64], band: int, far: float
) -> NDArray[np.intp]:
    constant = np.nan_to_num(flat[band]) >= CONSTANT
    edges = np.flatnonzero(np.diff(np.concatenate([[False], constant, [False]]).astype(int)))
    lost: list[int] = []
    for start, stop in edges.reshape(-1, 2):
        beside = [line for line in (start - 1, stop) if 0 <= line < len(constant)]
        beside = [line for line in beside if pixels[band, line] >= FEWEST]
        if stop - start > LONGEST or not beside:
            continue
        # At a border a collar is constant in all bands.
        others = np.delete(flat[:, start:stop], band, axis=0)
        if len(beside) < 2 and not (1 - others > VARIED).any():
            continue
        if _stands_out(flat[band], mean[band], slice(start, stop), beside, far):
            lost.extend(range(start, stop))
    return np.array(lost, dtype=np.intp)


def _stands_out(flat: Floats, mean: Floats, run: slice, beside: list[int], far: float) -> bool:
    """Whether the lines of a run differ from those ``beside`` it."""
    varied = 1 - flat[beside]
    if (varied >= max(VARIED, MORE * (1 - flat[run].min()))).all():
        return True
    steps = mean[run].mean() - mean[beside]
    return bool((np.abs(steps) > far).all() and abs(np.sign(steps).sum()) == len(steps) and far > 0)


def _copied_lines(counts: Counts, flat: Floats) -> list[NDArray[np.intp]]:
    """Lines that repeat the line before in some bands only; resampling repeats those of all."""
    copied = np.nan_to_num(_share(counts.copied, counts.shared))
    if len(copied) == 1:
        return [np.zeros(0, np.intp)]
    found = []
    for band, share in enumerate(copied):
        others = np.delete(copied, band, axis=0).min(axis=0)
        varied = np.nan_to_num(flat[band], nan=1.0) < CONSTANT
        repeats = (share >= CONSTANT) & (others < HALF) & varied
        # A band of a coarser grid repeats many lines, some of them in part.
        rest = share[~repeats]
        usual = np.quantile(rest, MOST_LINES) if rest.size else 1.0
        found.append(np.flatnonzero(repeats if usual < HALF / 2 else False) + 1)
    return found
