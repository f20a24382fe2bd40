"""What keeps pixels true: filling holes before the network, subtracting the residual after it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["LOCAL", "Nodata", "can_hold", "fill", "is_measured", "is_value", "local_mean", "subtract"]

Pixels = NDArray[Any]
Mask = NDArray[np.bool_]
# The value, or the values, of pixels that hold no measurement; None where there is none.
Nodata = float | int | tuple[float | int, ...] | None

# Half side of the box whose mean stands for the signal of its middle, in pixels.
LOCAL = 3
# No DN is beyond this, whatever its unit: these are nodata that nobody declared, and float32 would overflow.
BEYOND = 1e30


def local_mean(pixels: Pixels) -> Pixels:
    """Means of ``pixels`` (band, row, col) over boxes of ``2 LOCAL + 1`` px, reflected at the sides; float64 for
    32-bit and wider types, float32 otherwise.
    """
    side = 2 * LOCAL + 1
    mean: Pixels = ndimage.uniform_filter(pixels, (0, side, side), output=_exact(pixels))
    return mean


def is_value(pixels: Pixels) -> Mask:
    """Which of ``pixels`` may be DN of a measurement: not NaN, and not beyond what float32 can reckon with."""
    return np.abs(pixels) <= BEYOND if pixels.dtype.kind == "f" else np.ones(pixels.shape, dtype=bool)


def is_measured(pixels: Pixels, nodata: Nodata) -> Mask:
    """Which of ``pixels`` are values, and none of those of ``nodata``."""
    mask = is_value(pixels)
    for value in _values(nodata):
        mask &= pixels != value
    return mask


def can_hold(dtype: str, value: float | int) -> bool:
    """Whether a pixel of ``dtype`` can be ``value``, to the precision of the type."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return abs(value) <= float(np.finfo(kind).max)
    return value == int(value) and np.iinfo(kind).min <= value <= np.iinfo(kind).max


def _values(nodata: Nodata) -> tuple[float | int, ...]:
    """The values of ``nodata`` that a pixel can equal."""
    given = nodata if isinstance(nodata, tuple) else () if nodata is None else (nodata,)
    return tuple(value for value in given if not np.isnan(value))


def _exact(pixels: Pixels) -> type[np.floating[Any]]:
    return np.float32 if pixels.dtype.itemsize <= 2 else np.float64


def fill(pixels: Pixels, mask: Mask, reach: int, rest: NDArray[np.float64]) -> Pixels:
    """Replace invalid pixels by means of valid neighbours, so that no hole has an edge.

    Normalised averaging (Knutsson and Westin, CVPR 1993) over boxes of doubling side up to
    ``2 reach + 1``: each invalid pixel takes the mean of the valid ones in the smallest box that
    holds any; farther than ``reach`` from all, the band's ``rest`` value. ``pixels`` and ``mask``
    (band, row, col); returns float64 for 32-bit and wider types, float32 otherwise.
    """
    filled = np.where(mask, pixels, 0).astype(_exact(pixels))
    same = bool((mask == mask[:1]).all())
    shares: list[NDArray[np.float32]] = []
    for band, valid in enumerate(mask):
        if not same or band == 0:
            shares = [ndimage.uniform_filter(valid.astype(np.float32), side, mode="constant") for side in _sides(reach)]
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
    """Odd sides 3, 5, 9, .. and finally ``2 reach + 1``."""
    halves = [1]
    while halves[-1] * 2 < reach:
        halves.append(halves[-1] * 2)
    return [2 * half + 1 for half in (*halves, max(reach, 1))]


def subtract(pixels: Pixels, residual: NDArray[np.float32], mask: Mask | None, nodata: Nodata) -> Pixels:
    """``pixels - residual`` in the dtype of ``pixels``: rounded, saturating, invalid bits untouched.

    ``pixels`` (row, col) in DN, ``residual`` (row, col) in DN, ``mask`` True where valid (None: all
    are). A valid pixel that would land on ``nodata`` takes the next value on the side it came from.
    Where the residual is zero the result is the same bits for every dtype.
    """
    kind = pixels.dtype
    if np.issubdtype(kind, np.floating):
        # A residual of -0.0 would turn a pixel of -0.0 into 0.0.
        restored = np.subtract(pixels, residual + np.float32(0), dtype=kind)
    elif kind.itemsize == 8:
        restored = _subtract_wide(pixels, residual)
    else:
        exact = np.float32 if kind.itemsize <= 2 else np.float64
        limits = np.iinfo(kind)
        exactly = np.subtract(pixels, residual, dtype=exact)
        restored = np.clip(np.rint(exactly, out=exactly), limits.min, limits.max, out=exactly).astype(kind)
    values = _values(nodata)
    for value in values * len(values):  # beside the one may lie the other
        restored = _beside(pixels, restored, residual, value)
    return restored if mask is None else np.where(mask, restored, pixels)


def _subtract_wide(pixels: Pixels, residual: NDArray[np.float32]) -> Pixels:
    """64-bit integers: float64 cannot hold them, so the rounded residual is subtracted as one."""
    limits = np.iinfo(pixels.dtype)
    whole = np.clip(np.rint(residual.astype(np.float64)), -(2.0**62), 2.0**62).astype(np.int64)
    down = np.maximum(whole, 0).astype(pixels.dtype)
    up = np.maximum(-whole, 0).astype(pixels.dtype)
    lowered = np.where(pixels < limits.min + down, limits.min, pixels - down)
    return np.where(lowered > limits.max - up, limits.max, lowered + up).astype(pixels.dtype)


def _beside(pixels: Pixels, restored: Pixels, residual: NDArray[np.float32], nodata: float | int) -> Pixels:
    """Move values that have become ``nodata`` one step back towards where the residual took them from.

    A mask beside the nodata value may declare pixels valid that hold it; those stay.
    """
    hit = (restored == nodata) & (pixels != nodata)
    if not hit.any():
        return restored
    kind = restored.dtype
    if np.issubdtype(kind, np.floating):
        target = np.where(residual > 0, np.inf, -np.inf).astype(kind)
        return np.where(hit, np.nextafter(restored, target), restored).astype(kind)
    limits = np.iinfo(kind)
    up = (residual > 0) & (restored < limits.max) | (restored == limits.min)
    step = np.where(up, restored + np.ones((), kind), restored - np.ones((), kind))
    return np.where(hit, step, restored).astype(kind)
