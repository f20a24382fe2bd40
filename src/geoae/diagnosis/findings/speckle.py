"""Find speckle: noise whose deviation is proportional to the signal."""

from dataclasses import dataclass

import numpy as np

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.planes import Plane, cut_planes
from geoae.types import Floats

__all__ = ["Growth", "find_speckle", "measure_growth"]

# Blocks, and classes of brightness in each of which the calmest part of them is looked at.
SIDE, CLASSES, CALM = 8, 8, 0.1
FEWEST_BLOCKS = 400
# Dark blocks, below this part of the brightest class, may be noise of the receiver.
LEAST_RANGE = 1.8
# Exponent of the deviation over the mean: 1 for speckle, 1/2 for shot noise, 0 for a constant one.
LEAST_EXPONENT, MOST_EXPONENT = 0.75, 1.35
# More looks than these are no visible speckle, and ground as rough is found in any scene.
MOST_LOOKS = 60.0
# The calmest of many blocks show less than the mean variance of speckle.
# Variance over squared mean of the amplitude of one look (Rayleigh): 4 / pi - 1.
RAYLEIGH = 4 / np.pi - 1


@dataclass(frozen=True, slots=True)
class Growth:
    """How the deviation of the calmest blocks grows with their mean."""

    exponent: float
    """Slope of the logarithm of the deviation over that of the mean."""
    looks: float
    """Squared mean over variance in the calmest blocks."""
    span: float
    """Mean of the brightest class over that of the darkest."""


def find_speckle(look: Look) -> list[Finding]:
    """Find bands with speckle.

    Args:
        look: the sample.

    Returns:
        For each such band the equivalent number of looks, squared mean over variance of the calmest
        blocks (Lee and Pottier, Polarimetric Radar Imaging, 2009).

    """
    found = []
    for plane in cut_planes(look):
        growth = measure_growth(plane)
        if growth is None or not (LEAST_EXPONENT <= growth.exponent <= MOST_EXPONENT):
            continue
        if growth.looks <= MOST_LOOKS and growth.span >= LEAST_RANGE:
            found.append(_describe(plane, growth))
    return found


def _describe(plane: Plane, growth: Growth) -> Finding:
    amplitude = growth.looks * RAYLEIGH
    evidence = (
        f"the deviation of calm blocks grows with the power {growth.exponent:.2f} of their mean (1"
        f" for speckle, 0.5 for shot noise); squared mean over variance {growth.looks:.3g}, which"
        f" are {amplitude:.2g} looks if the pixels are amplitudes"
    )
    action = (
        "restore the logarithm of the pixels, or use a speckle filter; geoae takes only the noise"
        " that it sees at the mean signal"
    )
    confidence = float(
        np.clip(1 - abs(growth.exponent - 1) - growth.looks / (2 * MOST_LOOKS), 0.1, 0.95)
    )
    return Finding(
        "speckle",
        plane.band,
        growth.looks,
        "looks",
        "whole scene",
        evidence,
        confidence,
        action,
    )


def measure_growth(plane: Plane) -> Growth | None:
    """Measure how the deviation of calm blocks grows with their mean.

    Args:
        plane: one band.

    Returns:
        The growth, or None where there are too few blocks, or values below 0.

    """
    mean, deviation = _measure_blocks(plane)
    if len(mean) < FEWEST_BLOCKS or np.percentile(mean, 1) <= 0:
        return None
    order = np.argsort(mean, kind="stable")
    levels, calm = [], []
    for some in np.array_split(order, CLASSES):
        relative = deviation[some] / mean[some]
        quiet = some[relative <= np.quantile(relative, 2 * CALM)]
        levels.append(float(np.median(mean[quiet])))
        calm.append(float(np.median(deviation[some][relative >= np.quantile(relative, CALM)])))
        calm[-1] = _calm_deviation(deviation[some])
    level, low = np.array(levels), np.array(calm)
    if (low <= 0).any() or level[0] <= 0:
        return None
    exponent = float(np.polyfit(np.log(level), np.log(low), 1)[0])
    looks = float(np.median((level / low) ** 2))
    return Growth(exponent, looks, float(level[-1] / level[0]))


def _calm_deviation(deviation: Floats) -> float:
    return float(np.quantile(deviation, CALM))


def _measure_blocks(plane: Plane) -> tuple[Floats, Floats]:
    """Mean and deviation of each valid block that is not flat."""
    means, deviations = [np.zeros(0)], [np.zeros(0)]
    for piece in plane.pieces:
        high, wide = (size // SIDE for size in piece.values.shape)
        inside = np.s_[: high * SIDE, : wide * SIDE]
        shape = (high, SIDE, wide, SIDE)
        blocks = piece.values[inside].reshape(shape).transpose(0, 2, 1, 3)
        whole = piece.valid[inside].reshape(shape).all(axis=(1, 3))
        flat = blocks[whole].reshape(-1, SIDE * SIDE)
        spread = flat.std(axis=1)
        means.append(flat.mean(axis=1)[spread > 0])
        deviations.append(spread[spread > 0])
    return np.concatenate(means), np.concatenate(deviations)
