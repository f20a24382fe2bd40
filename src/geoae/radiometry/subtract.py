"""Subtract the residual: round, saturate, and leave invalid pixels unchanged."""

import numpy as np
from numpy.typing import NDArray

from geoae.radiometry.validity.nodata import nodata_values
from geoae.types import Mask, Nodata, Pixels

__all__ = ["subtract"]


def subtract(
    pixels: Pixels, residual: NDArray[np.float32], mask: Mask | None, nodata: Nodata
) -> Pixels:
    """Subtract a residual from pixels and keep their dtype.

    The result is rounded and saturates. A valid pixel that would become ``nodata`` takes the next
    value on the side it came from. Where the residual is zero the result has the same bits for
    every dtype.

    Args:
        pixels: ``(row, col)`` in DN.
        residual: ``(row, col)`` in DN.
        mask: ``(row, col)``, True where valid; None where all pixels are. Invalid pixels keep their
            bits.
        nodata: nodata values of the band.

    Returns:
        Restored pixels ``(row, col)`` in the dtype of ``pixels``.

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
        restored = np.clip(
            np.rint(exactly, out=exactly), limits.min, limits.max, out=exactly
        ).astype(kind)
    values = nodata_values(nodata)
    for value in values * len(values):  # the neighbour of one nodata value may be the other
        restored = _avoid_nodata(pixels, restored, residual, value)
    return restored if mask is None else np.where(mask, restored, pixels)


def _subtract_wide(pixels: Pixels, residual: NDArray[np.float32]) -> Pixels:
    """Subtract from 64-bit integers, which float64 cannot hold: the residual is rounded first."""
    limits = np.iinfo(pixels.dtype)
    whole = np.clip(np.rint(residual.astype(np.float64)), -(2.0**62), 2.0**62).astype(np.int64)
    down = np.maximum(whole, 0).astype(pixels.dtype)
    up = np.maximum(-whole, 0).astype(pixels.dtype)
    lowered = np.where(pixels < limits.min + down, limits.min, pixels - down)
    return np.where(lowered > limits.max - up, limits.max, lowered + up).astype(pixels.dtype)


def _avoid_nodata(
    pixels: Pixels, restored: Pixels, residual: NDArray[np.float32], nodata: float | int
) -> Pixels:
    """Move values that have become ``nodata`` by one step, towards their value before.

    Pixels that a mask declares valid although they hold the nodata value stay.
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
