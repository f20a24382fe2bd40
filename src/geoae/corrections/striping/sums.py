"""Sums over the lines of a scene of what neighbouring lines differ by."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.correction import Strip
from geoae.corrections.lines import Direction, SceneModel, local_variance, orient
from geoae.types import Array, Floats, Mask

__all__ = ["GROUPS", "TOLERANCE", "LineSums"]

# Each line is summed in this many parts, which a stripe has in common and a scene has not.
GROUPS = 4
# Pixels of a line whose median is taken at once, and values of all components that are looked at
# at once: so many stay in a cache.
BLOCK = 128
VALUES = 1 << 16
# A difference counts half where it is this many times what neighbours along the line differ by.
TOLERANCE = 2.0
STEPS = 2


@dataclass(eq=False)
class LineSums:
    """Weighted sums of the differences between each line and the next, in bounded memory.

    A difference weighs ``1 / (TOLERANCE**2 v + r**2)``, ``v`` the local variance along the line
    and ``r`` its distance from the line's middle (a Cauchy M-estimator): calm places count most,
    edges hardly. The weights are those of independent components, so bands help each other.
    """

    direction: Direction
    model: SceneModel
    height: int
    width: int
    levels: bool = False
    """Whether sums with the signal are kept, too, for gains."""
    enough: int = 4 * BLOCK * GROUPS
    """Positions along lines that are enough: of longer lines, evenly spread blocks count."""
    total: Floats = field(init=False)
    """Sums of weighted differences, ``(group, component, line)``; the last line has none."""
    weight: Floats = field(init=False)
    """Sums of weights, of the same shape."""
    count: NDArray[np.int64] = field(init=False)
    """Valid pixels of each line, ``(band, line)``."""
    moments: Floats = field(init=False)
    """Sums of weights times signal, times its square, and times signal and difference, ``(3,
    group, component, line)``; the signal is the mean of two lines.
    """

    def __post_init__(self) -> None:
        lines = self.direction.count(self.height, self.width)
        bands = len(self.model.rotation)
        self.total = np.zeros((GROUPS, bands, lines), np.float64)
        self.weight = np.zeros_like(self.total)
        self.count = np.zeros((bands, lines), np.int64)
        self.moments = np.zeros((3, GROUPS, bands, lines if self.levels else 0))

    @property
    def length(self) -> int:
        """Pixels along the lines of the scene."""
        return self.height if self.direction.axis == "column" else self.width

    @property
    def every(self) -> int:
        """Every how many blocks of positions along the lines one counts."""
        return max(self.length // self.enough, 1)

    def add(self, strip: Strip, pixels: Array) -> None:
        """Add a strip.

        Args:
            strip: the strip, whose mask tells what counts.
            pixels: its bands, ``(band, height, width)``, finite everywhere.

        """
        axis = self.direction.axis
        # Columns: each row counts once. Rows: so does each pair of rows.
        skip = strip.shared if axis == "column" else max(strip.shared - 1, 0)
        values = orient(axis, pixels[:, skip:])
        shared = (
            None
            if strip.mask is None
            else np.logical_and.reduce(orient(axis, strip.mask[:, skip:]), axis=0)
        )
        along, across = (strip.row + skip, 0) if axis == "column" else (0, strip.row + skip)
        for start, stop, group in self._blocks(along, along + values.shape[1]):
            part = slice(start - along, stop - along)
            usable = None if shared is None else shared[part]
            self._add_block(values[:, part], usable, start, across, group)
        self._count(strip)

    def _count(self, strip: Strip) -> None:
        """Count the valid pixels of the new rows of a strip."""
        axis, row = self.direction.axis, strip.row + strip.shared
        along, across = (row, 0) if axis == "column" else (0, row)
        usable = orient(axis, strip.valid[:, strip.shared :])
        if self.direction.slope == 0:
            whole = strip.mask is None
            count = usable.shape[1] if whole else usable.sum(axis=1)
            self.count[:, across : across + usable.shape[2]] += count
            return
        lines = self._lines(along, usable.shape[1], across)
        starts = np.flatnonzero(np.diff(lines, prepend=lines[0] - 1))
        counts = np.add.reduceat(usable, starts, axis=1, dtype=np.int64)
        for place, line in enumerate(lines[starts]):
            self.count[:, line : line + usable.shape[2]] += counts[:, place]

    def _lines(self, along: int, length: int, across: int) -> NDArray[np.intp]:
        """Return the line of position ``across`` at ``length`` positions from ``along`` on."""
        shift = self.direction.shift(np.arange(along, along + length))
        return across - shift + self.direction.first(self.length)

    def _blocks(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Cut positions along lines at the borders of groups and into blocks."""
        edges = [group * self.length // GROUPS for group in range(GROUPS + 1)]
        for group in range(GROUPS):
            low, high = max(start, edges[group]), min(stop, edges[group + 1])
            pieces = max(-(-(high - low) // BLOCK), 0)
            bounds = np.linspace(low, high, pieces + 1).astype(int).tolist() if pieces else []
            for first, end in pairwise(bounds):
                if (first + end) // 2 // BLOCK % self.every == 0:
                    yield first, end, group

    def _add_block(
        self, values: Array, valid: Mask | None, along: int, across: int, group: int
    ) -> None:
        """Add ``values`` (band, along, across); ``valid`` tells where all bands are."""
        if min(values.shape[1:]) < 2:
            return
        first = self._lines(along, values.shape[1], across)
        if np.ptp(first):
            inside = np.ones(values.shape[1:], bool) if valid is None else valid
            values, valid = _shear(values, inside, first - first.min())
        line = slice(int(first.min()), int(first.min()) + values.shape[2] - 1)
        rotated = self.model.rotation.astype(np.float32) @ values.reshape(len(values), -1)
        both = None if valid is None else valid[:, 1:] & valid[:, :-1]
        components = rotated.reshape(values.shape)
        floor = self.model.floor.astype(np.float32)
        together = max(VALUES // components[0].size, 1)
        for start in range(0, len(components), together):
            some = slice(start, start + together)
            self._add_components(components[some], both, floor[some], group, (some, line))

    def _add_components(
        self,
        components: Array,
        both: Mask | None,
        floor: Array,
        group: int,
        place: tuple[slice, slice],
    ) -> None:
        """Add some ``components`` (component, along, across) at a ``place`` in the sums."""
        difference, weight = _weigh(components, both, floor)
        if self.levels:
            # Calm places are often dark; gains need bright ones as well.
            np.sqrt(weight, out=weight)
        self.weight[group][place] += weight.sum(axis=1)
        self.total[group][place] += _sum_products(weight, difference)
        if self.levels:
            level = (components[..., 1:] + components[..., :-1]) * np.float32(0.5)
            self.moments[0, group][place] += _sum_products(weight, level)
            weight *= level
            self.moments[1, group][place] += _sum_products(weight, level)
            self.moments[2, group][place] += _sum_products(weight, difference)


def _shear(values: Array, valid: Mask, first: NDArray[np.intp]) -> tuple[Array, Mask]:
    """Move each position along the lines by ``first`` px, so that lines stand upright."""
    bands, length, across = values.shape
    sheared = np.zeros((bands, length, across + int(first.max())), values.dtype)
    inside = np.zeros(sheared.shape[1:], bool)
    for place, start in enumerate(first):
        sheared[:, place, start : start + across] = values[:, place]
        inside[place, start : start + across] = valid[place]
    return sheared, inside


def _weigh(components: Array, both: Mask | None, floor: Array) -> tuple[Array, Array]:
    """Return the differences of neighbouring lines of ``components`` (component, along, across) and
    their weights, ``(component, along, across - 1)``; ``both`` (along, across - 1) tells where two
    pixels are valid, and ``floor`` (component,) is the least local variance.
    """
    difference = components[..., 1:] - components[..., :-1]
    scale = local_variance(components)
    scale += floor[:, None, None]
    scale *= np.float32(TOLERANCE**2)
    middle = _median(difference, both)
    weight = np.empty_like(difference)
    for step in range(STEPS):
        if step:
            middle = _sum_products(weight, difference)
            middle /= np.maximum(weight.sum(axis=1), np.float32(1e-30))
        np.subtract(difference, middle[:, None], out=weight)
        np.square(weight, out=weight)
        weight += scale
        np.reciprocal(weight, out=weight)
        if both is not None:
            weight *= both
    return difference, weight


def _sum_products(one: Array, other: Array) -> Array:
    """Sum the products of ``(component, along, across)`` along the lines."""
    total: Array = np.einsum("kij,kij->kj", one, other)
    return total


def _median(values: Array, counted: Mask | None) -> Array:
    """Return the lower median along the second axis of what is ``counted`` in the last two; 0 where
    nothing is.
    """
    if counted is None:
        # Side by side in memory, values are sorted in less time.
        lines = values.transpose(0, 2, 1).copy()
        lines.sort(axis=-1)
        middle: Array = lines[..., (values.shape[1] - 1) // 2]
        return middle
    ordered = np.sort(np.where(counted, values, np.inf), axis=1)
    number = np.count_nonzero(counted, axis=0)
    found = ordered[:, np.maximum(number - 1, 0) // 2, np.arange(len(number))]
    return np.where(number > 0, found, np.float32(0))
