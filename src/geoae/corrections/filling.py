"""Fill lost pixels from other bands and from neighbours."""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from geoae.types import Floats, Mask

__all__ = ["ALONG", "REACH", "fill_lines", "fill_pixels", "sum_along"]

# Lines beside lost ones, and pixels along them, whose differences tell how bands vary together.
BESIDE = 2
ALONG = 32
# Half side of the square for single pixels.
SQUARE = 2
# A part of the variances is added to them, so that what hardly varies has no say.
RIDGE = 0.01
# Weight of the lines one farther from a single lost line where there is no other band.
CURVED = 0.125
# Pixels beyond which nothing matters: along lines, and across them with the longest run.
REACH = ALONG


def fill_lines(
    pixels: Floats,
    good: Mask,
    band: int,
    lost_rows: Sequence[set[int]],
    others: Sequence[int],
    least: Floats,
) -> None:
    """Fill lost rows of one band in place.

    A lost row is interpolated between the nearest rows that are not lost, plus the detail that
    other bands have there against the same interpolation, by the local regression of the
    differences along the rows around.

    Args:
        pixels: DN ``(band, row, col)``.
        good: which pixels are valid and not lost, of the same shape; updated where filled.
        band: index of the band.
        lost_rows: lost rows of each band; rows outside the pixels are negative or too large.
        others: bands to predict it from.
        least: least variance of a difference of each band in DN squared, ``(band,)``.

    """
    gone, height = lost_rows[band], pixels.shape[1]
    for row in sorted(line for line in gone if 0 <= line < height):
        up, down = row - 1, row + 1
        while up in gone:
            up -= 1
        while down in gone:
            down += 1
        around = [line for line in (up, down) if 0 <= line < height]
        if not around:
            continue
        weights = np.array([abs(line - row) for line in around[::-1]], float)
        weights = (weights / weights.sum())[:, None] * good[band, around]
        known = weights.sum(axis=0)
        weights = weights / np.where(known > 0, known, 1)
        filled = (weights * pixels[band, around]).sum(axis=0)
        # Bands that have lost one of these rows cannot help.
        whole = [other for other in others if not (lost_rows[other] & {row, *around})]
        if whole:
            detail = _details(pixels, good, row, around, weights, whole)
            beside = range(max(up - BESIDE + 1, 0), min(down + BESIDE, height))
            rows = [line for line in beside if line not in gone]
            filled = filled + _regress(pixels, good, band, rows, whole, detail, least)
        elif down - up == 2:
            filled = filled + _curvature(pixels[band], good[band], row, gone)
        # Invalid pixels are not good either, but they stay.
        open_ = ~good[band, row] & (known > 0)
        pixels[band, row, open_] = filled[open_]
        good[band, row, open_] = True


def _details(
    pixels: Floats,
    good: Mask,
    row: int,
    around: list[int],
    weights: Floats,
    others: Sequence[int],
) -> list[Floats]:
    """What other bands have in a row beyond the same interpolation; 0 where they are lost too."""
    details = []
    for other in others:
        usable = good[other, row] & (good[other, around] | (weights == 0)).all(axis=0)
        between = (weights * pixels[other, around]).sum(axis=0)
        details.append(np.where(usable, pixels[other, row] - between, 0.0))
    return details


def _regress(
    pixels: Floats,
    good: Mask,
    band: int,
    rows: list[int],
    others: Sequence[int],
    detail: list[Floats],
    least: Floats,
) -> Floats:
    """Predict the detail of a band from that of others, by the differences along ``rows``."""
    bands = [*others, band]
    both = np.logical_and.reduce(good[bands][:, rows], axis=0)
    pairs = both[:, 1:] & both[:, :-1]
    steps = [np.where(pairs, np.diff(pixels[one, rows], axis=1), 0.0) for one in bands]
    number, width = len(others), pixels.shape[2]
    normal, right = np.empty((width, number, number)), np.empty((width, number, 1))
    for i in range(number):
        for j in range(i, number):
            product = _box(steps[i] * steps[j])
            if i == j:
                product = product * (1 + RIDGE) + least[others[i]]
            normal[:, i, j] = normal[:, j, i] = product
        right[:, i, 0] = _box(steps[i] * steps[-1])
    slopes = np.linalg.solve(normal, right)[:, :, 0]
    # Added in turn: the order of a sum would depend on the size of the window.
    return reduce(np.add, [slopes[:, i] * detail[i] for i in range(number)])


