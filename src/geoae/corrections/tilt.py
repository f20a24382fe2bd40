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
from geoae.corrections.significance import PERIODS, Profiles, score_lines, score_periods
from geoae.types import Floats, Mask, Pixels

__all__ = ["STEEPEST", "candidate_periods", "find_tilts"]

# The steepest tilt in degrees, the step of a first search, and that of a second near its best.
STEEPEST = 15.0
STEP, FINE = 0.25, 0.05
# Pixels along lines that are summed before lines are tilted.
SUMMED = 4
# How many tilts are looked at again, and the evidence that makes one worth a look at the scene.
BEST = 3
ENOUGH, ENOUGH_HALF = 5.0, 2.0
# Cycles of a tilted pattern below which chance and fields look the same.
CYCLES = 12


@dataclass(frozen=True, eq=False, slots=True)
class _Differences:
    """Weighted differences of neighbouring lines of a block, summed along a few pixels."""

    total: Floats
    """``(component, along, line)``."""
    weight: Floats
    """Of the same shape."""

    def profiles(self, slope: float) -> Profiles:
        """Sum along lines of a slope."""
        bands, length, lines = self.total.shape
        places = (np.arange(length) + 0.5) * SUMMED - 0.5
        shift = -np.rint(slope * places).astype(int)
        shift -= shift.min()
        total, weight = np.zeros((2, GROUPS, bands, lines + shift.max()))
        for place, start in enumerate(shift):
            group, span = place * GROUPS // length, slice(start, start + lines)
            total[group, :, span] += self.total[:, place]
            weight[group, :, span] += self.weight[:, place]
        return Profiles.of(total, weight)


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
    values, usable = orient(axis, pixels), orient(axis, valid).all(axis=0)
    if min(usable.shape) < 2 * CYCLES:
        return []
    differences = _difference(values, usable, model)
    angles = np.arange(-STEEPEST, STEEPEST + STEP / 2, STEP)
    angles = angles[np.abs(angles) > STEP / 2]
    rough = [_evidence(differences, angle, rough=True)[0] for angle in angles]
    best = angles[np.argsort(rough)[::-1][:BEST]]
    fine = np.unique(
        np.round(np.concatenate([a + np.arange(-STEP, STEP + FINE / 2, FINE) for a in best]), 6)
    )
    found = [(*_evidence(differences, angle, rough=False), angle) for angle in fine]
    whole, half, angle = max(found)
    if whole < ENOUGH or half < ENOUGH_HALF:
        return []
    return [Direction(axis, float(np.tan(np.radians(angle))))]


def _evidence(differences: _Differences, angle: float, *, rough: bool) -> tuple[float, float]:
    """Return the best score at an angle in degrees, and that of its lesser half."""
    slope = float(np.tan(np.radians(angle)))
    profiles = differences.profiles(slope)
    periods = [period for period, _ in candidate_periods(slope, int(profiles.usable.sum()))]
    scores = score_periods(profiles, periods, near=rough, halves=not rough)
    scores.append(score_lines(profiles, near=rough, halves=not rough))
    return max((score.whole, score.least) for score in scores)


def _difference(values: Pixels, usable: Mask, model: SceneModel) -> _Differences:
    """Weigh the differences of neighbouring lines of ``values`` (band, along, across)."""
    bands, length, across = values.shape
    kept = length // SUMMED * SUMMED
    rotated = model.rotation @ values.reshape(bands, -1)
    both = usable[:, 1:] & usable[:, :-1]
    total, weight = np.empty((2, bands, kept // SUMMED, across - 1))
    for index, component in enumerate(rotated.reshape(values.shape)):
        difference = np.diff(component, axis=1)
        scale = TOLERANCE**2 * (local_variance(component) + model.floor[index])
        weights = both / (scale + np.square(difference))
        for kind, summand in ((total, weights * difference), (weight, weights)):
            kind[index] = summand[:kept].reshape(-1, SUMMED, across - 1).sum(axis=1)
    return _Differences(total, weight)
