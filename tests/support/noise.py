"""Measure the noise of test images."""

import numpy as np
from scipy import fft

from geoae.radiometry.resampling import LAG
from geoae.radiometry.spectrum import to_shape

__all__ = ["correlation_of_pixels", "shape_of"]


def correlation_of_pixels(noise: np.ndarray) -> np.ndarray:
    """Normalised autocovariance ``(9, 9)`` of pixels ``(row, col)`` that are nothing but noise."""
    height, width = noise.shape
    padded = np.abs(fft.fft2(noise, (height + LAG, width + LAG))) ** 2
    covariance = fft.fftshift(fft.ifft2(padded).real)
    row, col = (height + LAG) // 2, (width + LAG) // 2
    lags = covariance[row - LAG : row + LAG + 1, col - LAG : col + LAG + 1]
    rows, cols = (length - np.abs(np.arange(-LAG, LAG + 1)) for length in (height, width))
    unbiased = lags / np.outer(rows, cols)
    return np.asarray(unbiased / unbiased[LAG, LAG])


def shape_of(noise: np.ndarray) -> np.ndarray:
    """Shape ``(9,)`` of the spectrum of pixels ``(row, col)`` that are nothing but noise."""
    return to_shape(correlation_of_pixels(noise)[None])[0]
