"""Blocks of a scene's sample less their trend and what the other bands predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from geoae.diagnosis.clipping import find_limits
from geoae.diagnosis.noise.kernels import polynomials
from geoae.radiometry.validity.nodata import LARGEST
from geoae.types import Array, Floats, Mask, Samples

__all__ = ["Blocks", "Residuals", "cut_blocks", "leave_bands", "subtract_bands"]

# Side of the blocks from which bands are predicted, and the part of them, the calmest, that counts.
SIDE = 16
CALM, FEWEST = 0.3, 30
# About so many blocks of all bands together are held at once, and of each band no fewer than this.
MOST, LEAST = 50_000, 300
# A band is predicted from so many others at most, those that are most like it.
PREDICTORS = 8
RIDGE = 1e-4
# A block with this share of its pixels at a limit of clipping tells too little.
MOST_CLIPPED = 0.05
# Places whose noise has less than this part of the variance at the mean signal tell nothing of it.
FAINTEST = 0.3
# Blocks around a block of which its calmness is the mean; fewer valid ones tell nothing.
FEWEST_AROUND = 3
# Every so many pixels in both directions are looked at for limits of clipping.
SPARSE = 3


@dataclass(frozen=True, eq=False)
class Residuals:
    """Bands less what the others predict."""

    weights: Floats
    """Weights ``(band, band)`` of the bands in each residual, 1 for the band itself."""
    valid: Sequence[Mask]
    """Pixels of each window that are valid in all bands, ``(row, col)``."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of one band less a quadratic plane."""

    values: Array
    """Pixels in DN ``(block, row, col)``."""
    variance: Floats
    """Variance of each block in DN squared, ``(block,)``."""
    around: Floats
    """Mean variance of the blocks around each, ``(block,)``: how much texture to expect in it,
    told by pixels that are not its own.
    """


def leave_bands(samples: Samples) -> Residuals:
    """Subtract nothing from any band, as where bands share their noise, too.

    Args:
        samples: pairs of pixels in DN and mask ``(band, row, col)``.

    """
    valid = [np.logical_and.reduce(mask, axis=0) for _, mask in samples]
    return Residuals(np.eye(len(samples[0][0])), valid)


