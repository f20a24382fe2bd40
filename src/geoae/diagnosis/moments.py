"""Mean and covariance of the bands of a sample, whose masks may differ."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.patches import have_one_mask
from geoae.diagnosis.sampling import count_valid
from geoae.types import Floats, Mask, Samples

__all__ = ["compute_moments"]

# Fewer pixels tell nothing of how two bands go together.
LEAST_SHARED = 200


def compute_moments(samples: Samples) -> tuple[Floats, Floats]:
    """Compute each band's own mean, and the covariance over the pixels that are valid in all bands.

    Where these are less than half of those of a band, it is computed by pairs of bands.

    Args:
        samples: pixels in DN and mask of each window, ``(band, row, col)``.

    Returns:
        Mean in DN, ``(band,)``, and covariance in DN squared, ``(band, band)``.

    """
    shared: list[Mask] = [np.logical_and.reduce(mask, axis=0) for _, mask in samples]
    count = sum(int(valid.sum()) for valid in shared)
    if count < 2 or count < count_valid(samples).max() / 2:
        return _pairwise_moments(samples)
    # Window by window: all of them as float64 would be gigabytes where there are hundreds of bands.
    parts = [(pixels, valid) for (pixels, _), valid in zip(samples, shared, strict=True)]
    bands = len(samples[0][0])
    sums = (_select(*part).sum(axis=1, dtype=np.float64) for part in parts)
    mean = sum(sums, start=np.zeros(bands)) / count
    centred = (_select(*part) - mean[:, None] for part in parts)
    covariance = sum((part @ part.T for part in centred), start=np.zeros((bands, bands))) / count
    # The noise is given where the signal is that of all of a band's pixels.
    return mean if have_one_mask(samples) else _means(samples), covariance


def _select(pixels: NDArray[Any], valid: Mask) -> NDArray[Any]:
    """Select the pixels ``(band, pixel)`` that are valid; mostly all are, which needs no copy."""
    return pixels.reshape(len(pixels), -1) if valid.all() else pixels[:, valid]


def _means(samples: Samples) -> Floats:
    """Return the mean of each band over its own valid pixels."""
    sums = [np.where(mask, pixels, 0).sum((1, 2), dtype=np.float64) for pixels, mask in samples]
    means: Floats = np.sum(sums, axis=0) / np.maximum(count_valid(samples), 1)
    return means


def _pairwise_moments(samples: Samples) -> tuple[Floats, Floats]:
    """Mean and variance of each band over its own valid pixels, and correlations of two bands over
    those that both share; none where they share fewer than ``LEAST_SHARED``.

    Correlations of different pixels need not be those of any scene: what makes their matrix
    indefinite is taken away.
    """
    count, mean = np.maximum(count_valid(samples), 1), _means(samples)
    # Over the pixels that two bands share: their number, and of the first band (of rows) the sum,
    # the sum of squares and that of products with the second.
    shared, first, square, product = np.zeros((4, len(mean), len(mean)))
    for pixels, mask in samples:
        centred = np.where(mask, pixels - mean[:, None, None], 0.0).reshape(len(mean), -1)
        valid = mask.reshape(len(mean), -1).astype(np.float64)
        shared += valid @ valid.T
        first += centred @ valid.T
        square += centred**2 @ valid.T
        product += centred @ centred.T
    number = np.maximum(shared, 1)
    variance = np.maximum(square / number - (first / number) ** 2, 0.0)
    deviation = np.sqrt(variance * variance.T)
    known = (shared >= LEAST_SHARED) & (deviation > 0)
    correlation = product / number - first * first.T / number**2
    correlation = np.where(known, correlation / np.where(known, deviation, 1.0), 0.0)
    np.fill_diagonal(correlation, 1.0)
    spread = np.sqrt(np.diag(square) / count)
    return mean, _make_semidefinite(correlation) * np.outer(spread, spread)


def _make_semidefinite(correlation: Floats) -> Floats:
    """The positive part of a symmetric matrix ``(band, band)`` with ones on its diagonal, scaled to
    have ones there again.
    """
    values, vectors = np.linalg.eigh(correlation)
    if values[0] >= 0:
        return correlation
    positive = (vectors * np.maximum(values, 0.0)) @ vectors.T
    scale = np.sqrt(np.diag(positive))
    return positive / np.outer(scale, scale)
