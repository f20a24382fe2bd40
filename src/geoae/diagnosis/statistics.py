"""Statistics of a scene from its sample: mean, covariance and noise."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.noise import noise_model
from geoae.diagnosis.patches import FEWEST, count_places
from geoae.diagnosis.sampling import count_valid
from geoae.errors import RecipeError
from geoae.radiometry.scale import Scale
from geoae.radiometry.spectrum import to_shape
from geoae.tiling.window import FEW
from geoae.types import Samples

__all__ = ["SceneStatistics", "find_empty", "find_untold"]

# Noise that is told may be this many times a band's standard deviation in the sample, which is not
# the whole scene.
LOUDEST = 3.0


@dataclass(frozen=True, eq=False)
class SceneStatistics:
    """Statistics of a scene from its sample."""

    mean: NDArray[np.float64]
    """Mean of each band in DN, ``(band,)``."""
    covariance: NDArray[np.float64]
    """Covariance in DN squared, ``(band, band)``."""
    sigma: NDArray[np.float64]
    """Noise of each band at its mean signal in DN, ``(band,)``."""
    slope: NDArray[np.float64]
    """Growth of each band's noise variance with its signal in DN, ``(band,)``."""
    digest: str
    """Digest of the sample."""
    valid: float
    """Share of valid pixels in the sample."""
    correlation: NDArray[np.float64] | None = None
    """Normalised autocovariance of each band's noise at lags -4..4, ``(band, 9, 9)``; None for
    white noise."""

    @classmethod
    def of(
        cls,
        samples: Samples,
        sigma: Sequence[float] | None = None,
        correlation: NDArray[np.float64] | None = None,
    ) -> Self:
        """Compute the statistics of a sample.

        Args:
            samples: pixels in DN and mask of each window, ``(band, row, col)``.
            sigma: noise of each band in DN, ``(band,)``, constant over the signal; None to estimate
                it.
            correlation: normalised autocovariance of each band's noise ``(band, 9, 9)``; None for
                white noise.

        Raises:
            RecipeError: ``sigma`` is far above the variation of the scene.

        """
        digest = hashlib.sha256()
        for pixels, mask in samples:
            digest.update(
                np.ascontiguousarray(np.where(mask, pixels, 0)).tobytes()
                + np.packbits(mask).tobytes()
            )
        noise, slope = (
            noise_model(samples) if sigma is None else (np.array(sigma), np.zeros(len(sigma)))
        )
        valid = np.mean([mask.mean() for _, mask in samples])
        mean, covariance = _moments(samples)
        if sigma is not None:
            _refuse_louder_than_all(noise, np.sqrt(np.diag(covariance)))
        found = digest.hexdigest()
        return cls(mean, covariance, noise, slope, found, float(valid), correlation)

    @classmethod
    def none(cls) -> Self:
        """Return the statistics of a scene without a band to restore."""
        return cls(np.zeros(0), np.zeros((0, 0)), np.zeros(0), np.zeros(0), "", 0.0)

    def scale(self, group: int) -> Scale:
        """Return the map to model units for a network that takes ``group`` components at once."""
        shapes = None if self.correlation is None else to_shape(self.correlation)
        return Scale.principal(self.mean, self.covariance, self.sigma, group, self.slope, shapes)


def find_empty(samples: Samples) -> NDArray[np.intp]:
    """Find the bands that have no valid pixel in a sample.

    Args:
        samples: pairs of pixels and mask ``(band, row, col)``.

    Returns:
        Their indices.

    """
    return np.flatnonzero(count_valid(samples) == 0)


def find_untold(samples: Samples, sigma: NDArray[np.float64]) -> NDArray[np.intp]:
    """Find the bands of which too few pixels are valid to estimate their noise.

    Args:
        samples: pairs of pixels and mask ``(band, row, col)``.
        sigma: estimated noise in DN, ``(band,)``.

    Returns:
        Their indices. Bands without any valid pixel are not among them, as nothing is restored
        there.

    """
    if sigma.all():
        return np.zeros(0, np.intp)
    few = (count_valid(samples) > 0) & (count_places(samples) < FEWEST)
    return np.flatnonzero(few & (sigma == 0))


def _refuse_louder_than_all(sigma: NDArray[np.float64], spread: NDArray[np.float64]) -> None:
    """Raise ``RecipeError`` where noise is far above the whole variation of a band, which includes
    it.
    """
    louder = np.flatnonzero((spread > 0) & (sigma > LOUDEST * spread))
    if louder.size:
        first = louder[0]
        raise RecipeError(
            f"sigma = {sigma[first]:g} DN: the scene varies by {spread[first]:.4g} DN in all, noise"
            " and signal together; correct sigma, or leave it to auto"
        )


def _moments(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and covariance over the pixels that are valid in all bands; where these are too few,
    each band's own mean, and covariances of two bands over the pixels that both share.
    """
    shared = [mask.all(axis=0) for _, mask in samples]
    count = sum(int(valid.sum()) for valid in shared)
    own = count_valid(samples)
    if count <= 1 or count < min(FEW, own[own > 0].min() / 2):
        return _pairwise_moments(samples)
    # Window by window: all of them as float64 would be gigabytes where there are hundreds of bands.
    parts = [(pixels, valid) for (pixels, _), valid in zip(samples, shared, strict=True)]
    mean = sum(pixels[:, valid].sum(axis=1, dtype=np.float64) for pixels, valid in parts) / count
    centred = (pixels[:, valid] - mean[:, None] for pixels, valid in parts)
    return mean, sum(part @ part.T for part in centred) / count


def _pairwise_moments(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of each band, and covariances over the pixels that two bands share, made positive
    semidefinite: covariances of different pixels need not be.
    """
    counts = np.maximum(count_valid(samples), 1)
    sums = (
        np.where(mask, pixels, 0).sum(axis=(1, 2), dtype=np.float64) for pixels, mask in samples
    )
    mean = sum(sums, start=np.zeros(len(counts))) / counts
    products, shared = np.zeros((2, len(counts), len(counts)))
    for pixels, mask in samples:
        centred = np.where(mask, pixels - mean[:, None, None], 0.0).reshape(len(mean), -1)
        valid = mask.reshape(len(mean), -1).astype(np.float64)
        products += centred @ centred.T
        shared += valid @ valid.T
    covariance = products / np.maximum(shared, 1)
    deviation = np.sqrt(np.diag(covariance))
    scale = np.where(deviation > 0, deviation, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    whole = (vectors * np.maximum(values, 0.0)) @ vectors.T
    # Each band keeps its own variance.
    share = np.sqrt(np.where(deviation > 0, np.diag(whole), 1.0))
    return mean, whole * np.outer(deviation / share, deviation / share)
