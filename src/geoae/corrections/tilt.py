"""Look for the tilt of stripes on a block of a scene."""

from dataclasses import dataclass

import numpy as np

from geoae.corrections.lines import (
    GROUPS,
    TOLERANCE,
    Axis,
    Direction,
    SceneModel,
    local_variance,
    orient,
)
from geoae.corrections.significance import (
    PERIODS,
    WITHOUT_PERIOD,
    Profiles,
    Score,
    score_lines,
    score_periods,
)
from geoae.types import Array, Mask, Pixels

__all__ = ["STEEPEST", "candidate_periods", "find_tilts"]

# The steepest tilt in degrees, the step of a first search, and that of a second near its best.
STEEPEST = 15.0
STEP, FINE = 0.25, 0.05
# Pixels along lines that are summed before lines are tilted.
SUMMED = 4
# How many tilts are looked at again, and the evidence that makes one worth a look at the scene.
BEST = 3
ENOUGH, ENOUGH_HALF = 6.0, 2.5
# Tilts of this part of the best rank may be the true one.
COMPARABLE = 0.6
# A finer slope keeps this part of the rank.
KEPT = 0.9
# Steps in which a slope is made exact, and how many to either side.
REFINE, STEPS = (2e-4, 4e-5), 8
# Cycles of a tilted pattern below which chance and fields look the same.
CYCLES = 10


@dataclass(frozen=True, eq=False, slots=True)
class _Differences:
    """Weighted differences of neighbouring lines of a block, summed along a few pixels."""

    sums: Array
    """Differences times weights, and weights, ``(2, component, along, line)``."""
    summed: int
    """Pixels along lines in each sum."""

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
        _, bands, length, lines = self.sums.shape
        places = (np.arange(length) + 0.5) * self.summed - 0.5
        shift = -np.rint(slope * places).astype(int)
        shift -= shift.min()
        parts = np.zeros((GROUPS, 2, bands, lines + shift.max()), np.float32)
        for place, start in enumerate(shift.tolist()):
            parts[place * GROUPS // length, ..., start : start + lines] += self.sums[:, :, place]
        return parts


def candidate_periods(slope: float, lines: int) -> list[tuple[float, int]]:
    """Return period in lines and number of detectors of the patterns to look for.

    A pattern may have its period at right angles to the lines, or down the rows.
    """
    stretched = np.hypot(1, slope)
    factors = (1.0,) if stretched < 1.002 else (1.0, stretched)
    cycles = CYCLES if slope else 4
    return [
        (detectors * factor, detectors)
        for detectors in PERIODS
        for factor in factors
        if lines >= cycles * detectors
    ]


def find_tilts(pixels: Pixels, valid: Mask, axis: Axis, model: SceneModel) -> list[Direction]:
    """Find tilts at which a block seems to have stripes.

    Args:
        pixels: DN ``(band, row, col)``, finite.
        valid: which of them count, of the same shape.
        axis: direction from which the tilt is measured.
        model: how the bands vary together.

    Returns:
        Tilted directions that deserve a look at the whole scene, at most one.

    """
    values, usable = orient(axis, pixels), np.logical_and.reduce(orient(axis, valid), axis=0)
    if min(usable.shape) < 2 * CYCLES:
        return []
    differences = _difference(values, usable, model, SUMMED)
    angles = np.arange(-STEEPEST, STEEPEST + STEP / 2, STEP)
    angles = angles[np.abs(angles) > STEP / 2]
    rough = [_evidence(differences, angle, rough=True)[0] for angle in angles]
    if max(rough) <= 0:
        return []
    best = angles[np.argsort(rough)[::-1][:BEST]]
    fine = np.unique(
        np.round(np.concatenate([a + np.arange(-STEP, STEP + FINE / 2, FINE) for a in best]), 6)
    )
    found = [(*_evidence(differences, angle, rough=False), angle) for angle in fine]
    passed = [(rank, angle) for rank, score, angle in found if _is_enough(score)]
    if not passed:
        return []
    likely = float(np.tan(np.radians(max(passed)[1])))
    # Even and odd lines that are tilted also show at the opposite tilt: stripes have more energy.
    near = [angle for rank, angle in passed if rank >= COMPARABLE * max(passed)[0]]
    slope = max(np.tan(np.radians(near)).tolist(), key=differences.energy)
    exact = _difference(values, usable, model, 1)
    refined = slope
    for step in REFINE:
        slopes = refined + step * np.arange(-STEPS, STEPS + 1)
        refined = float(slopes[np.argmax([exact.energy(some) for some in slopes])])
    # The energy of weak stripes is lost in that of the scene, which may lead astray.
    before, after = (
        _evidence(differences, float(np.degrees(np.arctan(some))), rough=False)[0]
        for some in (slope, refined)
    )
    return [Direction(axis, refined if after >= KEPT * before else likely)]


def _is_enough(score: Score) -> bool:
    return score.whole >= ENOUGH and score.least >= ENOUGH_HALF


def _evidence(differences: _Differences, angle: float, *, rough: bool) -> tuple[float, Score]:
    """Return the rank and the score of the best pattern at an angle in degrees."""
    slope = float(np.tan(np.radians(angle)))
    profiles = differences.profiles(slope)
    patterns = candidate_periods(slope, int(profiles.usable.sum()))
    periods = [period for period, _ in patterns]
    scores = score_periods(profiles, periods, near=rough, halves=not rough)
    lines = score_lines(profiles, near=rough, halves=not rough)
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
    sums = np.empty((2, bands, kept // summed, across - 1), np.float32)
    for index, component in enumerate(rotated.reshape(values.shape)):
        difference = np.diff(component, axis=1)
        scale = TOLERANCE**2 * (local_variance(component) + model.floor[index])
        weights = both / (scale + np.square(difference))
        for kind, summand in enumerate((weights * difference, weights)):
            sums[kind, index] = summand[:kept].reshape(-1, summed, across - 1).sum(axis=1)
    return _Differences(sums, summed)
