"""Offsets of lines from what neighbouring lines differ by."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular, solveh_banded

from geoae.corrections.striping.significance import stripe_variance
from geoae.corrections.striping.sums import LineSums
from geoae.types import Floats, Mask

__all__ = ["fold", "fold_offsets", "line_offsets", "phases"]

# What is farther from the middle, in robust deviations, counts as this far.
CLIP = 4.0
NORMAL_MAD = 0.6745
# The least variance of a difference beside that of the stripes: gains leave so much at best.
LEAST_ERROR = 1e-3
# Parts of a line that differ by so many times the usual variance disagree.
DISAGREE = 4.0
# Lags in lines at which stripes leave nothing, also where resampling shares each between two, and
# how many times what is there a pattern must have that bands share: those of independent stripes
# had up to 1.2 times as much, those of shared ones 5 to 10 times.
CHANCE_LAGS, SHARED = (4, 5, 6, 7), 2.0
# Part of the variance of a band's offsets that is its own at least.
LEAST_OWN = 0.02
# The weight of a line against the usual one.
LEAST_WEIGHT, MOST_WEIGHT = 0.05, 4.0


def line_offsets(sums: LineSums) -> tuple[Floats, Floats]:
    """Estimate an offset for each line.

    Differences of neighbouring lines with a normal prior of the offsets (Carfantan and Idier, IEEE
    TGRS 48(4), 2010), for all bands together: the prior has the covariance of the offsets between
    bands, which are independent unless bands certainly share stripes; the error of the differences
    is the scene's, which bands share. In the basis that makes both covariances diagonal the bands
    part into independent systems of one unknown per line.

    Args:
        sums: sums over the lines of a scene.

    Returns:
        Offsets in DN ``(band, line)``, and the standard deviation of the stripes of each band.

    """
    groups = _band_means(sums)
    usable = _usable(sums)
    clipped = _clip(groups[..., usable])
    variance = _stripe_variance(clipped, sums.direction.reach)
    error = _error_covariance(groups[..., usable], sums.weight[..., usable])
    factor = np.linalg.cholesky(_stripe_covariance(clipped, variance, error, sums.direction.reach))
    mean = _mean(sums)
    mean -= np.average(mean, axis=1, weights=usable)[:, None]
    inverse = solve_triangular(factor, np.eye(len(factor)), lower=True)
    values, vectors = np.linalg.eigh(inverse @ error @ inverse.T)
    rotated = vectors.T @ (inverse @ mean)
    doubt = _doubt(groups, usable)
    precision = usable / (np.maximum(values, LEAST_ERROR)[:, None] * doubt)
    solved = np.stack([_solve(*pair) for pair in zip(rotated, precision, strict=True)])
    return factor @ (vectors @ solved), np.sqrt(variance)


def fold_offsets(sums: LineSums, periods: Sequence[float], detectors: int) -> list[Floats]:
    """Estimate an offset for each detector of patterns that repeat.

    Args:
        sums: sums over the lines of a scene.
        periods: lines after which each pattern repeats.
        detectors: number of detectors.

    Returns:
        Offsets of each pattern in DN ``(band, detector)`` with a mean of 0, by weighted least
        squares.

    """
    usable, back = _usable(sums), sums.model.back
    total, weight = sums.total.sum(axis=0) * usable, sums.weight.sum(axis=0) * usable
    found = [back @ fold(total, weight, period, detectors) for period in periods]
    return [offsets - offsets.mean(axis=1, keepdims=True) for offsets in found]


def fold(total: Floats, weight: Floats, period: float, detectors: int) -> Floats:
    """Solve for the detectors whose differences are known, by weighted least squares.

    Args:
        total: sums of weighted differences between each line and the next, ``(component, line)``.
        weight: sums of weights, of the same shape.
        period: lines after which the pattern repeats.
        detectors: number of detectors.

    Returns:
        A value for each detector, ``(component, detector)``, with a mean of 0.

    """
    phase = phases(np.arange(total.shape[1]), period, detectors)
    here, there = phase[:-1], phase[1:]
    pairs, size = here * detectors + there, detectors * detectors
    solved = np.empty((len(total), detectors))
    for index, (sums, weights) in enumerate(zip(total[:, :-1], weight[:, :-1], strict=True)):
        between = np.bincount(pairs, weights, size).reshape(detectors, detectors)
        ends = np.bincount(here, weights, detectors) + np.bincount(there, weights, detectors)
        normal = np.diag(ends) - between - between.T
        right = np.bincount(there, sums, detectors) - np.bincount(here, sums, detectors)
        solved[index] = np.linalg.lstsq(normal, right, rcond=1e-9)[0]
    return solved - solved.mean(axis=1, keepdims=True)


def phases(lines: NDArray[np.intp], period: float, detectors: int) -> NDArray[np.intp]:
    """Return the detector of each line of a pattern that repeats."""
    return np.floor(lines / period % 1 * detectors + 1e-9).astype(np.intp) % detectors


def _usable(sums: LineSums) -> Mask:
    """Lines whose difference to the next is known, in all components."""
    weight = sums.weight.sum(axis=0)
    found: Mask = (weight > LEAST_WEIGHT * np.median(weight, axis=1, keepdims=True)).all(axis=0)
    return found & (weight > 0).all(axis=0)


def _mean(sums: LineSums) -> Floats:
    """Mean differences in DN, ``(band, line)``."""
    weight = sums.weight.sum(axis=0)
    components = sums.total.sum(axis=0) / np.maximum(weight, 1e-30)
    mean: Floats = sums.model.back @ components
    return mean


def _band_means(sums: LineSums) -> Floats:
    """Mean differences of each part of the lines in DN, ``(group, band, line)``."""
    components = sums.total / np.maximum(sums.weight, 1e-30)
    means: Floats = np.einsum("bk,gkl->gbl", sums.model.back, components)
    return means


def _clip(groups: Floats) -> Floats:
    """Clip mean differences ``(group, band, line)`` around the middle of each part of a band."""
    centred = groups - np.median(groups, axis=-1, keepdims=True)
    spread = np.median(np.abs(centred), axis=-1, keepdims=True) / NORMAL_MAD
    clipped: Floats = np.clip(centred, -CLIP * spread, CLIP * spread)
    return clipped


def _stripe_variance(clipped: Floats, reach: int) -> Floats:
    """Variance of the offsets of each band, without what single lines bring."""
    found = stripe_variance(clipped, np.ones(clipped.shape[-1], bool), reach)
    spread = np.median(np.abs(clipped), axis=-1) / NORMAL_MAD
    least = 1e-4 * np.square(spread).mean(axis=0)
    return np.maximum(found, np.maximum(least, 1e-30))


def _stripe_covariance(clipped: Floats, variance: Floats, error: Floats, reach: int) -> Floats:
    """Covariance of the offsets between bands, ``(band, band)``.

    Offsets of bands are taken for independent, but for patterns of which mean differences at a lag
    of one line hold more than any pattern does at lags at which stripes leave nothing.

    Args:
        clipped: mean differences of parts of the lines, ``(group, band, line)``.
        variance: of the offsets of each band, ``(band,)``.
        error: covariance of the error of mean differences, ``(band, band)``.
        reach: lines over which a stripe may spread.

    """
    own = np.diag(variance)
    # Bands that are copies of each other have a singular error.
    factor = np.linalg.cholesky(error + own + np.diag(LEAST_OWN * np.diag(error)))
    inverse = solve_triangular(factor, np.eye(len(factor)), lower=True)

    def turn(covariance: Floats) -> Floats:
        return inverse @ covariance @ inverse.T

    lags = [_lag_covariance(clipped, lag) for lag in range(1, reach + 1)]
    found, without = -lags[0], [_lag_covariance(clipped, lag) for lag in CHANCE_LAGS]
    if reach > 1 and np.trace(turn(lags[1] - lags[0])) < 0:
        found -= 2 * lags[1]
        # A sum of lags has a larger error by chance than one alone.
        without = [one + 2 * other for one, other in pairwise(without)]
    chance = max(float(np.abs(np.linalg.eigvalsh(turn(one))).max()) for one in without)
    values, vectors = np.linalg.eigh(turn(found - own))
    certain = values > SHARED * chance
    patterns = factor @ (vectors[:, certain] * np.sqrt(values[certain]))
    shared = patterns @ patterns.T
    rest = np.maximum(variance - np.diag(shared), LEAST_OWN * variance)
    return shared + np.diag(rest)


def _lag_covariance(clipped: Floats, lag: int) -> Floats:
    """Covariance between bands of different parts of the lines at a lag, ``(band, band)``."""
    one, other = clipped[..., lag:], clipped[..., :-lag]
    same = np.tensordot(one, other, ((0, 2), (0, 2)))
    product = one.sum(axis=0) @ other.sum(axis=0).T - same
    number = len(clipped) * (len(clipped) - 1) * one.shape[-1]
    return (product + product.T) / (2 * number)


def _error_covariance(groups: Floats, weight: Floats) -> Floats:
    """Covariance between bands of the error of mean differences, from two halves of the lines."""
    half = len(groups) // 2
    shares = [weight[:half].sum(), weight[half:].sum()]
    first, second = groups[:half].mean(axis=0), groups[half:].mean(axis=0)
    deviation = (first - second) * np.sqrt(shares[0] * shares[1]) / sum(shares)
    spread = np.median(np.abs(deviation), axis=1) / NORMAL_MAD
    spread = np.where(spread > 0, spread, deviation.std(axis=1))
    scaled = deviation / np.maximum(spread, 1e-30)[:, None]
    # Lines that differ much, where one half holds an edge, count less.
    counted = 1 / (1 + np.square(scaled).mean(axis=0) / 9)
    covariance = (scaled * counted) @ scaled.T / counted.sum()
    return covariance * np.outer(spread, spread)


def _doubt(groups: Floats, usable: Mask) -> Floats:
    """How many times the usual error variance the difference of each line to the next has,
    ``(line,)``, 1 or more: parts of a line that disagree show an edge of the scene, not a stripe.
    """
    scatter = np.square(groups - groups.mean(axis=0)).mean(axis=0)
    usual = np.median(scatter[:, usable], axis=1, keepdims=True)
    ratio = (scatter / np.maximum(usual, 1e-30)).mean(axis=0)
    return np.maximum(ratio / DISAGREE, 1.0)


def _solve(difference: Floats, precision: Floats) -> Floats:
    """Minimise ``sum precision (o[l + 1] - o[l] - difference[l])**2 + sum o**2``."""
    weight = precision[:-1]
    banded = np.zeros((2, len(difference)))
    banded[1] = 1.0
    banded[1, :-1] += weight
    banded[1, 1:] += weight
    banded[0, 1:] = -weight
    right = np.zeros(len(difference))
    right[1:] += weight * difference[:-1]
    right[:-1] -= weight * difference[:-1]
    solved: Floats = solveh_banded(banded, right)
    return solved
