"""Covariances of the bands' finest detail in segments of the lines of a scene."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.correction import Strip
from geoae.corrections.lines import Axis, orient
from geoae.corrections.noisy.search import find_levels
from geoae.types import Array, Floats, Mask, Pixels

__all__ = ["Covariances"]

# Pixels of a segment, and differences of the second order along a line need so many more.
SEGMENT, MORE = 16, 2
# Bands that predict each other: the covariances of all bands of many would need much memory.
TOGETHER = 8
# Values of all covariances that are wanted at most; but so many segments of each line at least.
VALUES, FEWEST_SEGMENTS, MOST_SEGMENTS = 1 << 23, 12, 32


def _cut_bands(bands: int) -> list[slice]:
    """Cut bands into groups of nearly equal size that are looked at together."""
    groups = -(-bands // TOGETHER)
    edges = [group * bands // groups for group in range(groups + 1)]
    return [slice(*pair) for pair in pairwise(edges)]


@dataclass(eq=False)
class Covariances:
    """Covariances of the bands in segments of the differences between each line and the next.

    Second differences along the lines leave little but noise; a constant or slowly changing offset
    of a line does not show. Of long lines, segments that lie evenly apart count.
    """

    axis: Axis
    """Direction of the lines."""
    bands: int
    height: int
    width: int
    parts: list[list[Array]] = field(init=False)
    """For each group of bands its covariances in DN squared, ``(segment, difference, band,
    band)``; NaN where a pixel is invalid. Of rows a list over strips, of columns over segments.
    """
    seen: int = field(default=0, init=False)
    """Segments along the lines that have been passed."""

    def __post_init__(self) -> None:
        self.parts = [[] for _ in _cut_bands(self.bands)]

    @property
    def every(self) -> int:
        """Every how many segments along the lines one counts."""
        across, along = self.width, self.height
        if self.axis == "row":
            across, along = along, across
        wanted = VALUES // max(across * self.bands * min(self.bands, TOGETHER), 1)
        most = int(np.clip(wanted, FEWEST_SEGMENTS, MOST_SEGMENTS))
        return max(-(-(along // SEGMENT) // most), 1)

    def add(self, strip: Strip, pixels: Pixels) -> None:
        """Add a strip.

        Args:
            strip: the strip, whose mask tells what counts.
            pixels: its pixels, finite everywhere.

        """
        # Columns: each row counts once. Rows: so does each pair of rows.
        before = min(strip.shared, MORE if self.axis == "column" else 1)
        skip = strip.shared - before
        values = orient(self.axis, pixels[:, skip:])
        mask = None if strip.mask is None else orient(self.axis, strip.mask[:, skip:])
        starts = list(self._starts(values.shape[1]))
        for group, parts in zip(_cut_bands(self.bands), self.parts, strict=True):
            usable = None if mask is None else np.logical_and.reduce(mask[group], axis=0)
            found = [_covariance(values[group], usable, start) for start in starts]
            if found:
                parts.append(np.stack(found))

    def _starts(self, length: int) -> Iterator[int]:
        """Return where the segments begin that count among ``length`` positions along lines."""
        number = (length - MORE) // SEGMENT
        first = self.seen if self.axis == "column" else 0
        for place in range(max(number, 0)):
            if (first + place) % self.every == 0:
                yield place * SEGMENT
        self.seen += max(number, 0)

    def find(self, steps: Floats) -> Floats:
        """Find the noise that lines have beyond those around them.

        Args:
            steps: step of quantised values of each band in DN, ``(band,)``.

        Returns:
            Its standard deviation in DN, ``(band, line)``; 0 where there is none.

        """
        lines = self.height if self.axis == "row" else self.width
        level = np.zeros((self.bands, lines))
        for group, parts in zip(_cut_bands(self.bands), self.parts, strict=True):
            if parts:
                found = np.concatenate(parts, 1 if self.axis == "row" else 0)
                level[group] = find_levels(found, steps[group])
        return level


def _covariance(values: Pixels, usable: Mask | None, start: int) -> Array:
    """Return the covariances of one segment of ``values`` (band, along, across).

    Returns:
        ``(difference, band, band)``.

    """
    place = slice(start, start + SEGMENT + MORE)
    part = values[:, place].astype(np.float32)
    fine: Array = np.diff(np.diff(part, axis=2), n=2, axis=1)
    by_line = np.ascontiguousarray(fine.transpose(2, 0, 1))
    found: NDArray[np.float32] = by_line @ by_line.transpose(0, 2, 1) / np.float32(SEGMENT)
    if usable is not None:
        whole: Mask = np.logical_and.reduce(usable[place], axis=0)
        found[~(whole[1:] & whole[:-1])] = np.nan
    return found
