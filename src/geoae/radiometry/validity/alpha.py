"""Whether the values of a band are those of an alpha, without looking at its tag or name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["is_alpha"]

# Shares of opaque pixels among those that are not transparent. Of 327 measured bands all were below
# 0.01, and below 0.29 when stretched until a tenth of the pixels saturates on either side.
MOSTLY, PARTLY, LEAST = 0.65, 0.35, 0.1
# Values this close to 0 or to the largest, as a share of it, are transparent or opaque: lossy
# codecs move them.
NEAR = 0.02
# Second differences of neighbours between the two, as a share of the spread of values there, the
# most for half or for nine tenths of them. Nine tenths were below 0.007 in feathered borders, below
# 0.013 in lossy ones, and above 0.015 in 326 measured bands; half of them were below 0.013 in a
# hand-made mask.
SMOOTH, RAMP, RAGGED = 2 / 255, 3.5 / 255, 3.5 / 255
# Least share of transparent pixels beside borders that are wide or ragged.
TRANSPARENT = 0.2

Values = Sequence[NDArray[Any]]


def is_alpha(values: Values, infrared: bool = False) -> bool:
    """Whether values are those of an alpha band.

    An alpha band has two values at most, or is mostly opaque where it is not transparent, or has
    ramps between the two.

    Args:
        values: windows ``(row, col)`` of a band in DN.
        infrared: whether its name is that of a measurement; then only two values at most count.

    """
    windows = [np.asarray(window, np.float64) for window in values]
    every = (
        np.concatenate([window[np.isfinite(window)] for window in windows])
        if windows
        else np.zeros(0)
    )
    if len(np.unique(every)) <= 2:
        return True
    if infrared or every.min() < 0:
        return False
    top = np.percentile(every[every > 0], 99.9)  # a few hot pixels are brighter than all others
    low, high = NEAR * top, (1 - NEAR) * top
    transparent = (every <= low).mean()
    bright = every[every >= high]
    visible = (1 - transparent) * every.size
    opaque = bright.size / visible
    # Of one value, or nearly so: a measurement may lie in a narrow range far from 0.
    flat = np.unique(bright, return_counts=True)[1].max() / visible
    typical, steep = _bends(windows, low, high)
    feathered = (steep <= RAMP and flat >= LEAST) or (
        steep <= SMOOTH and transparent >= TRANSPARENT
    )
    ragged = typical <= RAGGED and flat >= PARTLY and transparent >= TRANSPARENT
    return bool((opaque >= MOSTLY and flat >= PARTLY) or feathered or ragged)


def _bends(windows: Sequence[NDArray[np.float64]], low: float, high: float) -> tuple[float, float]:
    """Measure second differences along rows of values between ``low`` and ``high``.

    Returns:
        Their median and 90th percentile, as shares of the spread of these values; infinity where
        there are none.

    """
    bends, levels = [], []
    for window in windows:
        between = (window > low) & (window < high)
        inside = between[:, 2:] & between[:, 1:-1] & between[:, :-2]
        bends.append(np.abs(window[:, 2:] - 2 * window[:, 1:-1] + window[:, :-2])[inside])
        levels.append(window[between])
    bent, level = np.concatenate(bends), np.concatenate(levels)
    if not bent.size:
        return np.inf, np.inf
    spread = np.subtract(*np.percentile(level, [95, 5]))
    # of steps of one height: flat
    typical, steep = np.percentile(bent, [50, 90]) / (spread or np.inf)
    return float(typical), float(steep)