def subtract_bands(samples: Samples, sigma: Floats) -> Residuals:
    """Find the weights that predict each band from the others where the scene is calm.

    Bands share texture, not noise (Roger and Arnold, Int. J. Remote Sensing 17(10), 1996).

    Args:
        samples: pairs of pixels in DN and mask ``(band, row, col)``.
        sigma: noise of each band in DN, ``(band,)``, by which calm blocks are chosen.

    Returns:
        The weights, and the pixels that they are for.

    """
    alone = leave_bands(samples)
    valid, bands = alone.valid, len(alone.weights)
    if bands == 1:
        return alone
    room = sum((where.shape[0] // SIDE) * (where.shape[1] // SIDE) for where in valid)
    step = max(room // max(MOST // bands, LEAST), 1)
    pairs = zip(samples, valid, strict=True)
    details = [_detail(pixels, where, step) for (pixels, _), where in pairs]
    detail = np.concatenate(details, axis=1)
    variance = np.einsum("bnp,bnp->bn", detail, detail)
    scale = np.where(sigma > 0, sigma, 1.0)[:, None]
    loud = np.log(np.maximum(variance / scale**2, np.finfo(np.float64).tiny)).mean(axis=0)
    calm = np.argsort(loud, kind="stable")[: max(int(CALM * len(loud)), FEWEST)]
    if len(calm) < FEWEST:
        return alone
    chosen = detail[:, calm].reshape(bands, -1)
    covariance = (chosen @ chosen.T).astype(np.float64)
    deviation = np.sqrt(np.where(np.diag(covariance) > 0, np.diag(covariance), 1.0))
    covariance /= np.outer(deviation, deviation)
    weights = np.eye(bands)
    for band in range(bands):
        likeness = np.abs(covariance[band])
        likeness[band] = -1.0
        some = np.argsort(-likeness, kind="stable")[: min(PREDICTORS, bands - 1)]
        own = covariance[np.ix_(some, some)] + RIDGE * np.eye(len(some))
        gains = np.linalg.solve(own, covariance[some, band])
        weights[band, some] = -gains * deviation[band] / deviation[some]
    return Residuals(weights, valid)


def _detail(pixels: NDArray[Any], valid: Mask, step: int) -> Array:
    """Every so many blocks side by side less their quadratic plane, ``(band, block, pixel)``."""
    high, wide = (size // SIDE for size in valid.shape)
    inside = valid[: high * SIDE, : wide * SIDE].reshape(high, SIDE, wide, SIDE).all(axis=(1, 3))
    cut = pixels[:, : high * SIDE, : wide * SIDE].reshape(len(pixels), high, SIDE, wide, SIDE)
    inside &= np.arange(inside.size).reshape(inside.shape) % step == 0
    blocks = cut.transpose(0, 1, 3, 2, 4)[:, inside].reshape(
        len(pixels), int(inside.sum()), SIDE * SIDE
    )
    return _flatten(blocks.astype(np.float32), SIDE)


def _flatten(blocks: Array, side: int) -> Array:
    """Subtract from blocks ``(..., pixel)`` their quadratic plane."""
    base = polynomials(side).reshape(6, -1).astype(np.float32)
    # The mean first, or large values would leave little precision.
    blocks = blocks - blocks.mean(axis=-1, keepdims=True)
    return np.subtract(blocks, (blocks @ base.T) @ base, dtype=np.float32)


def cut_blocks(
    samples: Samples, residuals: Residuals, band: int, side: int, noise: tuple[Floats, Floats]
) -> Blocks:
    """Cut blocks of one band less the others, that overlap by half.

    Blocks with an invalid or a huge pixel, flat ones and clipped ones are left out. Where noise
    grows with the signal, blocks are scaled to the noise of the mean signal.

    Args:
        samples: pairs of pixels in DN and mask ``(band, row, col)``.
        residuals: the result of ``subtract_bands``.
        band: index of the band.
        side: rows and columns of a block.
        noise: deviation in DN and growth in DN of the noise of all bands, ``(band,)`` each, as of
            ``noise_model``; only their ratios count.

    Returns:
        The blocks of all windows.

    """
    which = np.flatnonzero(residuals.weights[band])
    weights = residuals.weights[band, which]
    limits = _find_limits(samples, residuals.valid, band)
    line = _Line(weights**2, noise[0][which], noise[1][which], samples, residuals.valid, which)
    found = []
    for (pixels, _), valid in zip(samples, residuals.valid, strict=True):
        if min(valid.shape) < side:
            continue
        whole = bool(valid.all())
        inside = pixels[which] if whole else np.where(valid, pixels[which], 0)
        # Small integers are exact in both; others always were rounded.
        inside = inside.astype(np.float64 if inside.dtype.itemsize <= 2 else np.float32, copy=False)
        usable = _find_usable(pixels[band], None if whole else valid, limits, side)
        share = line.share(inside, side)
        usable &= share > FAINTEST
        # In double precision, or flat ground would have a variance.
        residual = np.tensordot(weights, inside, 1)
        found.append(_of_window(residual, usable, share, side))
    if not found:
        nothing = np.zeros(0)
        return Blocks(np.zeros((0, side, side), np.float32), nothing, nothing)
    values, variance, around = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Blocks(values, variance, around)


def _find_usable(
    pixels: NDArray[Any], valid: Mask | None, limits: tuple[float, float], side: int
) -> Mask:
    """Which blocks of one band ``(row, col)`` are measured and not clipped; ``valid`` is None where
    all pixels are.
    """
    usable = np.ones([max(size // (side // 2) - 1, 0) for size in pixels.shape], bool)
    # Most windows are valid throughout, and clipped nowhere.
    if pixels.dtype.kind == "f" or pixels.dtype.itemsize > 4:
        measured = np.abs(pixels) <= LARGEST
        valid = measured if valid is None else valid & measured
    if valid is not None and not valid.all():
        usable &= _average(valid, side) == 1
    if np.isfinite(limits).any():
        at_limit = (pixels <= limits[0]) | (pixels >= limits[1])
        usable &= _average(at_limit, side) <= MOST_CLIPPED
    return usable


class _Line:
    """The noise variance of a residual over the signals of the bands in it."""

    def __init__(
        self,
        squares: Floats,
        sigma: Floats,
        slope: Floats,
        samples: Samples,
        valid: Sequence[Mask],
        which: NDArray[np.intp],
    ) -> None:
        self.slopes = squares * slope
        self.constant = float(squares @ sigma**2)
        self.grows = bool(self.slopes.any()) and self.constant > 0
        if self.grows:
            pairs = zip(samples, valid, strict=True)
            signals = [pixels[which][:, where] for (pixels, _), where in pairs]
            self.mean = np.concatenate(signals, axis=1).mean(axis=1, dtype=np.float64)

    def share(self, inside: Array, side: int) -> Floats:
        """Return the variance in each block of ``inside`` (band, row, col) over that at the mean
        signal, ``(row, col)``.
        """
        if not self.grows:
            return np.ones([size // (side // 2) - 1 for size in inside.shape[1:]])
        above = _average(inside, side) - self.mean[:, None, None]
        return 1 + np.tensordot(self.slopes, above, 1) / self.constant


def _cut(values: Array, side: int) -> Array:
    """All blocks of ``values`` (row, col) that overlap by half, as a view."""
    return sliding_window_view(values, (side, side))[:: side // 2, :: side // 2]


def _average(values: NDArray[Any], side: int) -> Floats:
    """Average ``values`` (..., row, col) over the blocks that ``_cut`` gives."""
    half = side // 2
    high, wide = (size // half for size in values.shape[-2:])
    tiles = values[..., : high * half, : wide * half].reshape(
        *values.shape[:-2], high, half, wide, half
    )
    means = tiles.mean(axis=(-3, -1), dtype=np.float64)
    rows = means[..., :-1, :] + means[..., 1:, :]
    average: Floats = (rows[..., :-1] + rows[..., 1:]) / 4
    return average


def _find_limits(samples: Samples, valid: Sequence[Mask], band: int) -> tuple[float, float]:
    """Values at which the noise of a band is clipped, or -inf and inf."""
    sparse = (slice(None, None, SPARSE),) * 2
    pairs = zip(samples, valid, strict=True)
    values = np.concatenate([pixels[band][sparse][where[sparse]] for (pixels, _), where in pairs])
    if not values.size:
        return -np.inf, np.inf
    # Squares of a fill value that is not declared, like 1e20, need not fit into float32.
    return find_limits(values, float(values.std(dtype=np.float64)))


def _of_window(
    residual: Array, usable: Mask, share: Floats, side: int
) -> tuple[Array, Floats, Floats]:
    """Blocks of one window, their variance and that around them."""
    blocks = _cut(residual, side)
    flat = (blocks if usable.all() else blocks[usable]).reshape(-1, side * side)
    flat = _flatten(flat, side)
    if (share != 1).any():
        flat /= np.sqrt(share[usable, None]).astype(np.float32)
    variance = np.zeros(usable.shape)
    variance[usable] = np.einsum("bp,bp->b", flat, flat) / (side * side - 6)
    varied = variance > 0
    around, count = _sum_around(variance), _sum_around(varied.astype(np.float64))
    told = varied & (count >= FEWEST_AROUND)
    return (
        (flat if told.all() else flat[told[usable]]).reshape(-1, side, side),
        variance[told],
        around[told] / count[told],
    )


def _sum_around(values: Floats) -> Floats:
    """Sum the values two blocks away in eight directions, which share no pixel."""
    padded = np.zeros([size + 4 for size in values.shape])
    padded[2:-2, 2:-2] = values
    across = padded[:, :-4] + padded[:, 2:-2] + padded[:, 4:]
    total: Floats = across[:-4] + across[4:] + padded[2:-2, :-4] + padded[2:-2, 4:]
    return total
