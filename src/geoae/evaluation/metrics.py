"""Metrics of an estimate against the truth, for rasters with invalid pixels."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoae.types import Mask

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ergas", "psnr", "spectral_angle", "ssim"]

Pixels = NDArray[np.generic]
Peak = float | Sequence[float]

# Side of the Gaussian window of sigma 1.5 that Wang et al. use.
SSIM_WINDOW = 11


def psnr(truth: Pixels, estimate: Pixels, peak: Peak, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio, ``10 log10(peak**2 / mean squared error)``, mean over bands.

    Args:
        truth: pixels ``(band, row, col)``.
        estimate: pixels ``(band, row, col)`` in the same unit.
        peak: span of values in that unit, one for all bands or one for each.
        mask: ``(band, row, col)`` or ``(row, col)``, True where pixels count.

    Returns:
        PSNR in dB; infinity where both are equal. Bands without a pixel that counts are left out;
        NaN where all are.

    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    def of(true: "Tensor", guess: "Tensor", span: float, valid: Mask) -> float:
        return float(peak_signal_noise_ratio(guess[valid], true[valid], data_range=span))

    return _mean_over_bands(of, truth, estimate, peak, mask)


def ssim(truth: Pixels, estimate: Pixels, peak: Peak, mask: Mask | None = None) -> float:
    """Structural similarity, mean over bands; 1 where both are equal.

    Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13(4), 2004: Gaussian window of 11 px and sigma
    1.5, K1 = 0.01, K2 = 0.03, reflection at the border. A window that touches a pixel which does
    not count does not count either, so invalid pixels do not change the figure.

    Args:
        truth: pixels ``(band, row, col)``, 6 px a side or more.
        estimate: pixels ``(band, row, col)`` in the same unit.
        peak: span of values in that unit, one for all bands or one for each.
        mask: ``(band, row, col)`` or ``(row, col)``, True where pixels count.

    Returns:
        SSIM; NaN where no window counts in any band.

    """
    from scipy import ndimage
    from torchmetrics.functional.image import structural_similarity_index_measure

    def of(true: "Tensor", guess: "Tensor", span: float, valid: Mask) -> float:
        whole = ndimage.binary_erosion(valid, np.ones((SSIM_WINDOW, SSIM_WINDOW)), border_value=1)
        _, each = structural_similarity_index_measure(
            guess[None, None], true[None, None], data_range=span, return_full_image=True
        )
        return float(each[0, 0][whole].mean())

    return _mean_over_bands(of, truth, estimate, peak, mask)


def spectral_angle(truth: Pixels, estimate: Pixels, mask: Mask | None = None) -> float:
    """Mean angle between the spectra of truth and estimate; 0 where they are proportional.

    Kruse et al., "The spectral image processing system (SIPS)", Remote Sensing of Environment 44,
    1993.

    Args:
        truth: pixels ``(band, row, col)``.
        estimate: pixels ``(band, row, col)`` in the same unit.
        mask: ``(row, col)``, True where pixels count.

    Returns:
        Angle in degrees; NaN for a single band.

    """
    from torchmetrics.functional.image import spectral_angle_mapper

    # A spectrum of zeros has no direction.
    directed = (
        (truth != 0).any(axis=0) & (estimate != 0).any(axis=0) & (True if mask is None else mask)
    )
    if len(truth) == 1 or not directed.any():
        return float("nan")
    return math.degrees(float(spectral_angle_mapper(*_spectra(truth, estimate, directed))))


def ergas(truth: Pixels, estimate: Pixels, mask: Mask | None = None) -> float:
    """Relative dimensionless global error, ``100 sqrt(mean over bands of (rmse / mean)**2)``.

    Wald, "Data Fusion", 2002, with a ratio of resolutions of 1.

    Args:
        truth: pixels ``(band, row, col)``.
        estimate: pixels ``(band, row, col)`` in the same unit.
        mask: ``(row, col)``, True where pixels count.

    Returns:
        ERGAS, without a unit; 0 where both are equal.

    """
    from torchmetrics.functional.image import error_relative_global_dimensionless_synthesis

    return float(
        error_relative_global_dimensionless_synthesis(*_spectra(truth, estimate, mask), ratio=1)
    )


def _spectra(truth: Pixels, estimate: Pixels, mask: Mask | None) -> "tuple[Tensor, Tensor]":
    """Return the pixels that count of estimate and truth, ``(1, band, pixel, 1)`` each."""
    import torch

    counts = np.ones(truth.shape[1:], dtype=bool) if mask is None else mask
    first, second = (
        torch.from_numpy(np.ascontiguousarray(pixels[:, counts], dtype=np.float64))[None, ..., None]
        for pixels in (estimate, truth)
    )
    return first, second


def _mean_over_bands(
    metric: Callable[["Tensor", "Tensor", float, Mask], float],
    truth: Pixels,
    estimate: Pixels,
    peak: Peak,
    mask: Mask | None,
) -> float:
    """Average ``metric`` over the bands where it is defined."""
    import torch

    if truth.shape != estimate.shape:
        raise ValueError(
            f"truth of shape {truth.shape} and estimate of shape {estimate.shape} cannot be"
            " compared"
        )
    # torch warns of arrays that cannot be written to
    valid = np.broadcast_to(True if mask is None else mask, truth.shape).copy()
    spans = np.broadcast_to(np.asarray(peak, dtype=np.float64), len(truth))
    figures = []
    for true, guess, span, counts in zip(truth, estimate, spans, valid, strict=True):
        # Invalid pixels may hold NaN, which a window or a product with zero would spread.
        bands = [
            torch.from_numpy(np.where(counts, band, 0).astype(np.float64)) for band in (true, guess)
        ]
        figure = metric(bands[0], bands[1], float(span), counts)
        if not np.isnan(figure):
            figures.append(figure)
    return float(np.mean(figures)) if figures else float("nan")
