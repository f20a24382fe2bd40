"""Look for the tilt of stripes on a block of a scene."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from geoae.corrections.lines import Axis, Direction, SceneModel, local_variance, orient
from geoae.corrections.model import SIDE, side_of_block
from geoae.corrections.striping.profiles import Profiles
from geoae.corrections.striping.significance import (
    PERIODS,
    WITHOUT_PERIOD,
    Score,
    score_lines,
    score_periods,
)
from geoae.corrections.striping.sums import GROUPS, TOLERANCE
from geoae.types import Array, Mask, Pixels

__all__ = ["STEEPEST", "candidate_periods", "find_tilts"]

# The steepest tilt in degrees, the step of a first search, and that of a second near its best.
STEEPEST = 20.0
STEP, FINE = 0.25, 0.05
# Pixels along lines that are summed before lines are tilted.
SUMMED = 4
# How many tilts are looked at again, and the evidence that makes one worth a look at the scene.
BEST = 3
ENOUGH, ENOUGH_HALF = 6.0, 2.5
# The energy of stripes is so many deviations above that at other tilts. Slopes that differ by less
# are one tilt.
OUTSTANDING, APART = 20.0, 0.005
# Steps in which a slope is made exact, and how many to either side: by energy and by evidence.
REFINE, STEPS = (2e-4, 4e-5), 8
AGREE, FEW = (4e-4, 1e-4), 4
# Cycles of a pattern that are needed, and those of a tilted one, below which chance and fields look
# the same.
UPRIGHT, CYCLES = 4, 10


@dataclass(frozen=True, eq=False, slots=True)
class _Differences:
    """Weighted differences of neighbouring lines of a block, summed along a few pixels."""

    sums: Array
    """Differences times weights, and weights, ``(along, 2, component, line)``."""
    summed: int
    """Pixels along lines in each sum."""
    parts: dict[float, Array] = field(default_factory=dict)
    """Sums along lines of the slopes that were asked for."""

    def profiles(self, slope: float) -> Profiles:
        """Sum along lines of a slope."""
        return Profiles.of(*self._sum(slope).swapaxes(0, 1).astype(np.float64))

    def energy(self, slope: float) -> float:
        """Return what the parts of lines of a slope agree on, which is most along stripes."""
        parts = self._sum(slope)
        total, weight = parts.sum(axis=0)
        shared = np.square(total) - np.square(parts[:, 0]).sum(axis=0)
        return float((shared / np.maximum(weight, 1e-30)).sum())

    def _sum(self, slope: float) -> Array:
        if slope not in self.parts:
            self.parts[slope] = self._sum_along(slope)
        return self.parts[slope]

    def _sum_along(self, slope: float) -> Array:
        length, _, bands, lines = self.sums.shape
        places = (np.arange(length) + 0.5) * self.summed - 0.5
        shift = -np.rint(slope * places).astype(int)
        shift -= shift.min()
        parts = np.zeros((GROUPS, 2, bands, lines + shift.max()), np.float32)
        for place, start in enumerate(shift.tolist()):
            parts[place * GROUPS // length, ..., start : start + lines] += self.sums[place]
        return parts


def candidate_periods(
    slope: float, lines: int, *, divided: Collection[int] = ()
) -> list[tuple[float, int]]:
    """Return period in lines and number of detectors of the patterns to look for.

    A pattern may have its period at right angles to the lines, or down the rows.

    Args:
        slope: of the lines, 0 for upright ones.
        lines: number of lines.
        divided: numbers of detectors that have been found. Their multiples need no more lines in a
            tilted pattern than in an upright one.

    """
    stretched = np.hypot(1, slope)
    factors = (1.0,) if stretched < 1.002 else (1.0, stretched)
    return [
        (detectors * factor, detectors)
        for detectors in PERIODS
        for factor in factors
        if lines >= _needed_cycles(slope, detectors, divided) * detectors
    ]


def _needed_cycles(slope: float, detectors: int, divided: Collection[int]) -> int:
    is_multiple = any(detectors % some == 0 for some in divided)
    return CYCLES if slope and not is_multiple else UPRIGHT


def find_tilts(pixels: Pixels, valid: Mask, axis: Axis, model: SceneModel) -> list[Direction]:
    """Find tilts at which a block seems to have stripes.

    Args:
        pixels: DN ``(band, row, col)``, finite.
        valid: which of them count, of the same shape.
        axis: direction from which the tilt is measured.
        model: how the bands vary together.

    Returns:
        Tilted directions that deserve a look at the whole scene, at most two.

    """
    values, usable = orient(axis, pixels), np.logical_and.reduce(orient(axis, valid), axis=0)
    if min(usable.shape) < 2 * CYCLES:
        return []
    differences = _difference(values, usable, model, SUMMED)
    # In the smaller block of many bands tilts look alike farther apart.
    wider = SIDE / side_of_block(len(values))
    number = int(STEEPEST / (wider * STEP))
    angles = np.linspace(-STEEPEST, STEEPEST, 2 * number + 1)
    slopes = [_slope(angle) for angle in np.delete(angles, number)]
    best = _strongest(differences, slopes, wider), _likeliest(differences, slopes, wider)
    found = [slope for slope in best if slope is not None]
    if not found:
        return []
    if len(found) == 2 and abs(found[1] - found[0]) < APART:
        del found[1]
    exact = _difference(values, usable, model, 1)
    if exact.energy(found[0]) > 0:
        found[0] = _climb(exact.energy, found[0], REFINE, STEPS)
    return [Direction(axis, slope) for slope in found]


def _strongest(differences: _Differences, slopes: list[float], wider: float) -> float | None:
    """Return the slope of most energy, where that stands out and has evidence.

    ``wider`` tells how many times the steps of the search are wider.

    Strong stripes make most evidence at other tilts, where they repeat after two lines or four.
    """
    energy = np.array([differences.energy(slope) for slope in slopes])
    middle = np.median(energy)
    if energy.max() < middle + OUTSTANDING * np.median(np.abs(energy - middle)):
        return None
    best = _climb(differences.energy, slopes[energy.argmax()], (_slope(wider * FINE),), 5)
    score = _evidence(differences, best, halves=False)[1]
    return best if score.whole >= ENOUGH else None


def _likeliest(differences: _Differences, slopes: list[float], wider: float) -> float | None:
    """Return the slope of most evidence, where that is enough; ``wider`` as for ``_strongest``."""
    rough = [_evidence(differences, some, near=True, halves=False)[0] for some in slopes]
    if max(rough) <= 0:
        return None
    around = wider * np.arange(-STEP, STEP + FINE / 2, FINE)
    best = np.degrees(np.arctan(np.array(slopes)[np.argsort(rough)[::-1][:BEST]]))
    fine = [_slope(angle) for angle in np.unique((best[:, None] + around).round(6))]
    # Halves cost most, and matter only where the whole has enough evidence.
    whole = [some for some in fine if _evidence(differences, some, halves=False)[1].whole >= ENOUGH]
    found = [(*_evidence(differences, slope), slope) for slope in whole]
    passed = [(rank, slope) for rank, score, slope in found if score.least >= ENOUGH_HALF]
    if not passed:
        return None

    def rank(slope: float) -> float:
        return _evidence(differences, slope, halves=False)[0]

    return _climb(rank, max(passed)[1], AGREE, FEW)


def _climb(
    height: Callable[[float], float], slope: float, steps: Sequence[float], far: int
) -> float:
    """Return the highest slope within so many steps, with one size of steps after the other."""
    for step in steps:
        slope = max((slope + step * np.arange(-far, far + 1)).tolist(), key=height)
    return slope


def _slope(angle: float) -> float:
    return float(np.tan(np.radians(angle)))


def _is_enough(score: Score) -> bool:
    return score.whole >= ENOUGH and score.least >= ENOUGH_HALF


def _evidence(
    differences: _Differences, slope: float, *, near: bool = False, halves: bool = True
) -> tuple[float, Score]:
    """Return the rank and the score of the best pattern at a slope."""
    profiles = differences.profiles(slope)
    patterns = candidate_periods(slope, int(profiles.usable.sum()))
    periods = [period for period, _ in patterns]
    scores = score_periods(profiles, periods, near=near, halves=halves)
    reach = Direction("column", slope).reach
    lines = score_lines(profiles, reach=reach, near=near, halves=halves)
    ranked = [
        (score.rank(detectors), score)
        for score, (_, detectors) in zip(scores, patterns, strict=True)
    ]
    ranked.append((lines.rank(WITHOUT_PERIOD), lines))
    return max(ranked, key=lambda some: some[0])


def _difference(values: Pixels, usable: Mask, model: SceneModel, summed: int) -> _Differences:
    """Weigh the differences of neighbouring lines of ``values`` (band, along, across)."""
    bands, length, across = values.shape
    kept = length // summed * summed
    rotated = model.rotation @ values.reshape(bands, -1)
    both = usable[:, 1:] & usable[:, :-1]
    sums = np.empty((kept // summed, 2, bands, across - 1), np.float32)
    for index, component in enumerate(rotated.reshape(values.shape)):
        difference = np.diff(component, axis=1)
        scale = TOLERANCE**2 * (local_variance(component) + model.floor[index])
        weights = both / (scale + np.square(difference))
        for kind, summand in enumerate((weights * difference, weights)):
            sums[:, kind, index] = summand[:kept].reshape(-1, summed, across - 1).sum(axis=1)
    return _Differences(sums, summed)
