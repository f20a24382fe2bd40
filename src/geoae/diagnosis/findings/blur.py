"""Find blur from the steepest straight edges."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings.planes import Plane, cut_planes, cut_samples
from geoae.radiometry.sharpness import LOWEST_MTF
from geoae.types import Floats, Mask, Samples

__all__ = ["Edges", "find_blur", "measure_all_edges", "measure_edges"]

# Half of the length of the profile of an edge, and the pixels at its ends that are its two sides.
REACH, SIDES = 6, 3
# Edges that are looked at in each band and direction, and the fewest that tell something.
MOST, FEWEST = 400, 40
# Pieces that are looked at; more cost more than they tell.
PIECES = 8
# An edge is straight and upright where the gradient along it is below this part of that across.
MOST_TILT = 0.25
# An edge is clean where its sides vary by less than this part of its step.
MOST_UNEVEN = 0.12
# Part of the edges, the sharpest, that shows the sensor: others are soft on the ground.
SHARP = 0.3
# Distance in px of the 10 % and the 90 % point of a Gaussian of 1 px.
TEN_NINETY = 2 * float(ndtri(0.9))
# Widths in px from which on a band is blurred; sensors have 1.3 to 2.3.
BLURRED = 2.45


@dataclass(frozen=True, slots=True)
class Edges:
    """The sharpest edges of one band."""

    width: float
    """Distance of the 10 % and the 90 % point in px."""
    count: int
    """Number of clean edges."""
    spread: float
    """Difference of the width between halves of the edges, in px."""

    @property
    def mtf(self) -> float:
        """Modulation transfer at the Nyquist frequency of a Gaussian whose edges look as wide."""
        return _find_transfer(self.width)

    @property
    def mtf_range(self) -> tuple[float, float]:
        """The least and the highest transfer that the spread of the width allows."""
        return _find_transfer(self.width + self.spread), _find_transfer(self.width - self.spread)


def _find_transfer(width: float) -> float:
    widths, transfers = _expect_widths()
    return float(np.interp(width, widths, transfers))


@lru_cache(maxsize=1)
def _expect_widths() -> tuple[Floats, Floats]:
    """Return the width in px that ``measure_edges`` finds, rising, for modulation transfers.

    Pixels are joined by straight lines, so narrow edges look wider than they are, by how much
    depends on where between two pixels they lie.
    """
    transfers, widths = np.linspace(0.99, 0.01, 99), []
    place = np.arange(-REACH, REACH + 1) - np.linspace(-0.5, 0.5, 64)[:, None]
    for transfer in transfers:
        # The transfer of a Gaussian of s px is exp(-2 (pi f s)^2).
        deviation = np.sqrt(-2 * np.log(transfer)) / np.pi
        found = _measure_widths(ndtr(place / deviation))
        widths.append(float(np.quantile(found, SHARP / 2)))
    return np.maximum.accumulate(widths), transfers


def find_blur(look: Look) -> list[Finding]:
    """Find bands whose sharpest edges are wide.

    Args:
        look: the sample.

    Returns:
        For each such band the distance in px of the 10 % and the 90 % point of an edge (ISO 12233).
        Ground without sharp edges looks the same as blur, so the confidence is low.

    """
    found = []
    for plane in cut_planes(look):
        edges = measure_edges(plane)
        if edges is not None and edges.width - edges.spread >= BLURRED:
            found.append(_describe(plane, edges))
    return found


def _describe(plane: Plane, edges: Edges) -> Finding:
    evidence = (
        f"the sharpest of {edges.count} clean edges rise from 10 to 90 % over {edges.width:.2f} px"
        f" (halves differ by {edges.spread:.2f} px); modulation at the Nyquist frequency about"
        f" {edges.mtf:.2g}"
    )
    # Edges as wide as this have a transfer below what --sharpen auto undoes.
    action = (
        "too soft for geoae restore --sharpen auto; if the modulation transfer of the sensor is"
        f" known, give it to --sharpen ({LOWEST_MTF} or more); compare with a scene of the same"
        " sensor, since ground without sharp edges looks the same"
    )
    steady = 1 - min(edges.spread / edges.width * 2, 1.0)
    confidence = 0.7 * steady * edges.count / (edges.count + 2 * FEWEST)
    return Finding(
        "blur", plane.band, edges.width, "px", "whole scene", evidence, confidence, action
    )


def measure_all_edges(samples: Samples) -> list[Edges]:
    """Measure the sharpest edges of each band.

    Args:
        samples: pairs of pixels and mask, True = valid, ``(band, row, col)``.

    Returns:
        One value for each band that has enough clean edges.

    """
    bands = range(1, len(samples[0][0]) + 1)
    measured = [measure_edges(plane) for plane in cut_samples(samples, bands)]
    return [edges for edges in measured if edges is not None]


def measure_edges(plane: Plane) -> Edges | None:
    """Measure the width of the sharpest clean edges, down and across.

    Args:
        plane: one band.

    Returns:
        Their width; None where there are too few.

    """
    profiles = [
        _cut_profiles(np.ascontiguousarray(values), valid)
        for piece in plane.pieces[:: max(len(plane.pieces) // PIECES, 1)]
        for values, valid in (
            (piece.values, piece.valid),
            (piece.values.T, piece.valid.T),
        )
    ]
    found = np.concatenate(profiles) if profiles else np.zeros((0, 2 * REACH + 1))
    widths = _measure_widths(found)
    if len(widths) < FEWEST:
        return None
    halves = [float(np.quantile(widths[half::2], SHARP / 2)) for half in (0, 1)]
    return Edges(float(np.mean(halves)), len(widths), abs(halves[0] - halves[1]))


def _cut_profiles(values: Floats, valid: Mask) -> Floats:
    """Profiles across the steepest upright edges of one piece, rising, ``(edge, pixel)``."""
    rows, cols = values.shape
    if rows < 3 or cols < 2 * REACH + 2:
        return np.zeros((0, 2 * REACH + 1))
    across = np.zeros(values.shape)
    across[:, 1:-1] = (values[:, 2:] - values[:, :-2]) / 2
    size = np.abs(across)
    inner = size[:, REACH : cols - REACH]
    before, after = size[:, REACH - 1 : cols - REACH - 1], size[:, REACH + 1 : cols - REACH + 1]
    crest = (inner >= before) & (inner > after) & (inner > 0)
    if not crest.any():
        return np.zeros((0, 2 * REACH + 1))
    steep = inner >= np.quantile(inner[crest], 0.8)
    row, col = np.nonzero(crest & steep)
    keep = (row > 0) & (row < rows - 1)
    row, col = row[keep], col[keep] + REACH
    along = np.abs(values[row + 1, col] - values[row - 1, col]) / 2
    # The rows beside it show the same edge.
    beside = np.minimum(
        across[row - 1, col] * across[row, col], across[row + 1, col] * across[row, col]
    )
    straight = (along <= MOST_TILT * size[row, col]) & (beside > 0.5 * across[row, col] ** 2)
    row, col = row[straight], col[straight]
    reach = np.arange(-REACH, REACH + 1)
    profiles = values[row[:, None], col[:, None] + reach]
    usable = valid[row[:, None], col[:, None] + reach].all(axis=1)
    profiles = profiles[usable]
    return profiles * np.sign(profiles[:, -1:] - profiles[:, :1])


def _measure_widths(profiles: Floats) -> Floats:
    """Distance in px of the 10 % and 90 % points of each clean profile, ``(edge,)``."""
    low, high = profiles[:, :SIDES], profiles[:, -SIDES:]
    bottom, top = low.mean(axis=1), high.mean(axis=1)
    step = top - bottom
    uneven = np.maximum(np.ptp(low, axis=1), np.ptp(high, axis=1))
    clean = (step > 0) & (uneven <= MOST_UNEVEN * step)
    order = np.argsort(-step[clean], kind="stable")[: 2 * MOST]
    chosen = ((profiles[clean] - bottom[clean, None]) / step[clean, None])[order]
    return _cross(chosen, 0.9) - _cross(chosen, 0.1)


def _cross(profiles: Floats, level: float) -> Floats:
    """Where each profile first exceeds ``level``, in px."""
    first = np.maximum((profiles >= level).argmax(axis=1), 1)
    each = np.arange(len(profiles))
    before, after = profiles[each, first - 1], profiles[each, first]
    rise = np.where(after > before, after - before, 1.0)
    crossed: Floats = first - 1 + np.clip((level - before) / rise, 0, 1)
    return crossed
