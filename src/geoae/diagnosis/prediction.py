"""Predict each band of a scene from the other bands."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.clipping import LEAST_LEFT
from geoae.diagnosis.patches import FEWEST, Patches
from geoae.types import Floats

__all__ = ["subtract_prediction"]

Indices = NDArray[np.intp]

# Bands that are predicted by one product of matrices, and patches whose covariance is one.
AT_ONCE = 32
BLOCK = 512


def subtract_prediction(
    patches: Patches, bands: Indices, noise: Floats
) -> Iterator[tuple[int, Floats, float]]:
    """Subtract from each band its prediction from the other bands.

    Bands share texture, not noise (Roger and Arnold, Int. J. Remote Sensing 17(10), 1996).

    Args:
        patches: patches of all bands.
        bands: indices of the bands to process.
        noise: standard deviation of the noise of all bands, ``(band,)``; only their ratios count.

    Yields:
        For each band its index; the residual of its patches ``(patch, pixel)`` in units of its
        ``noise``; and the factor from the standard deviation of the noise in the residual to that
        in the band in DN. Where there is nothing to predict from (one band, or too few patches),
        the patches themselves in DN, and 1.

    """
    values = patches.values
    if len(values) == 1 or patches.count < FEWEST:
        yield from ((band, values[band], 1.0) for band in bands)
        return
    scale = np.where(noise > 0, noise, 1.0)
    covariance = _detail_covariance(patches) / np.outer(scale, scale)
    ridge = (1e-9 * np.trace(covariance) or 1.0) * np.eye(len(values))
    # Row b of the inverse holds, but for its own entry as a factor, the band less its best
    # prediction.
    precision = np.linalg.inv(covariance + ridge)
    gains = precision / np.diag(precision)[:, None]
    # Each predictor takes a degree of freedom from what is left, and brings an error of its weight
    # into the weights.
    lost = min((len(values) - 1) / max(patches.pixels, 1), 0.5) if patches.few else 0.0
    flat = values.reshape(len(values), -1)
    # Bands of which too little is left do not bring all of their noise.
    kept = None if patches.left is None else np.minimum(patches.left / LEAST_LEFT, 1.0)
    for first in range(0, len(bands), AT_ONCE):
        some = bands[first : first + AT_ONCE]
        residuals = (gains[some] / scale @ flat).reshape(len(some), *values.shape[1:])
        for band, residual in zip(some, residuals, strict=True):
            weights = np.square(gains[band])
            power = weights.sum()
            if patches.between is not None:
                power = gains[band] @ patches.between @ gains[band]
            if kept is not None:
                residual /= np.sqrt(weights @ kept / weights.sum())[:, None]
            yield band, residual, scale[band] / np.sqrt(power * (1 - lost) / (1 + lost))


def _detail_covariance(patches: Patches) -> Floats:
    """Compute the covariance of the bands within patches, ``(band, band)``."""
    bands, count, pixels = patches.values.shape
    total = np.zeros((bands, bands))
    for first in range(0, count, BLOCK):
        some = slice(first, first + BLOCK)
        detail = (patches.values[:, some] - patches.level[:, some, None]).reshape(bands, -1)
        total += detail @ detail.T
    return total / (count * pixels)
