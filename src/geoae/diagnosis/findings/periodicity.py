"""Patterns that repeat along the rows or the columns of a band."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from geoae.diagnosis.findings.planes import Plane
from geoae.diagnosis.spread import pick_evenly
from geoae.types import Floats, Mask

__all__ = ["average_spectrum", "block_profiles", "find_peak"]

# A line of a profile that fewer pixels make up tells nothing, and neither does a shorter profile.
FEWEST_PIXELS, SHORTEST = 8, 48
# Differences count for no more than so many times their mean: edges of objects are no pattern.
LOUDEST = 4.0
# Pieces that are looked at; more tell little more.
PIECES = 8
# Frequencies of a spectrum from 0 to 1/2 cycles per pixel, and how many of them are the background
# of each.
FREQUENCIES, BACKGROUND = 512, 161
# Slow changes are the scene.
SLOWEST = 0.04


def _orientations(plane: Plane) -> Iterator[tuple[int, Floats, Mask]]:
    """Axis along which a profile runs, pixels and mask with this axis last."""
    step = max(len(plane.pieces) / PIECES, 1.0)
    for at in pick_evenly(len(plane.pieces), step):
        piece = plane.pieces[at]
        for axis, (values, valid) in enumerate(
            ((piece.values.T, piece.valid.T), (piece.values, piece.valid))
        ):
            if values.shape[1] >= SHORTEST and values.shape[0] >= FEWEST_PIXELS:
                yield axis, np.ascontiguousarray(values), np.ascontiguousarray(valid)


def block_profiles(plane: Plane) -> list[Floats]:
    """Compute how much larger steps between neighbours are than the steps beside them.

    Args:
        plane: one band.

    Returns:
        Profiles ``(boundary,)`` along rows and columns of its pieces, over ``plane.scale``.

    """
    profiles = []
    for _, values, valid in _orientations(plane):
        steps = np.abs(np.diff(values, axis=1))
        usable = valid[:, :-3] & valid[:, 1:-2] & valid[:, 2:-1] & valid[:, 3:]
        count = usable.sum(axis=0)
        if (count < FEWEST_PIXELS).any():
            continue
        excess = steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2
        most = LOUDEST * steps.mean()
        excess = np.clip(excess, -most, most) * usable
        profiles.append(excess.sum(axis=0) / count)
    return profiles


def average_spectrum(plane: Plane, axis: int) -> tuple[Floats, int]:
    """Average the spectrum of the logarithm of the mean second difference over pieces.

    Interpolation weights pixels by their place between those of the source, so that the variance
    of a derivative repeats itself (Gallagher, Canadian Conference on Computer and Robot Vision,
    2005).

    Args:
        plane: one band.
        axis: 0 for a pattern down the columns, 1 for one across the rows.

    Returns:
        Power over that of the frequencies around, ``(frequency,)`` from 0 to 1/2 cycles per pixel;
        and the number of pieces, 0 where there is nothing to measure.

    """
    total, pieces = np.zeros(FREQUENCIES + 1), 0
    for direction, values, valid in _orientations(plane):
        if direction != axis:
            continue
        bend = np.abs(values[:, :-2] - 2 * values[:, 1:-1] + values[:, 2:])
        usable = valid[:, :-2] & valid[:, 1:-1] & valid[:, 2:]
        count = usable.sum(axis=0)
        if (count < FEWEST_PIXELS).any():
            continue
        profile = (np.minimum(bend, LOUDEST * bend[usable].mean()) * usable).sum(axis=0) / count
        if profile.mean() <= 0:
            continue
        logs = np.log(np.maximum(profile, 1e-3 * profile.mean()))
        window = np.hanning(len(logs))
        spectrum = np.abs(fft.rfft((logs - logs.mean()) * window, 2 * FREQUENCIES)) ** 2
        total += spectrum / (window**2).sum()
        pieces += 1
    around = ndimage.median_filter(total, size=BACKGROUND, mode="nearest")
    return total / np.maximum(around, np.finfo(np.float64).tiny), pieces if around.any() else 0


def find_peak(spectrum: Floats, excluded: NDArray[np.bool_]) -> tuple[float, float]:
    """Find the highest peak of ``average_spectrum``.

    Args:
        spectrum: power ``(frequency,)``.
        excluded: frequencies that do not count, ``(frequency,)``.

    Returns:
        Frequency in cycles per pixel, and power over that of the frequencies around.

    """
    frequency = np.linspace(0, 0.5, len(spectrum))
    power = np.where(excluded | (frequency < SLOWEST), 0.0, spectrum)
    best = int(power.argmax())
    return float(frequency[best]), float(power[best])