def _box(products: Floats) -> Floats:
    """Sum ``products`` between neighbouring columns, ``(row, col - 1)``, around each column."""
    total = reduce(np.add, products)
    return sum_along(total, len(total) + 1)


def sum_along(values: Floats, width: int) -> Floats:
    """Sum over ``ALONG`` px around each pixel of a line, in an order that no window changes.

    Args:
        values: of the pixels or of the pairs of pixels of a line, ``(col,)`` or ``(col - 1,)``.
        width: number of the pixels.

    Returns:
        Sums ``(col,)``.

    """
    summed = np.zeros(width + ALONG)
    summed[ALONG // 2 : ALONG // 2 + len(values)] = values
    step = 1
    while step < ALONG:
        summed[:-step] = summed[:-step] + summed[step:]
        step *= 2
    return summed[:width]


def _curvature(pixels: Floats, good: Mask, row: int, gone: set[int]) -> Floats:
    """Return what a cubic adds to the mean of two rows; 0 where it has no support."""
    lines = [row - 2, row - 1, row + 1, row + 2]
    if lines[0] < 0 or lines[-1] >= len(pixels) or gone & set(lines):
        return np.zeros(pixels.shape[1])
    far, near = pixels[lines[0]] + pixels[lines[-1]], pixels[lines[1]] + pixels[lines[2]]
    return np.where(good[lines].all(axis=0), CURVED * (near - far), 0.0)


def fill_pixels(
    pixels: Floats, good: Mask, band: int, lost: Mask, others: Sequence[int], least: Floats
) -> None:
    """Fill single lost pixels of one band in place.

    Args:
        pixels: DN ``(band, row, col)``.
        good: which pixels are valid and not lost, of the same shape; updated where filled.
        band: index of the band.
        lost: pixels to fill, ``(row, col)``.
        others: bands to predict it from.
        least: as for ``fill_lines``.

    """
    rows, cols = np.nonzero(lost)
    if not rows.size:
        return
    own, usable = _squares(pixels[band], good[band], rows, cols)
    near = usable * _distance_weights()
    known = reduce(np.add, near.T)
    safe = np.where(known > 0, known, 1)
    filled = reduce(np.add, (near * own).T) / safe
    best, gain = np.zeros_like(filled), np.zeros_like(filled)
    for other in others:
        values, there = _squares(pixels[other], good[other], rows, cols)
        both = near * there
        share = reduce(np.add, both.T)
        middle = reduce(np.add, (both * values).T) / np.where(share > 0, share, 1)
        deviations = np.where(both > 0, values - middle[:, None], 0)
        steps = np.where(both > 0, own - filled[:, None], 0)
        cross = reduce(np.add, (both * deviations * steps).T)
        power = reduce(np.add, (both * np.square(deviations)).T) * (1 + RIDGE) + least[other]
        centre = values.shape[1] // 2
        valid = there[:, centre] & (share > 0)
        explained = np.where(valid, np.square(cross) / power, 0)
        detail = cross / power * (values[:, centre] - middle)
        best, gain = np.where(explained > gain, detail, best), np.maximum(explained, gain)
    found = known > 0
    pixels[band, rows[found], cols[found]] = (filled + best)[found]
    good[band, rows[found], cols[found]] = True


def _squares(
    pixels: Floats, good: Mask, rows: NDArray[np.intp], cols: NDArray[np.intp]
) -> tuple[Floats, Mask]:
    """Return the pixels around some places, ``(place, pixel)``, and which of them are good."""
    reach = np.arange(-SQUARE, SQUARE + 1)
    down = rows[:, None, None] + reach[:, None]
    right = cols[:, None, None] + reach
    height, width = pixels.shape
    inside = (down >= 0) & (down < height) & (right >= 0) & (right < width)
    place = np.clip(down, 0, height - 1), np.clip(right, 0, width - 1)
    usable = (good[place] & inside).reshape(len(rows), -1)
    return np.where(usable, pixels[place].reshape(len(rows), -1), 0.0), usable


def _distance_weights() -> Floats:
    """Return the weights of the pixels of a square: the inverse fourth power of distance."""
    reach = np.arange(-SQUARE, SQUARE + 1)
    squared = (reach[:, None] ** 2 + reach**2).ravel().astype(float)
    return np.where(squared > 0, 1 / np.maximum(squared, 1) ** 2, 0)
