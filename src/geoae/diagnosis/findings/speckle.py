"""Find speckle: noise whose deviation is proportional to the signal."""

from dataclasses import dataclass

import numpy as np

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.planes import Plane, cut_planes
from geoae.diagnosis.noise.gate import WHITE
from geoae.types import Floats

__all__ = ["Growth", "find_speckle", "is_speckle", "measure_growth"]

# Blocks, and classes of brightness whose calmest blocks are compared; the darkest blocks may be
# noise of the receiver.
SIDE, CLASSES, CALM, DARKEST = 8, 8, 0.1, 0.02
FEWEST_BLOCKS = 300
# A block with more of its pixels at the lowest value is clipped.
MOST_LOWEST = 0.05
# Exponent of the deviation over the mean: 1 for speckle, 1/2 for shot noise, 0 for a constant one.
# Texture of radar scenes adds to it.
LEAST_EXPONENT, MOST_EXPONENT = 0.7, 1.6
# Ground as rough as more looks is found in any scene.
MOST_LOOKS = 30.0
# Speckle is everywhere: most blocks have little more than the calmest. Ratio of the median to the
# calmest tenth of relative deviations; 1.15 to 1.35 in radar scenes, mostly 1.5 to 3 in others.
MOST_UNEVEN = 1.42
# No other ground is as rough as so few looks, however a product scales or clips them; white noise
# may be.
FEW_LOOKS, FEW_EXPONENT, FEW_UNEVEN = 8.0, 0.2, 1.5
# Part of the blocks whose variance is that of speckle, without texture.
HOMOGENEOUS = 0.35
# Variance over squared mean of the amplitude of one look (Rayleigh): 4 / pi - 1.
RAYLEIGH = 4 / np.pi - 1


@dataclass(frozen=True, slots=True)
class Growth:
    """How the deviation of the calmest blocks grows with their mean."""

    exponent: float
    """Slope of the logarithm of the deviation over that of the mean."""
    looks: float
    """Squared mean over variance in homogeneous blocks."""
    uneven: float
    """Median of the relative deviation of blocks over that of the calmest tenth."""


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
        if growth is not None and is_speckle(growth, look.noise.verdict[plane.index]):
            found.append(_describe(plane, growth))
    return found


def is_speckle(growth: Growth | None, verdict: str) -> bool:
    """Whether the deviation of blocks is that of speckle.

    Args:
        growth: how the deviation grows; None counts as no speckle.
        verdict: that on the noise of the band, see ``NoiseCovariance.verdict``.

    """
    if growth is None:
        return False
    multiplicative = LEAST_EXPONENT <= growth.exponent <= MOST_EXPONENT
    if growth.looks <= FEW_LOOKS:
        # Strong white noise makes dark ground as rough, and clipping at 0 lets it grow a little.
        grows = growth.exponent >= FEW_EXPONENT and verdict != WHITE
        return (grows or multiplicative) and growth.uneven <= FEW_UNEVEN
    return multiplicative and growth.looks <= MOST_LOOKS and growth.uneven <= MOST_UNEVEN


def _describe(plane: Plane, growth: Growth) -> Finding:
    amplitude = growth.looks * RAYLEIGH
    evidence = (
        f"the deviation of calm blocks grows with the power {growth.exponent:.2f} of their mean (1"
        f" for speckle, 0.5 for shot noise); squared mean over variance {growth.looks:.3g}, which"
        f" are {amplitude:.2g} looks if the pixels are amplitudes"
    )
    action = (
        "geoae restore --speckle amplitude or intensity restores the logarithm of the pixels;"
        " without it geoae removes only the noise that it sees at the mean signal"
    )
    doubt = min(abs(growth.exponent - 1) / 2, 0.4) + growth.looks / (2 * MOST_LOOKS)
    confidence = float(np.clip(1 - doubt, 0.1, 0.95))
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
    if len(mean) < FEWEST_BLOCKS or np.quantile(mean, DARKEST) <= 0:
        return None
    order = np.argsort(mean, kind="stable")[int(DARKEST * len(mean)) :]
    classes = np.array_split(order, CLASSES)
    level = np.log([np.median(mean[some]) for some in classes])
    calm = np.log([np.quantile(deviation[some], CALM) for some in classes])
    if np.ptp(level) == 0:
        return None
    relative = deviation[order] / mean[order]
    low, homogeneous, middle = np.quantile(relative, (CALM, HOMOGENEOUS, 0.5))
    exponent = float(np.polyfit(level, calm, 1)[0])
    return Growth(exponent, float(homogeneous**-2), float(middle / low))


def _measure_blocks(plane: Plane) -> tuple[Floats, Floats]:
    """Mean and deviation of each valid block that is not flat."""
    means, deviations = [np.zeros(0)], [np.zeros(0)]
    lowest = min(piece.values[piece.valid].min() for piece in plane.pieces)
    for piece in plane.pieces:
        high, wide = (size // SIDE for size in piece.values.shape)
        inside = np.s_[: high * SIDE, : wide * SIDE]
        shape = (high, SIDE, wide, SIDE)
        blocks = piece.values[inside].reshape(shape).transpose(0, 2, 1, 3)
        whole = piece.valid[inside].reshape(shape).all(axis=(1, 3))
        flat = blocks[whole].reshape(-1, SIDE * SIDE)
        spread = flat.std(axis=1)
        usable = (spread > 0) & ((flat <= lowest).mean(axis=1) <= MOST_LOWEST)
        means.append(flat.mean(axis=1)[usable])
        deviations.append(spread[usable])
    return np.concatenate(means), np.concatenate(deviations)
