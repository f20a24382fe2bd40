"""Find low contrast and haze."""

import numpy as np

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.planes import Plane, cut_planes
from geoae.diagnosis.findings.speckle import is_speckle, measure_growth
from geoae.system.wording import name_bands, name_range

__all__ = ["find_contrast"]

# Percentiles of the contrast, and of the dark ground.
LOW, HIGH, DARK = 2, 98, 1
# A contrast below so many noise deviations, or steps of the type, is low.
LEAST_NOISES, LEAST_STEPS = 10.0, 24.0
# A contrast below this part of the highest value is low.
LEAST_PART = 0.12
# Dark ground above this part of the median, in all bands, is a veil or an offset.
LEAST_VEIL = 0.6
# The bands at which a veil is looked for, where there are no more: more are not all visible.
VISIBLE = 3
DISPLAY = "geoae preview stretches the contrast for display only; data are never stretched"


def find_contrast(look: Look) -> list[Finding]:
    """Find bands with low contrast, and a veil over the visible bands.

    Args:
        look: the sample.

    Returns:
        For each band of low contrast its span from the 2nd to the 98th percentile in % of its
        98th (kind "low contrast"); for the scene the least dark offset of its first three bands in
        % of their median (kind "haze").

    """
    planes = list(cut_planes(look))
    found = [finding for plane in planes for finding in _find(look, plane)]
    visible = planes[:VISIBLE]
    if len(visible) == VISIBLE:
        found += _find_veil(visible)
    return found


def _find(look: Look, plane: Plane) -> list[Finding]:
    low, high = np.percentile(plane.values, (LOW, HIGH))
    span = high - low
    if span <= 0:
        return []
    sigma = float(look.noise.sigma[plane.index]) / plane.scale
    noises = span / sigma if np.isfinite(sigma) and sigma > 0 else np.inf
    verdict = look.noise.verdict[plane.index]
    if noises < LEAST_NOISES and is_speckle(measure_growth(plane), verdict):
        # Speckle is as large as the signal in any scene, which says nothing of the contrast.
        noises = np.inf
    is_integer = np.issubdtype(look.dtype, np.integer)
    steps = span * plane.scale if is_integer else np.inf
    part = span / max(abs(low), abs(high))
    if noises >= LEAST_NOISES and steps >= LEAST_STEPS and part >= LEAST_PART:
        return []
    told = [f"{100 * part:.3g} % of the 98th percentile"]
    if np.isfinite(noises):
        told.append(f"{noises:.3g} noise deviations")
    if is_integer:
        span_of_type = float(np.iinfo(look.dtype.name).max) - float(np.iinfo(look.dtype.name).min)
        told.append(f"{100 * steps / span_of_type:.2g} % of the range of {look.dtype}")
    evidence = f"from the 2nd to the 98th percentile are {span * plane.scale:.4g} DN, {told[0]}"
    if len(told) > 1:
        evidence += f", {', '.join(told[1:])}"
    worst = max(1 - noises / LEAST_NOISES, 1 - steps / LEAST_STEPS, 1 - part / LEAST_PART)
    confidence = float(np.clip(0.5 + worst / 2, 0, 1))
    return [
        Finding(
            "low contrast",
            plane.band,
            100 * part,
            "%",
            "whole scene",
            evidence,
            confidence,
            DISPLAY,
        )
    ]


def _find_veil(planes: list[Plane]) -> list[Finding]:
    dark, middle = np.transpose([np.percentile(plane.values, (DARK, 50)) for plane in planes])
    # Where they are the same, most pixels have one value, which says nothing of haze.
    if (middle <= 0).any() or (dark >= middle).any():
        return []
    offsets = dark / middle
    if offsets.min() < LEAST_VEIL:
        return []
    levels = [value * plane.scale for value, plane in zip(dark, planes, strict=True)]
    evidence = (
        f"the darkest 1 % of {name_bands([plane.band for plane in planes])} are still"
        f" {name_range(levels, '.4g')} DN, at least"
        f" {100 * offsets.min():.0f} % of the median: haze, thin cloud, or an offset of the product"
    )
    action = (
        f"geoae does not remove haze: use an atmospheric correction; {DISPLAY.replace(';', ',')}"
    )
    confidence = float(np.clip((offsets.min() - LEAST_VEIL) / (1 - LEAST_VEIL), 0, 0.5))
    strength = float(100 * offsets.min())
    return [Finding("haze", None, strength, "%", "whole scene", evidence, confidence, action)]
