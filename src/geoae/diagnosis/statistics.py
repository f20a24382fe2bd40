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
    """``mean`` (band,), ``covariance`` (band, band) and noise ``sigma`` (band,) of a scene, in DN;
    ``slope`` (band,): how the noise variance grows with the signal, in DN, ``sigma**2`` being that
    at the mean; ``digest`` of the sample they come from and the share of ``valid`` pixels in it.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    sigma: NDArray[np.float64]
    slope: NDArray[np.float64]
    digest: str
    valid: float

    @classmethod
    def of(cls, samples: Samples, sigma: Sequence[float] | None = None) -> Self:
        """Facts of a sample; ``sigma`` (band,) in DN, the same whatever the signal, replaces the
        estimate.

        Raises ``RecipeError`` where it is louder than the scene.
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
        """Facts of a scene without a band to restore."""
        return cls(np.zeros(0), np.zeros((0, 0)), np.zeros(0), np.zeros(0), "", 0.0)

    def scale(self, group: int) -> Scale:
        """The map to model units for a network that takes ``group`` components at once."""
        return Scale.principal(self.mean, self.covariance, self.sigma, group, self.slope)


def _refuse_louder_than_all(sigma: NDArray[np.float64], spread: NDArray[np.float64]) -> None:
    """Raise ``RecipeError`` where noise would be well above all that a band varies by, of which it
    is a part.
    """
    louder = np.flatnonzero((spread > 0) & (sigma > LOUDEST * spread))
    if louder.size:
        first = louder[0]
        raise RecipeError(
            f"sigma = {sigma[first]:g} DN: the scene varies by {spread[first]:.4g} DN in all, noise"
            " and signal together; correct sigma, or leave it to auto"
        )


def _moments(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and covariance over pixels valid in all bands; without any, of each band by itself."""
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
