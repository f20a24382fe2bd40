"""Estimate how the variance of a band's noise grows with its signal."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from geoae.diagnosis.patches import SIDE, Patches
from geoae.types import Floats

__all__ = ["LEAST_SHARE", "fit_growth"]


# Patches of one band are looked at in this many classes of brightness, of at least so many patches.
CLASSES = 8
FEWEST_OF_CLASS = 200
# Noise whose variance in bright places is not this many times that in dark ones passes for
# constant: so much is feigned by texture that comes with brightness.
LEAST_RATIO = 2.0
# Where clipping leaves less than this part of the noise variance, its median is too low, since so
# much is at the limit.
LEAST_LEFT = 0.5
# Where it would be below this part of the brightest places' or of what was seen, it is no straight
# line.
LEAST_SHARE = 0.02
# Classes whose levels are within so many deviations of the noise are classes of noise rather than
# of brightness.
LEAST_RANGE = 2.0
# Variance of white noise is kept by this second difference in both directions (Immerkaer, 1996).
SECOND = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]) / 6.0
NORMAL_MAD = 0.6745


def fit_growth(
    patches: Patches, band: int, values: Floats, energy: Floats, *, where_one: float, sigma: float
) -> float:
    """Estimate the growth of the noise variance of a band with its signal.

    Args:
        patches: patches of all bands.
        band: index of the band.
        values: its patches ``(patch, pixel)``, or the residual after prediction from other bands.
        energy: their gradient energy, ``(patch,)``.
        where_one: signal in DN at which the variance is set to one.
        sigma: the band's noise in DN, if it were constant.

    Returns:
        The growth relative to the variance at ``where_one``, per DN; 0 where it does not grow.

    """
    informative = patches.select_informative(band, energy, LEAST_LEFT)
    values, level, energy = (
        values[informative],
        patches.level[band][informative],
        energy[informative],
    )
    if len(values) < FEWEST_OF_CLASS:
        return 0.0
    edges = np.unique(np.quantile(level, np.linspace(0, 1, CLASSES + 1)))
    classes = [(level >= low) & (level <= high) for low, high in pairwise(edges)]
    classes = [members for members in classes if members.sum() >= FEWEST_OF_CLASS]
    if len(classes) < CLASSES // 2:
        return 0.0
    halves = [members & (energy <= np.median(energy[members])) for members in classes]
    variance = np.array([_noise_variance(values[half]) for half in halves])
    where = np.array([level[half].mean() for half in halves])
    if where[-1] - where[0] <= LEAST_RANGE * sigma:
        return 0.0
    slope, offset = _fit_line(where, variance)
    low, one, high = offset + slope * np.array([where[0], where_one, where[-1]])
    if one <= LEAST_SHARE * high or high < LEAST_RATIO * max(low, 0.0):
        return 0.0
    return float(slope / one)


def _fit_line(x: Floats, y: Floats) -> tuple[float, float]:
    """Fit a line by the median slope of pairs of points (Theil, 1950; Sen, 1968).

    ``scipy.stats.theilslopes`` gives the same, but needs 3 ms for its intervals and checks: a
    second for 200 bands.

    Returns:
        Slope and offset.

    """
    one, other = np.triu_indices(len(x), 1)
    # Classes that differ by rounding only may have one mean.
    apart = x[other] != x[one]
    slope = np.median((y[other] - y[one])[apart] / (x[other] - x[one])[apart])
    return float(slope), float(np.median(y) - slope * np.median(x))


@lru_cache(maxsize=1)
def _second_differences() -> Floats:
    """Return ``SECOND`` at all places of a patch, ``(pixel, place)``."""
    eye = np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE)
    places = (sliding_window_view(eye, SECOND.shape, axis=(1, 2)) * SECOND).sum(axis=(-1, -2))
    found: Floats = places.reshape(SIDE * SIDE, -1)
    return found


def _noise_variance(values: Floats) -> float:
    """Estimate the noise variance of ``values`` (patch, pixel), up to a common factor."""
    return float((np.median(np.abs(values @ _second_differences()).ravel()) / NORMAL_MAD) ** 2)
