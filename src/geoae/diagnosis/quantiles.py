"""Quantiles of flat arrays, with the values of numpy's.

What those check on each call takes longer than the search in a short array, and they are asked for
many times for each of hundreds of bands.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoae.types import Floats

__all__ = ["median", "quantile", "quantiles"]


def median(values: NDArray[np.floating[Any]]) -> np.floating[Any]:
    """Return the median of an array, as ``np.median``.

    Args:
        values: one or more, ``(value,)``.

    Returns:
        The median, of the same type; NaN where any value is.

    """
    half = len(values) // 2
    # What is not a number comes last.
    parted = np.partition(values, (half - 1, half, -1))
    last: np.floating[Any] = parted[-1]
    if np.isnan(last) or len(values) % 2:
        return last if np.isnan(last) else parted[half]
    return (parted[half - 1] + parted[half]) / 2


def quantile(values: NDArray[np.floating[Any]], share: float) -> np.floating[Any]:
    """Return a quantile of an array, as ``np.quantile``.

    Args:
        values: one or more, ``(value,)``.
        share: share of them below the quantile, from 0 to less than 1.

    Returns:
        The quantile, between two values by linear interpolation, of the same type; NaN
        where any value is.

    """
    place = (len(values) - 1) * share
    low = int(place)
    high = min(low + 1, len(values) - 1)
    parted = np.partition(values, (low, high, -1))
    last: np.floating[Any] = parted[-1]
    if np.isnan(last):
        return last
    step, beyond = parted[high] - parted[low], place - low
    # From the nearer of the two, as numpy.
    if beyond < 0.5:
        return parted[low] + step * beyond
    return parted[high] - step * (1 - beyond)


def quantiles(values: Floats, shares: Sequence[float] | Floats) -> Floats:
    """Return some quantiles of an array, as ``np.quantile``.

    Args:
        values: one or more, ``(value,)``.
        shares: share of them below each quantile, from 0 to 1.

    Returns:
        The quantiles ``(share,)``; NaN where any value is.

    """
    ordered = np.sort(values)
    if np.isnan(ordered[-1]):
        return np.full(len(shares), np.nan)
    places = (len(ordered) - 1) * np.asarray(shares)
    low = places.astype(np.intp)
    one, other = ordered[low], ordered[np.minimum(low + 1, len(ordered) - 1)]
    step, beyond = other - one, places - low
    found: Floats = np.where(beyond < 0.5, one + step * beyond, other - step * (1 - beyond))
    return found
