"""Find what lossy compression left: the grid of JPEG, and the wavelets of JPEG 2000."""

import numpy as np

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.periodicity import block_profiles
from geoae.diagnosis.findings.planes import Plane, cut_planes
from geoae.types import Floats

__all__ = ["find_compression", "measure_grid", "measure_wavelets"]

BLOCK = 8
# Distances in frequencies from a harmonic at which the background is measured.
AROUND = [-5, -4, -3, -2, 2, 3, 4, 5]
# Least power of the first and third harmonic over the background, and how many sampling errors it
# exceeds 1 by. A pattern of 2 or 4 px, as resampling leaves it, has neither harmonic.
LEAST_GRID, LEAST_ERRORS = 1.8, 5.0
# High-pass filter of the wavelets of lossy JPEG 2000 (ISO/IEC 15444-1, annex F), from its middle.
HIGH_PASS = (1.115087052457, -0.591271763114, -0.057543526229, 0.091271763114)
REACH = len(HIGH_PASS) - 1
# Pixels of a piece that are filtered, and pieces.
CROP, PIECES, FEWEST_PIECES = 128, 16, 2
# The logarithm of details that sit on the grid of the wavelets is lower by so much at least. In
# scenes without JPEG 2000 it was about 0.02 at most, in lossy files 0.4 to 1.3.
LEAST_WAVELETS = 0.1
# Details below this part of a step of the pixel's type are rounding.
ROUNDING = 0.3
LOSSY = ("JPEG", "JPEG2000", "WEBP", "LERC", "JXL")
DEBLOCK = "deblocking is another product; geoae leaves it"


def find_compression(look: Look) -> list[Finding]:
    """Find bands that were compressed with loss.

    Args:
        look: the sample.

    Returns:
        For each band the excess in DN of steps across the borders of blocks of 8 x 8 px (kind
        "jpeg blocks"), or the part in % of the finest details that a quantisation of wavelets took
        (kind "jpeg 2000"); else one finding of the whole scene (kind "lossy compression") where
        the file names a compression that may lose something.

    """
    found = []
    for plane in cut_planes(look):
        found += _find_grid(plane) + _find_wavelets(plane, look)
    name = look.compression.upper()
    if not found and any(name.startswith(lossy) for lossy in LOSSY):
        evidence = f"the file says {look.compression}; no trace of it is visible"
        found.append(
            Finding("lossy compression", None, 0.0, "DN", "whole scene", evidence, 0.3, DEBLOCK)
        )
    return found


def _find_grid(plane: Plane) -> list[Finding]:
    power, height, count = measure_grid(plane)
    if power < LEAST_GRID or (power - 1) * np.sqrt(count) < LEAST_ERRORS:
        return []
    evidence = (
        f"steps across the borders of blocks of 8 x 8 px are {height * plane.scale:.3g} DN larger;"
        f" power at periods of 8 px {power:.3g} times that around"
    )
    confidence = min((power - 1) / power + 0.3, 0.99)
    return [
        Finding(
            "jpeg blocks",
            plane.band,
            height * plane.scale,
            "DN",
            "whole scene",
            evidence,
            confidence,
            DEBLOCK,
        )
    ]


def measure_grid(plane: Plane) -> tuple[float, float, int]:
    """Measure steps that repeat every 8 px, wherever the blocks begin.

    Args:
        plane: one band.

    Returns:
        Power of the pattern over that of the frequencies around; the excess of steps at the borders
        of blocks, over ``plane.scale``; and the number of profiles, 0 where there is none.

    """
    ratios, squares = [], []
    for profile in block_profiles(plane):
        length = len(profile) // BLOCK * BLOCK
        used = profile[:length] - profile[:length].mean()
        power = np.abs(np.fft.rfft(used)) ** 2
        harmonics = np.arange(1, 4) * length // BLOCK
        around = np.array([_background(power, int(at)) for at in harmonics])
        if not around.all():
            continue
        ratios.append(power[harmonics] / around)
        squares.append((power[harmonics] - around).mean() * (BLOCK / length) ** 2)
    if not ratios:
        return 0.0, 0.0, 0
    mean = np.mean(ratios, axis=0)
    return (
        float(np.sqrt(mean[0] * mean[2])),
        float(np.sqrt(max(np.mean(squares), 0.0))),
        len(ratios),
    )


def _background(power: Floats, at: int) -> float:
    return float(np.mean([power[at + d] for d in AROUND if 0 < at + d < len(power)]))


def _find_wavelets(plane: Plane, look: Look) -> list[Finding]:
    drop, count = measure_wavelets(plane, look.dtype)
    if drop < LEAST_WAVELETS or count < FEWEST_PIECES:
        return []
    lost = 100 * (1 - np.exp(-drop))
    says = f"; the file says {look.compression}" if look.compression else ""
    evidence = (
        f"on one of the four grids of 2 px the finest details of the wavelets of JPEG 2000 are"
        f" {lost:.0f} % smaller than on the others{says}"
    )
    confidence = min(0.8 + drop / 5, 0.99)
    action = (
        "details that the compression took cannot be restored; what is left of the noise is"
        " not white, so geoae removes little"
    )
    return [
        Finding("jpeg 2000", plane.band, lost, "%", "whole scene", evidence, confidence, action)
    ]


def measure_wavelets(plane: Plane, dtype: np.dtype[np.generic]) -> tuple[float, int]:
    """Measure how much smaller the finest diagonal details are on one grid of 2 px.

    JPEG 2000 rounds the details of its wavelets towards 0, and these sit at every other pixel. In
    other scenes details are the same wherever the grid begins.

    Args:
        plane: one band.
        dtype: type of the pixels.

    Returns:
        Difference of the mean logarithms of the least and of the second least of the four grids,
        averaged over pieces; and the number of pieces.

    """
    rounding = ROUNDING / plane.scale if np.issubdtype(dtype, np.integer) else 1e-12
    drops = []
    for piece in plane.pieces[:PIECES]:
        if min(piece.values.shape) < 2 * BLOCK:
            continue
        inside = np.s_[:CROP, :CROP]
        if not piece.valid[inside].all():
            continue
        details = np.abs(_filter(_filter(piece.values[inside]).T))
        if not details.any():
            continue
        grids = [
            np.log(details[row::2, col::2] + rounding).mean() for row in (0, 1) for col in (0, 1)
        ]
        least = np.sort(grids)
        drops.append(least[1] - least[0])
    return (float(np.mean(drops)), len(drops)) if drops else (0.0, 0)


def _filter(values: Floats) -> Floats:
    """Apply the high-pass filter along the rows, where it is inside."""
    last = values.shape[1] - REACH
    passed = HIGH_PASS[0] * values[:, REACH:last]
    for far in range(1, REACH + 1):
        both = values[:, REACH - far : last - far] + values[:, REACH + far : last + far]
        passed = passed + HIGH_PASS[far] * both
    return passed
