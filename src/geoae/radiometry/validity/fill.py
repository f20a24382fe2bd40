"""Fill invalid pixels from valid neighbours, for the network's input."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array
from numpy.typing import NDArray
from scipy import ndimage

from geoae.radiometry.arrays import exact_type
from geoae.types import DeviceArray, Mask, Pixels

__all__ = ["LOCAL", "average_boxes", "fill", "local_mean"]


# Half side of the box whose mean stands for the signal of its middle, in pixels.
LOCAL = 3


def local_mean(pixels: DeviceArray) -> DeviceArray:
    """Average ``pixels`` (band, row, col) over boxes of ``2 LOCAL + 1`` px, reflected at the
    border.

    The result is float64 for 32-bit and wider types, float32 otherwise.
    """
    return average_boxes(pixels, 2 * LOCAL + 1, exact_type(pixels))


def average_boxes(pixels: DeviceArray, side: int, dtype: Any) -> DeviceArray:
    """Average over boxes, beyond the border of which pixels are reflected.

    Args:
        pixels: ``(..., row, col)``.
        side: height and width of a box in pixels, odd.
        dtype: type of the result, of the library of ``pixels``: one of floating point.

    """
    if is_numpy_array(pixels):
        sides = (0,) * (pixels.ndim - 2) + (side, side)
        return ndimage.uniform_filter(pixels, sides, output=dtype)
    averaged = array_namespace(pixels).astype(pixels, dtype)
    for axis in (pixels.ndim - 2, pixels.ndim - 1):
        averaged = _average_along(averaged, side, axis)
    return averaged


def _average_along(pixels: DeviceArray, side: int, axis: int) -> DeviceArray:
    xp = array_namespace(pixels)
    size, half = pixels.shape[axis], side // 2
    places = xp.arange(-half, size + half, device=device(pixels)) % (2 * size)
    wide = xp.take(pixels, xp.minimum(places, 2 * size - 1 - places), axis=axis)
    ahead = (slice(None),) * axis
    total = xp.zeros_like(pixels)
    for start in range(side):
        total += wide[(*ahead, slice(start, start + size))]
    return total / side


def fill(pixels: Pixels, mask: Mask, reach: int, rest: NDArray[np.float64]) -> Pixels:
    """Replace invalid pixels by means of valid neighbours, so that holes have no edge.

    Normalised averaging (Knutsson and Westin, CVPR 1993) over boxes of doubling side: each invalid
    pixel takes the mean of the valid pixels in the smallest box that holds any.

    Args:
        pixels: ``(band, row, col)`` in DN.
        mask: of the same shape, True where valid.
        reach: half side of the largest box in pixels.
        rest: value of each band farther than ``reach`` from all valid pixels, ``(band,)``.

    Returns:
        Filled pixels ``(band, row, col)``: float64 for 32-bit and wider types, float32 otherwise.

    """
    filled = np.where(mask, pixels, 0).astype(exact_type(pixels))
    same = bool((mask == mask[:1]).all())
    shares: list[NDArray[np.float32]] = []
    for band, valid in enumerate(mask):
        if not same or band == 0:
            shares = [
                ndimage.uniform_filter(valid.astype(np.float32), side, mode="constant")
                for side in _sides(reach)
            ]
        centred = np.where(valid, filled[band] - rest[band], 0).astype(np.float32)
        open_ = ~valid
        for side, share in zip(_sides(reach), shares, strict=True):
            near = open_ & (share > 0.5 / side**2)
            if near.any():
                mean = ndimage.uniform_filter(centred, side, mode="constant")[near] / share[near]
                filled[band][near] = mean + rest[band]
                open_ &= ~near
        filled[band][open_] = rest[band]
    return filled


def _sides(reach: int) -> list[int]:
    """Return the odd sides 3, 5, 9, .. and finally ``2 reach + 1``."""
    halves = [1]
    while halves[-1] * 2 < reach:
        halves.append(halves[-1] * 2)
    return [2 * half + 1 for half in (*halves, max(reach, 1))]
