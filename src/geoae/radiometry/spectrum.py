"""The power spectrum of noise, as a network is told it: nine deviations for each component."""

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from geoae.radiometry.resampling import LAG, Resampling
from geoae.types import DeviceArray, Floats

__all__ = [
    "FREQUENCIES",
    "KERNELS",
    "correlation_of",
    "known_shape",
    "mix",
    "to_shape",
    "transpose",
    "white",
]

# Cycles per pixel along rows and along columns at which the spectrum is given.
FREQUENCIES = (0.0, 0.25, 0.5)
SHIFTED = Resampling(phase=0.5)
CUBIC = Resampling(phase=0.5, cubic=True)

# Noise of known products, by name: along the rows' axis (down), and along the columns' (across).
KERNELS: dict[str, tuple[Resampling, Resampling]] = {
    "white": (Resampling(), Resampling()),
    # Moved by half a pixel in both directions.
    "bilinear": (SHIFTED, SHIFTED),
    "cubic": (CUBIC, CUBIC),
    # Detectors of 100 m on a grid of 30 m: the thermal bands of Landsat 8 and 9.
    "cubic-100/30": (Resampling(100 / 30, cubic=True), Resampling(100 / 30, cubic=True)),
    # Colours of a Bayer mosaic: every second pixel measured.
    "bayer": (Resampling(2.0), Resampling(2.0)),
    # Three lines of detectors averaged along the track, at the distance of one.
    "binned": (Resampling(taps=(1.0, 1.0, 1.0)), Resampling()),
}


def white(components: int) -> NDArray[np.float32]:
    """Return the shape of white noise, ``(components, 9)``: ones."""
    return np.ones((components, len(FREQUENCIES) ** 2), np.float32)


def correlation_of(rows: Resampling, cols: Resampling) -> Floats:
    """Return the normalised autocovariance of noise that was resampled along both axes.

    Args:
        rows: what was done along the rows' axis (from row to row).
        cols: what was done along the columns' axis.

    Returns:
        ``(9, 9)``: lags -4..4 in rows and in columns; 1 at the centre.

    """
    return np.outer(rows.correlation(), cols.correlation())


def to_shape(correlation: Floats) -> Floats:
    """Convert autocovariances to the shape of the noise's spectrum.

    The power spectrum is the Fourier transform of the autocovariance (Wiener-Khinchin), clipped at
    0; its mean over all frequencies is the autocovariance at lag 0. At (1/4, 1/4) the shape has
    the mean power of (1/4, 1/4) and (1/4, -1/4), so mirrored noise has the same shape.

    Args:
        correlation: normalised autocovariances ``(band, 9, 9)``, lags -4..4 in rows and columns.

    Returns:
        Square root of the power at the frequencies {0, 1/4, 1/2} x {0, 1/4, 1/2} cycles per
        pixel, row frequency first, ``(band, 9)``; ones for white noise.

    """
    lags = np.arange(-LAG, LAG + 1)
    # The products of sines cancel in the mean over both signs.
    waves = np.cos(2 * np.pi * np.outer(FREQUENCIES, lags))
    power = np.einsum("fi,bij,gj->bfg", waves, correlation, waves)
    return np.sqrt(np.maximum(power, 0.0)).reshape(len(correlation), -1)


def known_shape(name: str) -> Floats:
    """Return the shape ``(9,)`` of the noise of a known product, a key of ``KERNELS``."""
    shape: Floats = to_shape(correlation_of(*KERNELS[name])[None])[0]
    return shape


def transpose(shape: DeviceArray) -> DeviceArray:
    """Exchange rows and columns of shapes ``(..., 9)``, as a quarter turn of the pixels does.

    Flips of the pixels change no shape.
    """
    side = len(FREQUENCIES)
    xp = array_namespace(shape)
    square = xp.reshape(shape, (*shape.shape[:-1], side, side))
    return xp.reshape(xp.matrix_transpose(square), shape.shape)


def mix(shapes: Floats, variances: Floats) -> Floats:
    """Compute the shape of a sum of independent noises.

    Args:
        shapes: shape of each noise, ``(noise, 9)``.
        variances: variance of each noise in each sum, ``(sum, noise)``, 0 or more. For principal
            components these are the squared weights of the bands times the bands' variances.

    Returns:
        Shape of each sum, ``(sum, 9)``; ones where a sum has no noise.

    """
    total = variances.sum(axis=1, keepdims=True)
    power = (variances / np.where(total > 0, total, 1.0)) @ shapes**2
    return np.where(total > 0, np.sqrt(power), 1.0)
