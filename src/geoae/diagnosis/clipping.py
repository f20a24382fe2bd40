"""Noise that is clipped where a sensor, or a file's type, has its lowest or highest value."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from geoae.types import Floats

__all__ = ["LEAST_LEFT", "Line", "find_limits", "unclip", "unclip_patches"]


# A limit is where at least this share of the pixels has one value,
LEAST_SHARE = 0.005
# which is so many times the mean count of the values next to it, up to this many of them.
LEAST_SPIKE = 1.5
NEIGHBOURS = 3
# A value beyond it that is rarer, like that of a dead pixel, does not hide it.
OUTLIERS = 2
# Signals are looked up from so many noise deviations outside the limits to so many inside, at this
# step.
OUTSIDE, INSIDE, STEP = 1.0, 6.0, 0.025
# Where the noise would be below this part of that of the mean signal, the line is no longer
# straight.
LEAST_VARIANCE = 0.05
# Where clipping leaves less than this part of the noise variance, little can be said of the noise.
LEAST_LEFT = 0.15


@dataclass(frozen=True, eq=False, slots=True)
class Line:
    """The noise variance of one band as a line over the signal; all in DN."""

    sigma: float
    """Standard deviation of the noise where the signal is ``mean``."""
    slope: float
    """Growth of the variance with the signal."""
    mean: float
    """Signal to which ``sigma`` refers."""

    def deviation(self, signal: Floats) -> Floats:
        """Return the standard deviation of the noise for each ``signal``."""
        variance = self.sigma**2 + self.slope * (signal - self.mean)
        return np.sqrt(np.maximum(variance, LEAST_VARIANCE * self.sigma**2))


def find_limits(values: Floats, sigma: float) -> tuple[float, float]:
    """Find the lowest and the highest value of a band where its noise is clipped there.

    Clipping gives all values beyond a limit the value of the limit. A value counts as a limit if it
    is at an end of the histogram, is much more frequent than its neighbours, and no farther from
    them than the noise reaches. A value for missing pixels is farther from the others; counts of
    photons are as far apart as their noise.

    Args:
        values: a sample of the band's pixels, any shape, in DN.
        sigma: approximate standard deviation of the noise in DN.

    Returns:
        The limits; -inf and inf where the noise is not clipped.

    """
    found, counts = np.unique(values, return_counts=True)
    low = _heap(found, counts, sigma, values.size)
    high = _heap(-found[::-1], counts[::-1], sigma, values.size)
    return (-np.inf if low is None else low), (np.inf if high is None else -high)


def _heap(values: Floats, counts: NDArray[np.intp], sigma: float, total: int) -> float | None:
    """Return the lower limit among ``values``, which ascend."""
    if len(values) <= OUTLIERS + NEIGHBOURS:
        return None
    first = int(counts[: OUTLIERS + 1].argmax())
    beside = counts[first + 1 : first + 1 + NEIGHBOURS].mean()
    heaped = counts[first] >= max(LEAST_SHARE * total, LEAST_SPIKE * beside)
    return float(values[first]) if heaped and values[first + 1] - values[first] <= sigma else None


def unclip(level: Floats, line: Line, low: float, high: float) -> tuple[Floats, Floats]:
    """Compute the signal behind the means of clipped noisy pixels, and the noise variance left
    there.

    The moments of clipped normal noise are known in closed form (Foi, Signal Processing 89(12),
    2009). The mean grows with the signal, so it is inverted by interpolation.

    Args:
        level: means of places of even signal, any shape, in DN.
        line: the noise before clipping.
        low: value at which the noise is clipped below, or -inf.
        high: value at which it is clipped above, or inf.

    Returns:
        Signal in DN, and variance of the clipped noise over that before clipping, both of the shape
        of ``level``.

    """
    ends = []
    for limit, inwards in ((low, 1.0), (high, -1.0)):
        if np.isfinite(limit):
            reach = line.deviation(np.array(limit))
            # The deviation grows away from the lower limit.
            ends.append(limit + inwards * reach * np.arange(-OUTSIDE, INSIDE, STEP))
    signal = np.unique(np.concatenate(ends))
    mean, left = _clipped_moments(signal, line.deviation(signal), low, high)
    return level + np.interp(level, mean, signal - mean), np.interp(level, mean, left)


def unclip_patches(
    values: Floats, line: Line, limits: tuple[float, float]
) -> tuple[Floats, Floats]:
    """Give patches the signal and the contrast that they would have without clipping.

    The contrast is restored only where clipping has left enough of the noise.

    Args:
        values: patches ``(patch, pixel)`` in DN.
        line: the noise before clipping.
        limits: values at which it is clipped below and above, or -inf and inf.

    Returns:
        Patches ``(patch, pixel)`` in DN, and the share of the noise variance left in each,
        ``(patch,)``.

    """
    level = values.mean(axis=1)
    signal, share = unclip(level, line, *limits)
    contrast = (values - level[:, None]) / np.sqrt(np.maximum(share, LEAST_LEFT))[:, None]
    return signal[:, None] + contrast, share


def _clipped_moments(
    signal: Floats, sigma: Floats, low: float, high: float
) -> tuple[Floats, Floats]:
    """Compute mean and relative variance of normal noise that is clipped to ``low`` and ``high``.

    ``sigma`` is its standard deviation for each ``signal``.
    """
    below, above = (low - signal) / sigma, (high - signal) / sigma
    under, over = special.ndtr(below), special.ndtr(-above)
    # Infinite limits leave nothing of these products.
    first, last = (np.where(under > 0, below, 0.0), np.where(over > 0, above, 0.0))
    start, end = (np.exp(-(end**2) / 2) / np.sqrt(2 * np.pi) for end in (below, above))
    shift = first * under + last * over + start - end
    square = first**2 * under + last**2 * over + (1 - under - over) + first * start - last * end
    return signal + sigma * shift, square - shift**2
