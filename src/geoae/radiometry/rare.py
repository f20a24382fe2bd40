"""Replace components that hold nothing but noise, and keep what is rare in them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from geoae.types import Floats, Mask

__all__ = ["REACH", "take_noise"]

# Part of the pixels of pure noise that pass for rare ones.
RARE = 1e-6
# Side of the square whose mean shows faint targets of some pixels, and how far it reaches.
SIDE = 5
REACH = SIDE // 2
# In place of the level of a component without noise, which then is 0 as well.
TINY = np.float32(1e-30)


def take_noise(
    model: NDArray[np.float32],
    which: Sequence[int],
    level: NDArray[np.float32],
    shape: Floats | None,
) -> None:
    """Turn components of noise into their residual, in place.

    All of them is noise, but for pixels that are too far from the mean for that, such as a target
    that is too small to count in the statistics of the scene. Of these stays their value, or, where
    only the mean of a square around them is too far, that mean; both shrunk by what noise brings to
    them (James and Stein, Fourth Berkeley Symposium, 1961). The squares of all components together
    are compared with their chi-square distribution, so that it does not matter along which of them
    a target lies. Beside the scene's border, where squares hold mirrored pixels, more stays.

    Args:
        model: ``(component, row, col)`` in model units; each component of ``which`` becomes its
            residual.
        which: numbers of the components that hold nothing but noise.
        level: deviation of the noise of all components, which fits ``model``.
        shape: shape of the spectrum of the noise of all components, ``(component, 9)``; None for
            white noise.

    """
    alone, around = np.zeros((2, *model.shape[1:]), np.float32)
    square = _SquareSum(model.shape[1:])
    for place in which:
        np.divide(model[place], np.maximum(level[place], TINY), out=square.values)
        alone += np.square(square.values)
        # The mean of noise that is smooth varies more: by the noise's power at frequency 0.
        smooth = 1.0 if shape is None else max(float(shape[place, 0]), 1.0)
        mean = square.add() * np.float32(1 / (SIDE * smooth))
        around += np.square(mean, out=mean)
    limit = special.chdtri(len(which), RARE)
    single = alone > limit
    patch: Mask = (around > limit) & ~single
    here, there = np.nonzero(single), np.nonzero(patch)
    own, shared = (
        1 - len(which) / np.maximum(of[places], TINY)
        for of, places in ((alone, here), (around, there))
    )
    for place in which:
        # Before the pixels alone change, which are in some of these squares.
        mean = ndimage.uniform_filter(model[place], SIDE)[there] if there[0].size else shared
        model[place][here] -= own * model[place][here]
        model[place][there] -= shared * mean


class _SquareSum:
    """Sums of the pixels in a square around each; beyond the border they are mirrored.

    A filter of scipy takes three times as long, which counts for many components.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._padded = np.empty([size + 2 * REACH for size in shape], np.float32)
        self.values = self._padded[REACH:-REACH, REACH:-REACH]
        """Pixels to sum, ``(row, col)``; written by the caller."""

    def add(self) -> NDArray[np.float32]:
        """Return the sum around each pixel, ``(row, col)``."""
        padded = self._padded
        for turned in (padded[REACH:-REACH].T, padded):
            for place in reversed(range(REACH)):
                turned[place] = turned[2 * REACH - 1 - place]
                turned[-1 - place] = turned[place - 2 * REACH]
        rows = _sum_five(padded)
        return _sum_five(rows.T).T


def _sum_five(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum each row and the four that follow."""
    pairs = values[:-1] + values[1:]
    total: NDArray[np.float32] = pairs[:-3] + pairs[2:-1]
    total += values[4:]
    return total
