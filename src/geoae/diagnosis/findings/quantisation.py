"""Find values that lie on coarse steps."""

import numpy as np

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.planes import Plane, cut_planes
from geoae.types import Floats

__all__ = ["find_quantisation"]

FEWEST = 1000
# Rare values, such as those of dead pixels or markers, are left out: this share at either end.
RARE = 0.2
# Steps from the 2nd to the 98th percentile below which they are coarse.
COARSE = 32
# Steps are told from a sparse sample only where each value has so many pixels.
LEAST_PIXELS = 20
# Integers beyond this are not exact in float64.
LARGEST = 2.0**53
# Noise below this part of a step hardly ever changes a value.
UNSEEN = 0.4


def find_quantisation(look: Look) -> list[Finding]:
    """Find bands whose values are farther apart than their type allows, or few.

    Args:
        look: the sample.

    Returns:
        For each such band the step between used values in DN. Of a floating-point type only coarse
        steps count, since any scaling of integers leaves steps.

    """
    found = []
    for plane in cut_planes(look):
        finding = _find(look, plane)
        found += [finding] if finding else []
    return found


def _find(look: Look, plane: Plane) -> Finding | None:
    values = plane.values * plane.scale
    if plane.scale > LARGEST:
        return None
    is_integer = np.issubdtype(look.dtype, np.integer)
    if len(values) < FEWEST:
        return None
    if is_integer:
        values = np.rint(values)
    low, high = np.percentile(values, (RARE, 100 - RARE))
    used = np.unique(values[(values >= low) & (values <= high)])
    if len(used) < 2:
        return None
    step = _measure_step(used, is_integer, len(values))
    first, last = np.percentile(values, (2, 98))
    levels = (last - first) / step if step > 0 else np.inf
    if not np.isfinite(levels) or not ((is_integer and step > 1) or levels < COARSE):
        return None
    sigma = float(look.noise.sigma[plane.index])
    hidden = sigma < UNSEEN * step
    times = f", where {look.dtype} could have steps of 1 DN" if is_integer and step > 1 else ""
    evidence = (
        f"used values are {step:.4g} DN apart{times}; {levels:.0f} steps from the 2nd to the 98th"
        f" percentile; noise {sigma:.3g} DN"
    )
    action = (
        f"noise below about {UNSEEN * step:.3g} DN cannot be seen or estimated; use the product"
        " before it was reduced to these values"
        if hidden
        else "nothing: the noise is larger than the step, so it can be estimated and removed"
    )
    confidence = float(np.clip(len(values) / len(used) / (5 * LEAST_PIXELS), 0.5, 0.99))
    return Finding(
        "quantisation", plane.band, step, "DN", "whole scene", evidence, confidence, action
    )


def _measure_step(used: Floats, is_integer: bool, pixels: int) -> float:
    """Distance of neighbouring used values in DN; 0 where the sample is too sparse to tell."""
    gaps = np.diff(used)
    dense = pixels >= LEAST_PIXELS * len(used)
    typical = float(np.median(gaps)) if dense else 0.0
    if not is_integer:
        return typical
    # A step that is no whole number leaves gaps of two lengths, whose common divisor is small.
    common = float(np.gcd.reduce(gaps.astype(np.int64))) if gaps.max() < LARGEST else 1.0
    return max(common, typical)
