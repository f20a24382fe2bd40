"""Tell stripes from scenes: what lines have in common over their whole length."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.special import ndtri

from geoae.corrections.striping.profiles import FEWEST_LINES, Profiles
from geoae.types import Floats, Mask

__all__ = [
    "PERIODS",
    "WITHOUT_PERIOD",
    "Score",
    "score_bands",
    "score_lines",
    "score_periods",
    "stripe_variance",
]

# Numbers of detectors that are looked for.
PERIODS = (2, 4, 6, 8, 10, 12, 16, 20)
# Distances in cycles per profile at which the spectrum around a harmonic is looked at.
AROUND = np.array([-6.0, -5.0, -4.0, -3.0, -2.5, 2.5, 3.0, 4.0, 5.0, 6.0])
# Profiles are padded to so many times their length, for a spectrum at any frequency.
PADDED = 4
# Evidence that the best of many patterns may have by chance, and the detectors that stripes
# without a period count for.
CHANCE, WITHOUT_PERIOD = 3.0, 20.0


@dataclass(frozen=True, slots=True)
class Score:
    """Evidence for stripes, in sampling errors of what a scene without stripes would give."""

    whole: float
    """Evidence of all lines."""
    halves: tuple[float, float]
    """Evidence of the first and of the second half of the lines."""

    def rank(self, detectors: float) -> float:
        """Return what orders patterns: the excess of their evidence, of all harmonics together.

        The harmonics of a pattern include those of its divisors, each of which brings chance.
        """
        return (self.whole - CHANCE) * float(np.sqrt(detectors / 4 + 0.5))

    @property
    def least(self) -> float:
        """Evidence of the half that has less."""
        return min(self.halves)


def score_lines(
    profiles: Profiles,
    bands: Floats | None = None,
    *,
    reach: int = 1,
    near: bool = False,
    halves: bool = True,
) -> Score:
    """Score stripes that are independent from line to line.

    Offsets of single lines turn up in two neighbouring differences, with opposite signs, and in
    all parts of a line: the correlation between parts at a lag of one line is negative. A scene's
    own detail is smooth across lines, or is not the same in all parts.

    Args:
        profiles: means of the parts of each line.
        bands: rotation from components to bands; None to score components.
        reach: lines over which a stripe may spread: resampling can share it between two.
        near: whether only parts side by side are compared, for a tilt that is not exact yet.
        halves: whether to score the halves of the lines, too; else they count as the whole.

    Returns:
        Evidence of the band that has most.

    """
    parts = (profiles, *profiles.halves()) if halves else (profiles,)
    scores = [float(_correlate_lags(part, bands, reach, near).max()) for part in parts]
    return Score(scores[0], (scores[-2], scores[-1]) if halves else (scores[0],) * 2)


def score_bands(profiles: Profiles, bands: Floats, reach: int = 1) -> Floats:
    """Score stripes that are independent from line to line for each band, ``(band,)``.

    Each component gets back the deviation to which it was scaled. Without it, what is turned back
    to a band would hold some of the others, stripes and all, and less of what all bands share.

    Args:
        profiles: means of the parts of each line.
        bands: rotation from components to bands.
        reach: as for ``score_lines``.

    """
    unscaled = replace(profiles, mean=profiles.mean * profiles.deviation)
    return _correlate_lags(unscaled, bands, reach, near=False)


def stripe_variance(means: Floats, usable: Mask, reach: int = 1) -> Floats:
    """Estimate the variance of the offsets of lines.

    Differences of different parts of the lines have in common, at a lag of one line, minus the
    variance of independent offsets. Where resampling shares each offset between two lines, more is
    left at a lag of two lines, and the variance is minus the first less twice the second.

    Args:
        means: mean differences of parts of the lines, ``(group, band, line)``.
        usable: lines that count, ``(line,)``.
        reach: as for ``score_lines``.

    Returns:
        Variance of each band, ``(band,)``; negative by chance where there are no stripes.

    """
    one, *two = (-_mean_product(means, usable, lag) for lag in range(1, reach + 1))
    for more in two:
        one = np.where(more > one, one + 2 * more, one)
    return one


def _mean_product(means: Floats, usable: Mask, lag: int) -> Floats:
    """Mean product of different parts of the lines at a lag, ``(band,)``."""
    both = usable[lag:] & usable[:-lag]
    one, other = means[..., lag:][..., both], means[..., :-lag][..., both]
    products = one.sum(axis=0) * other.sum(axis=0) - (one * other).sum(axis=0)
    mean: Floats = products.mean(axis=-1) / (len(means) * (len(means) - 1))
    return mean


def _pairs(groups: int, near: bool) -> list[tuple[int, int]]:
    pairs = combinations(range(groups), 2)
    return [(i, j) for i, j in pairs if j == i + 1 or not near]


def _correlate_lags(profiles: Profiles, bands: Floats | None, reach: int, near: bool) -> Floats:
    mean, usable = profiles.mean, profiles.usable
    if bands is not None:
        mean = np.einsum("bk,gkl->gbl", bands, mean)
    lags = range(1, reach + 1)
    if min((usable[lag:] & usable[:-lag]).sum() for lag in lags) < FEWEST_LINES // 2:
        return np.zeros(mean.shape[1])
    ranks = _normal_scores(mean[..., usable])
    full = np.zeros(mean.shape)
    full[..., usable] = ranks
    found = [_correlate_lag(full, usable, lag, near) for lag in lags]
    evidence: Floats = np.max(found, axis=0)
    return evidence


def _correlate_lag(ranks: Floats, usable: Mask, lag: int, near: bool) -> Floats:
    """Evidence of a negative correlation between parts of the lines at a lag, ``(band,)``."""
    both = usable[lag:] & usable[:-lag]
    pairs = _pairs(len(ranks), near)
    same, shifted = np.zeros((2, ranks.shape[1]))
    for i, j in pairs:
        same += (ranks[i] * ranks[j]).sum(axis=-1) / usable.sum()
        one = ranks[i][:, lag:] * ranks[j][:, :-lag]
        other = ranks[i][:, :-lag] * ranks[j][:, lag:]
        shifted += ((one + other) * both).sum(axis=-1) / (2 * both.sum())
    error = np.sqrt(len(pairs) / (2 * both.sum()))
    # White stripes: the same place correlates twice as much; even and odd lines: as much.
    evidence: Floats = np.where(same > -0.7 * shifted, -shifted, 0.0) / error
    return evidence


def _normal_scores(values: Floats) -> Floats:
    """Replace values along the last axis by normal quantiles of their ranks."""
    length = values.shape[-1]
    scores = np.empty(values.shape)
    quantiles = np.broadcast_to(ndtri((np.arange(length) + 0.5) / length), values.shape)
    np.put_along_axis(scores, values.argsort(axis=-1), quantiles, axis=-1)
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
    scores = np.array([_coherence(part, periods, near) for part in parts])
    return [
        Score(
            float(some[0]), (float(some[-2]), float(some[-1])) if halves else (float(some[0]),) * 2
        )
        for some in scores.T
    ]


def _coherence(profiles: Profiles, periods: Sequence[float], near: bool) -> Floats:
    """Compare the groups of profiles at the harmonics of each period, ``(period,)``."""
    places = np.flatnonzero(profiles.usable)
    length = int(places[-1] + 1 - places[0]) if len(places) >= FEWEST_LINES else 0
    if not periods or length < 3 * min(periods):
        return np.zeros(len(periods))
    span = slice(places[0], places[0] + length)
    tapered = (profiles.mean[..., span] * np.hanning(length + 2)[1:-1]).astype(np.float32)
    padded = fft.next_fast_len(PADDED * length, real=True)
    spectrum = fft.rfft(tapered, padded)
    at, around, first, variance = _harmonics(length, padded, tuple(periods))
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    near_power = power[..., around].mean(axis=-1)
    # A product of complex numbers takes a quarter of the time of a division.
    scale = (1 / np.sqrt(np.maximum(near_power, 1e-30))).astype(spectrum.dtype)
    scaled = spectrum[..., at] * scale
    # Stripes without a period agree at all frequencies.
    apart = spectrum[..., around]
    apart *= scale[..., None]
    pairs = _pairs(len(scaled), near)
    agreement = _agree(scaled, near) - _agree(apart, near).mean(axis=-1)
    total = np.add.reduceat(agreement, first)
    found = total / np.sqrt(np.add.reduceat(variance, first) * len(pairs) * scaled.shape[1])
    return np.where(length >= 3 * np.array(periods), found, 0.0)


def _agree(spectrum: NDArray[np.complex64], near: bool) -> Floats:
    """Sum the cross-spectra of pairs of groups, of all or of those side by side, over components.

    Args:
        spectrum: ``(group, component, ...)``.
        near: whether only neighbours are paired.

    """
    if near:
        return np.real(spectrum[1:] * np.conj(spectrum[:-1])).sum(axis=(0, 1))
    single = np.square(np.abs(spectrum)).sum(axis=0)
    whole = np.square(np.abs(spectrum.sum(axis=0)))
    agreement: Floats = ((whole - single) / 2).sum(axis=0)
    return agreement


@lru_cache(maxsize=64)
def _harmonics(
    length: int, padded: int, periods: tuple[float, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return where the harmonics of periods are in a spectrum of ``padded`` places.

    Returns:
        Places of the harmonics ``(harmonic,)``, those around each ``(harmonic, place)``, the first
        harmonic of each period, and the variance of what two groups agree on in a harmonic.

    """
    numbers = [np.arange(1, int(period / 2 + 0.1) + 1) for period in periods]
    frequency = np.concatenate([n / p for n, p in zip(numbers, periods, strict=True)])
    first = np.cumsum([0, *map(len, numbers)])[:-1]
    at, around = (
        # The spectrum repeats itself backwards beyond half a cycle per line.
        np.rint(padded * np.abs(some - np.rint(some))).astype(np.intp)
        for some in (frequency, frequency[:, None] + AROUND / length)
    )
    last = padded // 2
    # The transform at half a cycle per line is real, so it varies twice as much.
    variance = np.where(np.abs(frequency - 0.5) < 0.6 / length, 1.0, 0.5)
    return np.minimum(at, last), np.minimum(around, last), first, variance
