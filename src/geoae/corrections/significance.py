"""Tell stripes from scenes: what lines have in common over their whole length."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtri

from geoae.types import Floats, Mask

__all__ = ["PERIODS", "Profiles", "Score", "score_bands", "score_lines", "score_periods"]

# Numbers of detectors that are looked for.
PERIODS = (2, 4, 6, 8, 10, 12, 16, 20)
# A line counts where each of its parts has this share of the usual weight.
LEAST_WEIGHT = 0.25
# Fewer lines tell nothing.
FEWEST_LINES = 32
# What is farther from the middle, in robust deviations, is an edge of the scene.
CLIP = 4.0
# Distances in cycles per profile at which the spectrum around a harmonic is looked at.
AROUND = np.array([-6.0, -5.0, -4.0, -3.0, -2.5, 2.5, 3.0, 4.0, 5.0, 6.0])
# Profiles are padded to so many times their length, for a spectrum at any frequency.
PADDED = 8
NORMAL_MAD = 0.6745


@dataclass(frozen=True, slots=True)
class Score:
    """Evidence for stripes, in sampling errors of what a scene without stripes would give."""

    whole: float
    """Evidence of all lines."""
    halves: tuple[float, float]
    """Evidence of the first and of the second half of the lines."""

    @property
    def least(self) -> float:
        """Evidence of the half that has less."""
        return min(self.halves)


@dataclass(frozen=True, eq=False, slots=True)
class Profiles:
    """Mean differences of neighbouring lines in several parts of each line."""

    mean: Floats
    """Mean of each part, ``(group, component, line)``, scaled to a robust deviation of 1."""
    usable: Mask
    """Lines that count, ``(line,)``."""

    @classmethod
    def of(cls, total: Floats, weight: Floats) -> "Profiles":
        """Make profiles from sums.

        Args:
            total: sums of weighted differences, ``(group, component, line)``.
            weight: sums of weights, of the same shape.

        """
        usual = np.median(weight, axis=-1, keepdims=True)
        usable = (weight > LEAST_WEIGHT * usual).all(axis=(0, 1))
        mean = np.where(usable, total / np.maximum(weight, 1e-30), 0.0)
        if usable.sum() < FEWEST_LINES:
            return cls(mean, np.zeros_like(usable))
        mean -= np.median(mean[..., usable], axis=-1, keepdims=True)
        deviation = np.median(np.abs(mean[..., usable]), axis=-1, keepdims=True) / NORMAL_MAD
        scaled = mean / np.maximum(deviation, 1e-30)
        return cls(np.clip(scaled, -CLIP, CLIP) * usable, usable)

    def halves(self) -> tuple["Profiles", "Profiles"]:
        """Return the first and the second half of the lines."""
        places = np.flatnonzero(self.usable)
        cut = int(places[len(places) // 2]) if places.size else len(self.usable) // 2
        return (
            Profiles(self.mean[..., :cut], self.usable[:cut]),
            Profiles(self.mean[..., cut:], self.usable[cut:]),
        )


def score_lines(
    profiles: Profiles, bands: Floats | None = None, *, near: bool = False, halves: bool = True
) -> Score:
    """Score stripes that are independent from line to line.

    Offsets of single lines turn up in two neighbouring differences, with opposite signs, and in
    all parts of a line: the correlation between parts at a lag of one line is negative. A scene's
    own detail is smooth across lines, or is not the same in all parts.

    Args:
        profiles: means of the parts of each line.
        bands: rotation from components to bands; None to score components.
        near: whether only parts side by side are compared, for a tilt that is not exact yet.
        halves: whether to score the halves of the lines, too; else they count as the whole.

    Returns:
        Evidence of the band that has most.

    """
    parts = (profiles, *profiles.halves()) if halves else (profiles,)
    scores = [float(_lagged(part, bands, near).max()) for part in parts]
    return Score(scores[0], (scores[-2], scores[-1]) if halves else (scores[0],) * 2)


def score_bands(profiles: Profiles, bands: Floats) -> Floats:
    """Score stripes that are independent from line to line for each band, ``(band,)``."""
    return _lagged(profiles, bands, near=False)


def _pairs(groups: int, near: bool) -> list[tuple[int, int]]:
    pairs = combinations(range(groups), 2)
    return [(i, j) for i, j in pairs if j == i + 1 or not near]


def _lagged(profiles: Profiles, bands: Floats | None, near: bool) -> Floats:
    mean, usable = profiles.mean, profiles.usable
    if bands is not None:
        mean = np.einsum("bk,gkl->gbl", bands, mean)
    both = usable[1:] & usable[:-1]
    if both.sum() < FEWEST_LINES // 2:
        return np.zeros(mean.shape[1])
    ranks = _normal_scores(mean[..., usable])
    full = np.zeros(mean.shape)
    full[..., usable] = ranks
    pairs = _pairs(len(mean), near)
    same, shifted = np.zeros((2, mean.shape[1]))
    for i, j in pairs:
        same += (full[i] * full[j]).sum(axis=-1) / usable.sum()
        one, other = full[i][:, 1:] * full[j][:, :-1], full[i][:, :-1] * full[j][:, 1:]
        shifted += ((one + other) * both).sum(axis=-1) / (2 * both.sum())
    error = np.sqrt(len(pairs) / (2 * both.sum()))
    # White stripes: the same place correlates twice as much; even and odd lines: as much.
    evidence: Floats = np.where(same > -0.7 * shifted, -shifted, 0.0) / error
    return evidence


def _normal_scores(values: Floats) -> Floats:
    """Replace values along the last axis by normal quantiles of their ranks."""
    ranks = values.argsort(axis=-1).argsort(axis=-1)
    scores: Floats = ndtri((ranks + 0.5) / values.shape[-1])
    return scores


def score_periods(
    profiles: Profiles, periods: Sequence[float], *, near: bool = False, halves: bool = True
) -> list[Score]:
    """Score stripes that repeat after a number of lines.

    The spectra of the parts of a line agree at the harmonics of a period, beyond what they have
    at frequencies around them.

    Args:
        profiles: means of the parts of each line.
        periods: lengths of the periods in lines.
        near: as for ``score_lines``.
        halves: whether to score the halves of the lines, too; else they count as the whole.

    Returns:
        Evidence for each period, all components together.

    """
    parts = (profiles, *profiles.halves()) if halves else (profiles,)
    spectra = [_spectrum(part) for part in parts]
    found = []
    for period in periods:
        scores = [_coherence(*spectrum, period, near) for spectrum in spectra]
        found.append(Score(scores[0], (scores[-2], scores[-1]) if halves else (scores[0],) * 2))
    return found


def _spectrum(profiles: Profiles) -> tuple[NDArray[np.complex64], int]:
    """Return the spectrum ``(group, component, frequency)`` of the usable lines, and their span."""
    places = np.flatnonzero(profiles.usable)
    if len(places) < FEWEST_LINES:
        return np.zeros((*profiles.mean.shape[:2], 0), np.complex64), 0
    span = slice(places[0], places[-1] + 1)
    length = int(span.stop - span.start)
    tapered = (profiles.mean[..., span] * np.hanning(length + 2)[1:-1]).astype(np.float32)
    return fft.rfft(tapered, fft.next_fast_len(PADDED * length, real=True)), length


def _coherence(spectrum: NDArray[np.complex64], length: int, period: float, near: bool) -> float:
    """Compare the groups of a ``spectrum`` of profiles of so many lines at a period."""
    if length < 3 * period:
        return 0.0
    frequency = np.arange(1, int(period / 2 + 0.1) + 1) / period
    # Bins of the padded spectrum, which repeats itself backwards beyond half a cycle per line.
    last = spectrum.shape[-1] - 1
    beside = frequency[:, None] + AROUND / length
    at, around = (
        last - np.abs(last - np.rint(np.abs(some) * 2 * last).astype(int))
        for some in (frequency, beside)
    )
    power = np.square(np.abs(spectrum[..., around])).mean(axis=-1)
    scaled = spectrum[..., at] / np.sqrt(np.maximum(power, 1e-30))
    pairs = _pairs(len(scaled), near)
    agreement = sum(np.real(scaled[i] * np.conj(scaled[j])) for i, j in pairs)
    # The transform at half a cycle per line is real, so it varies twice as much.
    variance = np.where(np.abs(frequency - 0.5) < 0.6 / length, 1.0, 0.5).sum() * len(pairs)
    return float(np.sum(agreement) / np.sqrt(variance * scaled.shape[1]))
