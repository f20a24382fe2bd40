"""Measure the shift between two bands to a part of a pixel."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from geoae.diagnosis.findings.planes import Plane
from geoae.diagnosis.spread import pick_evenly
from geoae.types import Floats

__all__ = ["PIECES", "Shift", "measure_shift"]

# Pieces are cut to squares of this side at most; smaller ones than SMALLEST tell nothing.
SIDE, SMALLEST = 128, 32
PIECES = 16
# Frequencies in cycles per pixel that count: lower ones hardly move, higher ones are noise and
# aliasing.
LOWEST, HIGHEST = 0.03, 0.35
# Coherence of the bands that is needed on average.
LEAST_COHERENCE = 0.3
# Shifts in px that are reported, and by how much they exceed the difference between halves.
LEAST_SHIFT, SURE = 0.1, 2.5
# Farthest shift in px, and rounds of the fit.
FARTHEST, ROUNDS = 16, 4
# How much higher the peak of opposite contrast has to be; and the mean cosine of what the fit
# leaves of the phases, 1 where they are a plane.
OPPOSITE, LEAST_FIT = 1.5, 0.45

Pair = tuple[NDArray[np.complex128], NDArray[np.complex128]]


@dataclass(frozen=True, slots=True)
class Shift:
    """Where one band lies in relation to another."""

    down: float
    """Rows in px."""
    across: float
    """Columns in px."""
    spread: float
    """Difference of the shift between halves of the windows, in px."""
    coherence: float
    """Mean coherence of the bands, 0 to 1."""

    @property
    def length(self) -> float:
        """Length in px."""
        return float(np.hypot(self.down, self.across))

    @property
    def is_significant(self) -> bool:
        """Whether the shift is there in both halves of the windows."""
        steady = self.length > max(LEAST_SHIFT, SURE * self.spread)
        return steady and self.coherence >= LEAST_COHERENCE


def measure_shift(plane: Plane, other: Plane, pieces: int = PIECES) -> Shift | None:
    """Measure the shift of one band against another to a part of a pixel.

    The phase of the cross spectrum, averaged over windows, is a plane over frequency, fitted with
    the coherence as weight (Foroosh, Zerubia and Berthod, IEEE TIP 11(3), 2002).

    Args:
        plane: the band.
        other: the band it is compared with, cut in the same way.
        pieces: how many pieces are used at most.

    Returns:
        The shift; None where there is nothing to compare.

    """
    pairs = list(_spectra(plane, other, pieces))
    if not pairs:
        return None
    whole = _fit(pairs)
    if whole is None:
        return None
    halves = [_fit(_halve(pairs, half)) for half in (0, 1)]
    if halves[0] is None or halves[1] is None:
        return None
    spread = float(np.hypot(*(halves[0][0] - halves[1][0])))
    return Shift(float(whole[0][0]), float(whole[0][1]), spread, whole[1])


def _spectra(plane: Plane, other: Plane, pieces: int) -> Iterator[Pair]:
    """Spectra of both bands in pieces that are valid in both, all of one size."""
    sides = [min(piece.values.shape) for piece in plane.pieces]
    side = min(max(sides, default=0), SIDE)
    # One window is cut into four quarters, so that there are halves to compare.
    while side >= 2 * SMALLEST and sum(one >= side for one in sides) < 4:
        side //= 2
    if side < SMALLEST:
        return
    taper = np.outer(np.hanning(side), np.hanning(side))
    places = [
        (one, two, row, col)
        for one, two in zip(plane.pieces, other.pieces, strict=True)
        for row in range(0, one.values.shape[0] - side + 1, side)
        for col in range(0, one.values.shape[1] - side + 1, side)
    ]
    step = max(len(places) / pieces, 1.0)
    for at in pick_evenly(len(places), step):
        one, two, row, col = places[at]
        inside = np.s_[row : row + side, col : col + side]
        if one.valid[inside].mean() < 1 or two.valid[inside].mean() < 1:
            continue
        first, second = (
            fft.rfft2((piece.values[inside] - piece.values[inside].mean()) * taper)
            for piece in (one, two)
        )
        yield first, second


def _halve(pairs: list[Pair], half: int) -> list[Pair]:
    return pairs[half::2] if len(pairs) > 1 else pairs


def _fit(pairs: list[Pair]) -> tuple[Floats, float] | None:
    """Shift in px, down and across, and mean coherence."""
    if not pairs:
        return None
    cross, first, second = _sum(pairs)
    side = cross.shape[0]
    down, across = fft.fftfreq(side)[:, None], fft.rfftfreq(side)[None, :]
    radius = np.hypot(down, across)
    used = (radius >= LOWEST) & (radius <= HIGHEST)
    power = np.sqrt(first * second)
    scale = power.max()
    if scale <= 0:
        return None
    coherence = np.abs(cross) / np.where(power > 1e-12 * scale, power, np.inf)
    weight = np.where(used, coherence**2, 0.0)
    phase = cross / np.where(np.abs(cross) > 0, np.abs(cross), 1.0)
    sign, shift = _find_whole(weight * phase)
    phase = sign * phase
    rows, cols = np.broadcast_to(down, used.shape)[used], np.broadcast_to(across, used.shape)[used]
    matrix = -2 * np.pi * np.stack([rows, cols], axis=1)
    for _ in range(ROUNDS):
        left = np.angle(phase[used] * np.exp(-1j * (matrix @ shift)))
        robust = weight[used] * (np.abs(left) < np.pi / 2)
        normal = matrix.T @ (robust[:, None] * matrix)
        if np.linalg.cond(normal) > 1e10:
            return None
        shift = shift + np.linalg.solve(normal, matrix.T @ (robust * left))
    left = np.angle(phase[used] * np.exp(-1j * (matrix @ shift)))
    if weight[used] @ np.cos(left) < LEAST_FIT * weight[used].sum():
        return None
    return shift, float(coherence[used].mean())


def _sum(pairs: list[Pair]) -> tuple[NDArray[np.complex128], Floats, Floats]:
    """Cross spectrum and the two power spectra, summed over pairs."""
    cross = np.sum([one * np.conj(two) for one, two in pairs], axis=0)
    first = np.sum([np.abs(one) ** 2 for one, _ in pairs], axis=0)
    second = np.sum([np.abs(two) ** 2 for _, two in pairs], axis=0)
    return cross, first, second


def _find_whole(spectrum: NDArray[np.complex128]) -> tuple[float, Floats]:
    """Sign of the contrast, and shift in whole px: the peak of the phase correlation."""
    peak = fft.irfft2(spectrum)
    side = len(peak)
    far = min(FARTHEST, side // 4)
    near = np.roll(peak, (far, far), axis=(0, 1))[: 2 * far + 1, : 2 * far + 1]
    # Bands may have opposite contrast, but seldom do.
    negative = -near.min() > OPPOSITE * near.max()
    row, col = np.unravel_index(int((-near if negative else near).argmax()), near.shape)
    return (-1.0 if negative else 1.0), np.array([float(row) - far, float(col) - far])
