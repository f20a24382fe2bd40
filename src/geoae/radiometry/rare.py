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
    for place in which:
        relative = model[place] / np.maximum(level[place], TINY)
        alone += np.square(relative)
        # The mean of noise that is smooth varies more: by the noise's power at frequency 0.
        smooth = 1.0 if shape is None else max(float(shape[place, 0]), 1.0)
        around += np.square(ndimage.uniform_filter(relative, SIDE) * np.float32(SIDE / smooth))
    limit = special.chdtri(len(which), RARE)
    single = alone > limit
    patch: Mask = (around > limit) & ~single
    if not (single | patch).any():
        return
    own = np.where(single, 1 - len(which) / np.maximum(alone, TINY), 0)
    mean = np.where(patch, 1 - len(which) / np.maximum(around, TINY), 0)
    for place in which:
        kept = mean * ndimage.uniform_filter(model[place], SIDE) + own * model[place]
        model[place] -= kept
