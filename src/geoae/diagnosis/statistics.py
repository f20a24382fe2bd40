"""Statistics of a scene from its sample: mean, covariance and noise."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.components import find_signal
from geoae.diagnosis.moments import compute_moments
from geoae.diagnosis.noise.between import estimate_between, is_certain
from geoae.diagnosis.noise.covariance import NoiseCovariance, estimate_covariance, estimate_level
from geoae.diagnosis.noise.gate import CORRELATED
from geoae.diagnosis.noise.level import noise_model
from geoae.diagnosis.patches import FEWEST_IN_ALL, count_places
from geoae.diagnosis.sampling import count_valid
from geoae.errors import RecipeError
from geoae.radiometry.scale import Scale
from geoae.radiometry.spectrum import KERNELS, correlation_of, to_shape
from geoae.types import Floats, Samples

__all__ = ["SceneStatistics", "find_untold"]

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
    noise: NoiseCovariance | None = None
    """What the sample shows of the noise's correlation; None where that is not looked for."""
    signal: NDArray[np.bool_] | None = None
    """Which components hold more than noise, ``(component,)``; None for all."""
    between: NDArray[np.float64] | None = None
    """Correlation of the noise from band to band, ``(band, band)``; None for none."""

    @classmethod
    def of(
        cls,
        samples: Samples,
        sigma: Sequence[float] | None = None,
        correlation: NDArray[np.float64] | None = None,
        *,
        seeks_spectrum: bool = False,
        most: float | None = None,
    ) -> Self:
        """Compute the statistics of a sample.

        Args:
            samples: pixels in DN and mask of each window, ``(band, row, col)``.
            sigma: noise of each band in DN, ``(band,)``, constant over the signal; None to estimate
                it.
            correlation: normalised autocovariance of each band's noise ``(band, 9, 9)``; None for
                white noise.
            seeks_spectrum: whether to estimate the correlation instead.
            most: as for ``estimate_covariance``.

        Raises:
            RecipeError: ``sigma`` is far above the variation of the scene.

        """
        digest = hashlib.sha256()
        for pixels, mask in samples:
            digest.update(np.ascontiguousarray(np.where(mask, pixels, 0)).data)
            digest.update(np.packbits(mask).data)
        seen = _noise(samples, sigma, correlation, seeks_spectrum, most)
        between = None if correlation is not None else estimate_between(samples, seen[0])
        if between is not None:
            again = _noise(samples, sigma, None, seeks_spectrum, most, between)
            if is_certain(between, samples, again[0], again[3]):
                seen = again
            else:
                between = None
        noise, slope, correlation, found = seen
        valid = np.mean([mask.mean() for _, mask in samples])
        mean, covariance = compute_moments(samples)
        if sigma is not None:
            _refuse_louder_than_all(noise, np.sqrt(np.diag(covariance)))
        return cls(
            mean=mean,
            covariance=covariance,
            sigma=noise,
            slope=slope,
            digest=digest.hexdigest(),
            valid=float(valid),
            correlation=correlation,
            noise=found,
            signal=find_signal(samples, mean, covariance, noise, correlation, between),
            between=between,
        )

    @classmethod
    def none(cls) -> Self:
        """Return the statistics of a scene without a band to restore."""
        return cls(np.zeros(0), np.zeros((0, 0)), np.zeros(0), np.zeros(0), "", 0.0)

    def embed(self, kept: Sequence[int], bands: int) -> Self:
        """Insert bands that were left out of the statistics: mean and variance are 0, noise white.

        Args:
            kept: index of each band of these statistics in the result.
            bands: number of bands of the result.

        """
        among = np.eye(bands)[:, kept]
        mean, sigma, slope = (among @ of for of in (self.mean, self.sigma, self.slope))
        covariance = among @ self.covariance @ among.T
        correlation = None
        if self.correlation is not None:
            correlation = np.repeat(correlation_of(*KERNELS["white"])[None], bands, axis=0)
            correlation[kept] = self.correlation
        # Bands of one value make the last components.
        signal = None if self.signal is None else np.resize(self.signal, bands)
        if signal is not None:
            signal[len(kept) :] = False
        between = self.between
        if between is not None:
            between = np.eye(bands)
            between[np.ix_(kept, kept)] = self.between
        return replace(
            self,
            mean=mean,
            covariance=covariance,
            sigma=sigma,
            slope=slope,
            correlation=correlation,
            noise=None,
            signal=signal,
            between=between,
        )

    def move_to(self, samples: Samples) -> Self:
        """Return the statistics with mean and covariance of the same sample after a filter."""
        mean, covariance = compute_moments(samples)
        return replace(self, mean=mean, covariance=covariance, signal=None)

    def scale(self, group: int, *, shares_gain: bool = True) -> Scale:
        """Return the map to model units.

        Its inverse leaves a band without noise unchanged, rounding errors included.

        Args:
            group: components that the network takes at once.
            shares_gain: whether these have one gain.

        """
        shapes = None if self.correlation is None else to_shape(self.correlation)
        given = (self.mean, self.covariance, self.sigma, group, self.slope, shapes)
        scale = Scale.principal(*given, shares_gain=shares_gain, between=self.between)
        inverse = np.where(self.sigma[:, None] > 0, scale.inverse, 0.0)
        signal = self.signal
        if signal is not None:
            signal = np.pad(signal, (0, len(scale.sigma) - len(signal)))
        return replace(scale, inverse=inverse, signal=signal)


def _noise(
    samples: Samples,
    sigma: Sequence[float] | None,
    correlation: Floats | None,
    seeks_spectrum: bool,
    most: float | None,
    between: Floats | None = None,
) -> tuple[Floats, Floats, Floats | None, NoiseCovariance | None]:
    """Level, growth and correlation of the noise, and what the sample shows of its correlation."""
    given = (np.zeros(0), np.zeros(0))
    if sigma is not None:
        given = np.array(sigma, np.float64), np.zeros(len(sigma))
    if not seeks_spectrum and (sigma is not None or correlation is None):
        return *(noise_model(samples, between) if sigma is None else given), correlation, None
    white = noise_model(samples, between)
    if not seeks_spectrum:
        assert correlation is not None
        level = estimate_level(samples, correlation, white)
        return level, np.zeros_like(level), correlation, None
    found = estimate_covariance(samples, white, most, shares_noise=between is not None)
    seen = found.correlation if CORRELATED in found.verdict else None
    noise, slope = (found.sigma, found.slope) if sigma is None else given
    return noise, slope, seen, found


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
    few = (count_valid(samples) > 0) & (count_places(samples) < FEWEST_IN_ALL)
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
            " and signal together; correct --sigma, or leave it to auto"
        )
