"""Find values that were cut off at the lowest or highest one."""

import numpy as np

from geoae.diagnosis.clipping import find_limits
from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.planes import Plane, cut_planes

__all__ = ["find_clipping"]

FEWEST = 1000
# Missing pixels that a file does not declare stand apart: within this part of the deviation from
# them are fewer pixels, over those of the value itself, than beside clipped values. On real scenes
# 0.03 at most and 0.13 at least.
BESIDE, LEAST_BESIDE = 0.1, 0.06
# A share of the pixels in % for which the confidence is a half.
HALF_SURE = 0.5


def find_clipping(look: Look) -> list[Finding]:
    """Find bands of which many pixels have the lowest or the highest value.

    Args:
        look: the sample.

    Returns:
        For each such band and end the share of its pixels in %. Values that stand far apart from
        all others, like those of missing pixels, are not clipped.

    """
    return [finding for plane in cut_planes(look) for finding in _find(plane)]


def _find(plane: Plane) -> list[Finding]:
    values = plane.values
    inner = values[(values > values.min()) & (values < values.max())]
    if len(inner) < FEWEST:
        return []
    spread = float(inner.std())
    found = []
    for limit, name in zip(find_limits(values, spread), ("lowest", "highest"), strict=True):
        if not np.isfinite(limit):
            continue
        at = int(np.count_nonzero(values == limit))
        beside = np.count_nonzero(np.abs(values - limit) <= BESIDE * spread) - at
        if beside < LEAST_BESIDE * at:
            continue
        share = 100 * at / len(values)
        value = limit * plane.scale
        evidence = f"{share:.3g} % of the valid pixels have the {name} value, {value:.6g} DN"
        action = (
            "the noise model allows for it; what was cut off cannot be restored, so use another"
            " gain or exposure, or declare the value as nodata if it marks missing pixels"
        )
        place = f"pixels of {value:.6g} DN"
        confidence = share / (share + HALF_SURE)
        found.append(
            Finding("clipping", plane.band, share, "%", place, evidence, confidence, action)
        )
    return found
