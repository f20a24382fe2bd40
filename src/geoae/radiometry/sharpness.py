"""The kernel that undoes a sensor's blur, and what it does to noise."""

from functools import lru_cache

import numpy as np

from geoae.radiometry.resampling import LAG
from geoae.types import Floats

__all__ = [
    "HIGHEST_MTF",
    "LOWEST_MTF",
    "MOST_GAIN",
    "RADIUS",
    "design_kernel",
    "filter_noise",
    "largest_gain",
]

# Modulation transfer at the Nyquist frequency that can be undone. Sensors have 0.1 to 0.3; below,
# hardly any detail is left, and above there is hardly any blur.
LOWEST_MTF, HIGHEST_MTF = 0.05, 0.6
# Largest amplification of any frequency. Of 2, 3 and 5, the PSNR of blurred scenes with noise of
# 2/255 and 5/255 is best with 3; see docs/architecture.md.
MOST_GAIN = 3.0
# Half side of the kernel in pixels. With 4, the gain of a blur of 0.25 is 10 % too low at Nyquist.
RADIUS = 6
# Frequencies along an axis from which the kernel is computed.
GRID = 64


@lru_cache(maxsize=64)
def design_kernel(mtf: float) -> Floats:
    """Design the filter that undoes a Gaussian modulation transfer.

    The blur is that of ``geoae.simulation.optics.Blur``: ``M(f) = mtf ** (4 |f|^2)`` with f in
    cycles per pixel along rows and columns. Its inverse is regularised as that of Wiener:
    ``G = M (1 + c) / (M^2 + c)``. The constant c is such that G is 1 at frequency 0 and nowhere
    above ``MOST_GAIN``: G rises with the frequency to this value at most, and falls where the blur
    has left less. The taps are the inverse Fourier transform of G, cut to the square of
    ``RADIUS``, which is the best approximation in the sense of least squares, and scaled to the
    sum 1.

    Args:
        mtf: modulation transfer at the Nyquist frequency, ``LOWEST_MTF`` to ``HIGHEST_MTF``.

    Returns:
        Taps ``(2 RADIUS + 1, 2 RADIUS + 1)``, the same after flips and after exchange of rows and
        columns.

    """
    frequency = np.fft.fftfreq(GRID)
    blur = mtf ** (4 * (frequency[:, None] ** 2 + frequency**2))
    # The largest gain is (1 + c) / (2 sqrt(c)), where M is sqrt(c).
    constant = (MOST_GAIN - np.sqrt(MOST_GAIN**2 - 1)) ** 2
    gain = blur * (1 + constant) / (blur**2 + constant)
    middle = slice(GRID // 2 - RADIUS, GRID // 2 + RADIUS + 1)
    taps = np.fft.fftshift(np.fft.ifft2(gain).real)[middle, middle]
    # Rounding errors of the transform would make the kernel a little asymmetric.
    turned = [np.rot90(taps, quarter) for quarter in range(4)]
    taps = sum((one + one.T for one in turned), np.zeros_like(taps)) / 8
    taps /= taps.sum()
    highest = largest_gain(taps)
    if highest > MOST_GAIN:  # cutting has added some
        share = (MOST_GAIN - 1) / (highest - 1)
        taps *= share
        taps[RADIUS, RADIUS] += 1 - share
    taps.setflags(write=False)  # it is shared
    return taps


def largest_gain(kernel: Floats) -> float:
    """Return the largest amplification of any frequency by a kernel of an odd side."""
    return float(np.abs(np.fft.fft2(kernel, (GRID, GRID))).max())


def filter_noise(correlation: Floats, kernel: Floats) -> tuple[Floats, Floats]:
    """Compute what a filter makes of stationary noise.

    The autocovariance of filtered noise is that of the noise, convolved with the autocorrelation of
    the kernel.

    Args:
        correlation: normalised autocovariances ``(band, 9, 9)``: lags -4..4 in rows and columns, 1
            at the centre, 0 beyond.
        kernel: taps ``(side, side)``.

    Returns:
        Growth of the variance of each band, ``(band,)``; and the normalised autocovariances after
        the filter at the same lags, ``(band, 9, 9)``.

    """
    from scipy.signal import convolve2d, correlate2d  # takes long to load

    products = correlate2d(kernel, kernel)
    middle = slice(len(kernel) - 1, len(kernel) + 2 * LAG)
    covariance = np.stack([convolve2d(products, one)[middle, middle] for one in correlation])
    growth = covariance[:, LAG, LAG].copy()
    return growth, covariance / growth[:, None, None]
