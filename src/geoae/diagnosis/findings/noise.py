"""Find visible noise."""

import numpy as np

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.planes import Plane, cut_planes
from geoae.diagnosis.noise.gate import CORRELATED, TEXTURE, Evidence

__all__ = ["find_noise"]

# Noise below this part of the contrast of a band, from its 2nd to its 98th percentile, is less than
# one grey level on a screen.
VISIBLE = 1 / 255
CONTRAST = (2, 98)
# Where noise cannot be told from texture, the evidence has to be strong, since fine texture has a
# floor and a correlation, too. Either the white floor is so many times as visible; or calm ground
# is visible, and a correlation explains it so many times better than white noise does; or it
# explains it somewhat better, and calm ground is so many times as visible.
FLOOR = 4.0
CLEAR_GAIN = 2.25
LEAST_GAIN, STRONG = 1.5, 10.0
# Confidence of each verdict.
SURE, UNSURE = 0.9, 0.4


def find_noise(look: Look) -> list[Finding]:
    """Find bands whose noise is visible once their contrast fills a screen.

    Args:
        look: the sample, whose ``noise`` holds level, correlation and verdict of each band.

    Returns:
        One finding for each such band: the deviation of the noise in DN at the mean signal.

    """
    found = []
    for plane in cut_planes(look):
        sigma, verdict = float(look.noise.sigma[plane.index]), look.noise.verdict[plane.index]
        seen = look.noise.evidence[plane.index]
        if not np.isfinite(sigma) or sigma <= 0:
            continue
        low, high = np.percentile(plane.values, CONTRAST)
        least = VISIBLE * (high - low) * plane.scale
        shown = sigma / seen.floor if verdict == TEXTURE and 0 < seen.floor <= 1 else sigma
        visible = sigma >= least
        if verdict == TEXTURE:
            visible = _is_strong(sigma, shown, least, seen.gain)
        if visible:
            found.append(_describe(look, plane, shown))
    return found


def _is_strong(floor: float, shown: float, least: float, gain: float) -> bool:
    """Whether what may be texture is noise by strong evidence.

    Args:
        floor: deviation of its white floor in DN.
        shown: deviation of calm ground in DN.
        least: deviation that is visible in DN.
        gain: how much better a correlation explains calm ground than white noise does.

    """
    correlated = shown >= least and gain >= CLEAR_GAIN
    strong = shown >= STRONG * least and gain >= LEAST_GAIN
    return floor >= FLOOR * least or correlated or strong


def _describe(look: Look, plane: Plane, shown: float) -> Finding:
    """Put the noise of one band into words."""
    sigma, slope = (float(of[plane.index]) for of in (look.noise.sigma, look.noise.slope))
    verdict, seen = look.noise.verdict[plane.index], look.noise.evidence[plane.index]
    growth = f"; its variance grows by {slope:.3g} DN for each DN of signal" if slope > 0 else ""
    evidence = f"{sigma:.4g} DN at the mean signal{growth}"
    if verdict == TEXTURE:
        evidence = (
            f"cannot be told from texture: its white part is {sigma:.4g} DN, calm ground shows"
            f" {shown:.4g} DN{_name_kernel(seen)}"
        )
        action = (
            f"only its white part of {sigma:.4g} DN is taken as noise; if the noise is known, give"
            " geoae restore --psd NAME and --sigma"
        )
        return Finding("noise", plane.band, sigma, "DN", "whole scene", evidence, UNSURE, action)
    if verdict == CORRELATED:
        middle = look.noise.correlation.shape[1] // 2
        lags = look.noise.correlation[plane.index]
        down, across = float(lags[middle + 1, middle]), float(lags[middle, middle + 1])
        evidence = (
            f"correlated ({seen.kernel}, lag 1 down {down:.2f}, across {across:.2f}): {evidence}"
        )
    else:
        evidence = f"white: {evidence}"
    action = "geoae restore removes it, with this level and this spectrum"
    return Finding("noise", plane.band, sigma, "DN", "whole scene", evidence, SURE, action)


def _name_kernel(seen: Evidence) -> str:
    return f", most like {seen.kernel}" if seen.kernel else ""
