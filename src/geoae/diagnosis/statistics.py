"""Statistics of a scene from its sample: mean, covariance and noise."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.noise import noise_model
from geoae.diagnosis.sampling import Samples
from geoae.errors import RecipeError
from geoae.radiometry.scale import Scale

__all__ = ["Facts"]

# Noise that is told may be this many times a band's standard deviation in the sample, which is not
# the whole scene.
LOUDEST = 3.0


@dataclass(frozen=True, eq=False)
class Facts:
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

    @classmethod
    def of(cls, samples: Samples, sigma: Sequence[float] | None = None) -> Self:
        """Compute the statistics of a sample.

        Args:
            samples: pixels in DN and mask of each window, ``(band, row, col)``.
            sigma: noise of each band in DN, ``(band,)``, constant over the signal; None to estimate
                it.

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
        return cls(mean, covariance, noise, slope, digest.hexdigest(), float(valid))

    @classmethod
    def none(cls) -> Self:
        """Return the statistics of a scene without a band to restore."""
        return cls(np.zeros(0), np.zeros((0, 0)), np.zeros(0), np.zeros(0), "", 0.0)

    def scale(self, group: int) -> Scale:
        """Return the map to model units for a network that takes ``group`` components at once."""
        return Scale.principal(self.mean, self.covariance, self.sigma, group, self.slope)


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
    """Compute mean and covariance over pixels valid in all bands; without any, of each band
    alone.
    """
    shared = [mask.all(axis=0) for _, mask in samples]
    count = sum(int(valid.sum()) for valid in shared)
    if count > 1:
        # Window by window: all of them as float64 would be gigabytes where there are hundreds of
        # bands.
        parts = [(pixels, valid) for (pixels, _), valid in zip(samples, shared, strict=True)]
        mean = (
            sum(pixels[:, valid].sum(axis=1, dtype=np.float64) for pixels, valid in parts) / count
        )
        centred = (pixels[:, valid] - mean[:, None] for pixels, valid in parts)
        return mean, sum(part @ part.T for part in centred) / count
    bands = range(len(samples[0][0]))
    each = [
        np.concatenate([pixels[b][mask[b]] for pixels, mask in samples]).astype(np.float64)
        for b in bands
    ]
    mean = np.array([values.mean() if values.size else 0.0 for values in each])
    return mean, np.diag([values.var() if values.size else 0.0 for values in each])
