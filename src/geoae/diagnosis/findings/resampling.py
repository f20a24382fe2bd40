"""Find bands that were interpolated from another grid."""

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.compression import BLOCK, measure_grid, measure_wavelets
from geoae.diagnosis.findings.periodicity import average_spectrum, find_peak
from geoae.diagnosis.findings.planes import Plane, cut_planes
from geoae.diagnosis.noise.gate import CORRELATED, SHORT
from geoae.types import Floats

__all__ = ["find_resampled", "find_resampling", "measure_cutoff"]

# Length of the lines whose spectrum is computed, and the frequencies of the reference in cycles
# per line.
LINE, REFERENCE = 64, slice(6, 10)
# Power that is lower than the reference by this factor is missing. Thermal bands, enlarged 3.3
# times, have 3e-3 or less at 0.3 cycles per pixel, other scenes 2e-2 or more.
MISSING = 3e-3
# A grid that is finer than its detectors has no power above this frequency in cycles per pixel.
HIGHEST = 0.42
FEWEST_LINES = 64
# Power of a periodic pattern over that around, for several pieces and for few.
LEAST_PEAK, FEW_PEAK, FEW = 15.0, 40.0, 4
# Frequencies this close to those of blocks of 8 px (16 px for colour), or of wavelets, are theirs
# where a band shows so much of them.
BLOCK_WIDTH, SOME_GRID, SOME_WAVELETS = 0.012, 1.3, 0.1
ACTION = (
    "detail beyond the original grid cannot be restored; noise is correlated, so process the"
    " product on its own grid if there is one"
)


def find_resampling(look: Look) -> list[Finding]:
    """Find bands that were interpolated.

    Three signs: no power at high frequencies, a pattern that repeats itself with the phase between
    the two grids, and noise with the correlation of a known interpolation.

    Args:
        look: the sample.

    Returns:
        One finding for each such band: the size of a detail in px that the finest remaining
        frequency can carry (2 where all are there).

    """
    found = []
    for plane in cut_planes(look):
        finding = find_resampled(look, plane)
        found += [finding] if finding else []
    return found


def find_resampled(look: Look, plane: Plane) -> Finding | None:
    """Find out whether one band was interpolated; see ``find_resampling``.

    Args:
        look: the sample.
        plane: a band of it.

    Returns:
        The finding; None where the band shows no sign.

    """
    cutoff = min(measure_cutoff(plane, 0), measure_cutoff(plane, 1))
    signs, confidence = [], 0.0
    if cutoff < HIGHEST:
        signs.append(
            f"power is below {MISSING:g} of that at 0.12 cycles per pixel from {cutoff:.2f} on"
        )
        confidence = 0.9
    compressed = _is_compressed(look, plane)
    for axis, name in enumerate(("down", "across")):
        spectrum, pieces = average_spectrum(plane, axis)
        if not pieces:
            continue
        frequency, power = find_peak(spectrum, _of_blocks(spectrum) & compressed)
        if power >= (LEAST_PEAK if pieces >= FEW else FEW_PEAK):
            signs.append(
                f"detail repeats every {1 / frequency:.3g} px {name} ({power:.0f} times the power"
                " around)"
            )
            confidence = max(confidence, power / (power + 10))
    seen = look.noise.evidence[plane.index]
    # A short correlation may be the memory of a detector.
    if look.noise.verdict[plane.index] == CORRELATED and seen.expected < SHORT:
        signs.append(f"noise has the correlation of a {seen.kernel}")
        confidence = max(confidence, 0.6)
    if not signs:
        return None
    return Finding(
        "resampling",
        plane.band,
        1 / min(cutoff, 0.5),
        "px",
        "whole scene",
        "; ".join(signs),
        float(min(confidence, 0.99)),
        ACTION,
    )


def _is_compressed(look: Look, plane: Plane) -> bool:
    """Whether blocks or wavelets may be what repeats itself."""
    grid, wavelets = measure_grid(plane)[0], measure_wavelets(plane, look.dtype)[0]
    return grid >= SOME_GRID or wavelets >= SOME_WAVELETS


def _of_blocks(spectrum: Floats) -> NDArray[np.bool_]:
    """Frequencies of patterns of 16 px, of which 8 px are a part,, ``(frequency,)``."""
    frequency = np.linspace(0, 0.5, len(spectrum)) * 2 * BLOCK
    near: NDArray[np.bool_] = np.abs(frequency - np.rint(frequency)) < BLOCK_WIDTH * 2 * BLOCK
    return near


def measure_cutoff(plane: Plane, axis: int) -> float:
    """Measure from which frequency on a band has no power.

    Args:
        plane: one band.
        axis: 0 for frequencies down the columns, 1 for those across the rows.

    Returns:
        The frequency in cycles per pixel; 0.5 where there is power at all of them, or too few
        lines to tell.

    """
    lines = []
    for piece in plane.pieces:
        values, valid = piece.values, piece.valid
        if axis == 0:
            values, valid = values.T, valid.T
        start = (values.shape[1] - LINE) // 2
        if start < 0:
            continue
        middle = slice(start, start + LINE)
        lines.append(values[::2, middle][valid[::2, middle].all(axis=1)])
    used = np.concatenate(lines) if lines else np.zeros((0, LINE))
    if len(used) < FEWEST_LINES:
        return 0.5
    ramp = np.linspace(-1, 1, LINE)
    used = used - used.mean(axis=1, keepdims=True)
    used -= (used @ ramp)[:, None] * ramp / (ramp @ ramp)
    power = (np.abs(np.fft.rfft(used * np.hanning(LINE), axis=1)) ** 2).mean(axis=0)
    reference = power[REFERENCE].mean()
    there = np.flatnonzero(power >= MISSING * reference)
    return float(there[-1] + 1) / LINE if reference > 0 and len(there) else 0.5
