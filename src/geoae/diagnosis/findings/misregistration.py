"""Find bands that are shifted against the others."""

import numpy as np

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.planes import Plane, cut_planes
from geoae.diagnosis.findings.resampling import find_resampled
from geoae.diagnosis.findings.shifts import PIECES, Shift, measure_shift
from geoae.types import Floats

__all__ = ["find_misregistration"]

FEW_PIECES, MANY_BANDS = 6, 12
# Two partners agree where their shifts differ by less than this part of the shift.
AGREE = 0.5
# Pixels of each band from which partners are chosen.
SPARSE = 20_000
# Part of the variance of a band's detail from which on noise is most of it.
MOST_NOISE = 0.5


def find_misregistration(look: Look) -> list[Finding]:
    """Find bands that are shifted against those they correlate with best.

    A band counts as shifted where it is so against both of its best partners in the same way, or
    against the only other band; of two bands the second one is reported. Bands that were resampled
    or whose detail is mostly noise tell nothing: the grid and the noise have phases of their own.

    Args:
        look: the sample.

    Returns:
        For each such band the length of the shift in px.

    """
    planes = list(cut_planes(look))
    if len(planes) < 2:
        return []
    pieces = FEW_PIECES if len(planes) > MANY_BANDS else PIECES
    planes = [plane for plane in planes if len(plane.pieces) == len(planes[0].pieces)]
    partners = _choose_partners(planes)
    found = []
    for at, plane in enumerate(planes):
        if len(planes) == 2 and at == 0:
            continue
        others = [planes[other] for other in partners[at]]
        shift = _measure(plane, others, pieces)
        # Last, since it costs most and few bands are shifted.
        if shift is not None and all(_has_detail(look, one) for one in (plane, *others)):
            found.append(_describe(plane, shift, others[0].band))
    return found


def _measure(plane: Plane, others: list[Plane], pieces: int) -> Shift | None:
    """Return the shift against the first of the others; None unless all of them show it."""
    shifts = []
    for other in others:
        shift = measure_shift(plane, other, pieces)
        if shift is None or not shift.is_significant:
            return None
        shifts.append(shift)
    return shifts[0] if shifts and _agree(shifts) else None


def _has_detail(look: Look, plane: Plane) -> bool:
    """Whether a band has detail of its own grid, and more of it than noise."""
    sigma = float(look.noise.sigma[plane.index]) / plane.scale
    # Noise of two pixels makes the differences.
    power = np.square(_details(plane, 1)).mean()
    if np.isfinite(sigma) and 2 * sigma**2 > MOST_NOISE * power:
        return False
    return find_resampled(look, plane) is None


def _agree(shifts: list[Shift]) -> bool:
    first, last = shifts[0], shifts[-1]
    apart = np.hypot(first.down - last.down, first.across - last.across)
    return bool(apart <= AGREE * min(first.length, last.length))


def _describe(plane: Plane, shift: Shift, other: int) -> Finding:
    evidence = (
        f"{shift.down:+.2f} px down, {shift.across:+.2f} px across against band {other}; halves of"
        f" the windows differ by {shift.spread:.2f} px; coherence {shift.coherence:.2f}"
    )
    action = (
        "geoae does not move bands; register them before restoring, since bands that do not fit"
        " tell less of each other"
    )
    steady = 1 - min(shift.spread / shift.length, 1.0)
    confidence = float(np.clip(steady * (0.5 + shift.coherence / 2), 0, 1))
    return Finding(
        "misregistration",
        plane.band,
        shift.length,
        "px",
        "whole scene",
        evidence,
        confidence,
        action,
    )


def _choose_partners(planes: list[Plane]) -> list[list[int]]:
    """Indices of the two bands, or of the one, whose details are most like those of each."""
    size = sum(piece.values.size for piece in planes[0].pieces)
    step = max(int(np.sqrt(size / SPARSE)), 1)
    details = np.stack([_details(plane, step) for plane in planes])
    norm = np.linalg.norm(details, axis=1, keepdims=True)
    details /= np.where(norm > 0, norm, 1.0)
    likeness = np.abs(details @ details.T)
    np.fill_diagonal(likeness, -1.0)
    best = np.argsort(-likeness, axis=1, kind="stable")
    return [row[: min(2, len(planes) - 1)].tolist() for row in best]


def _details(plane: Plane, step: int) -> Floats:
    """Differences of pixels 2 px apart, of every so many rows and columns."""
    found = []
    for piece in plane.pieces:
        if min(piece.values.shape) < 3:
            continue
        usable = piece.valid[2:, 2:] & piece.valid[:-2, :-2]
        change = np.where(usable, piece.values[2:, 2:] - piece.values[:-2, :-2], 0.0)
        found.append(change[::step, ::step].ravel())
    return np.concatenate(found) if found else np.zeros(1)
