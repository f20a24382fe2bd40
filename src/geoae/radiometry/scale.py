"""DN to model units and back (maximum noise fraction): one affine map a scene, fixed in advance."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoae.radiometry.spectrum import mix
from geoae.types import Floats

__all__ = ["Scale"]


# Four standard deviations of a group's leading component span one model unit.
SPREAD = 4.0
# A band whose noise is below this part of its own spread is whitened as if it had that much:
# keeps the map finite for noiseless and for constant bands.
LEAST_NOISE = 1e-3
# Least share of a band's noise variance, which holds where the signal is faintest.
LEAST_VARIANCE = 0.05
# A band whose noise is below this, in DN, counts as constant: its gain would overflow float32.
LEAST_WHITE = 1e-30


@dataclass(frozen=True, eq=False)
class Scale:
    """``model = forward @ (DN - offset)``; the residual returns as ``inverse @ residual``.

    The number of components is a multiple of the group that the network takes at once; components
    beyond the number of bands are zero.
    """

    offset: Floats
    """Mean of each band in DN, ``(band,)``."""
    forward: Floats
    """DN to model units, ``(component, band)``."""
    inverse: Floats
    """Model units to DN, ``(band, component)``."""
    sigma: Floats
    """Noise of each component in model units where the bands have their means, ``(component,)``."""
    noise: Floats
    """Noise of each band in DN where it has its mean, ``(band,)``."""
    slope: Floats
    """Growth of each band's noise variance with its signal in DN, ``(band,)``."""
    shape: Floats | None = None
    """Shape of the spectrum of each component's noise, ``(component, 9)``, as
    ``geoae.radiometry.spectrum`` describes it; None for white noise."""
    signal: NDArray[np.bool_] | None = None
    """Which components hold more than noise, ``(component,)``; None for all."""
    between: Floats | None = None
    """Correlation of the noise from band to band, ``(band, band)``; None for none."""

    @classmethod
    def principal(
        cls,
        mean: Floats,
        covariance: Floats,
        sigma: Floats,
        group: int,
        slope: Floats | None = None,
        shapes: Floats | None = None,
        *,
        shares_gain: bool = True,
        between: Floats | None = None,
    ) -> Self:
        """Compute the principal components of the noise-whitened scene (maximum noise fraction).

        Green et al., IEEE TGRS 26(1), 1988. With ``D = diag(sigma)``, the eigenvectors of ``D^-1
        covariance D^-1`` are orthogonal. So white noise that is independent from band to band stays
        white and independent, with equal strength in every component, while the signal that bands
        share gathers in the first components. Where the noise is correlated from band to band, a
        Cholesky factor of its covariance takes the place of ``D``. Each group of components has one
        gain, which scales its leading component to a standard deviation of ``1 / SPREAD``; or each
        component has its own.

        Args:
            mean: ``(band,)`` in DN.
            covariance: of the noisy scene, ``(band, band)`` in DN squared.
            sigma: noise of each band in DN, ``(band,)``.
            group: components that the network takes at once.
            slope: growth of the noise variance with the signal in DN, ``(band,)``; None for
                constant noise.
            shapes: shape of the spectrum of each band's noise, ``(band, 9)``; None for white noise.
            shares_gain: whether the components of a group have one gain.
            between: correlation of the noise from band to band, ``(band, band)``, positive
                definite; None for none.

        """
        bands = len(mean)
        spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        white = np.maximum(sigma, LEAST_NOISE * spread)
        white = np.where(white > LEAST_WHITE, white, 1.0)
        whitened = covariance / np.outer(white, white)
        variances, there, back = _decompose(whitened, between)
        # No component has less variance than its noise; one that seems to is not amplified.
        leader = np.arange(bands) // group * group if shares_gain else np.arange(bands)
        lead = np.sqrt(np.maximum(variances[leader], 1.0))
        gain = 1.0 / (SPREAD * lead)
        components = -(-bands // group) * group
        forward = np.zeros((components, bands))
        inverse = np.zeros((bands, components))
        forward[:bands] = gain[:, None] * there / white
        inverse[:, :bands] = white[:, None] * back / gain
        slope = np.zeros(bands) if slope is None else slope
        level = np.sqrt(forward**2 @ sigma**2)
        if between is not None:
            noise = (forward * sigma) @ np.linalg.cholesky(between)
            level = np.sqrt(np.square(noise).sum(axis=1))
        shape = None if shapes is None else mix(shapes, forward**2 * sigma**2)
        return cls(mean, forward, inverse, level, sigma, slope, shape, between=between)

    @property
    def varies(self) -> bool:
        """Whether the noise depends on the signal."""
        return bool(self.slope.any())

    def variance(self, signal: NDArray[Any]) -> NDArray[np.float64]:
        """Compute the noise variance ``(band, row, col)`` in DN squared for a ``signal`` in DN."""
        noise, slope, mean = (
            value[:, None, None] for value in (self.noise**2, self.slope, self.offset)
        )
        return np.maximum(noise + slope * (signal - mean), LEAST_VARIANCE * noise)

    def to_model(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Map pixels ``(band, row, col)`` in DN to ``(component, row, col)`` in model units,
        float32.

        Invalid pixels must have been filled: all values must be finite.
        """
        # float32 holds 16-bit DN exactly; wider types are centred in float64 first.
        exact = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
        centred: NDArray[Any] = pixels.astype(exact)
        centred -= self.offset.astype(exact)[:, None, None]
        flat = centred.reshape(len(pixels), -1).astype(np.float32, copy=False)
        model = self.forward.astype(np.float32) @ flat
        return model.reshape(-1, *pixels.shape[1:])

    def level(self, variance: NDArray[Any]) -> NDArray[np.float32]:
        """Map noise variance ``(band, row, col)`` in DN squared to deviation ``(component, row,
        col)``.

        The deviation is in model units. Where bands share noise, what they share counts in the
        same proportion at every signal as at the mean one; exactly, it would cost a product of
        matrices for each band.
        """
        # In float64: squares of DN need not fit into float32.
        flat = variance.reshape(len(variance), -1).astype(np.float64, copy=False)
        squares = np.square(self.forward)
        level = np.sqrt(squares @ flat)
        if self.between is not None:
            alone = np.sqrt(squares @ np.square(self.noise))
            level *= (self.sigma / np.where(alone > 0, alone, 1.0))[:, None]
        return level.astype(np.float32).reshape(-1, *variance.shape[1:])

    def to_native(self, residual: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map a residual ``(component, row, col)`` in model units to ``(band, row, col)`` in DN."""
        native = self.inverse.astype(np.float32) @ residual.reshape(len(residual), -1)
        return native.reshape(-1, *residual.shape[1:])


def _decompose(whitened: Floats, between: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Compute components of bands over their noise, in which the noise has the same strength.

    Args:
        whitened: covariance of bands over their noise, ``(band, band)``.
        between: correlation of the noise from band to band, ``(band, band)``; None for none.

    Returns:
        Variance of each component, descending; map from bands to components, and back.

    """
    factor = None if between is None else np.linalg.cholesky(between)
    if factor is not None:
        whitened = np.linalg.solve(factor, np.linalg.solve(factor, whitened).T)
    variances, vectors = np.linalg.eigh(whitened)
    order = np.argsort(variances)[::-1]
    variances, vectors = variances[order], _fix_signs(vectors[:, order])
    if factor is None:
        return variances, vectors.T, vectors
    return variances, np.linalg.solve(factor.T, vectors).T, factor @ vectors


def _fix_signs(vectors: Floats) -> Floats:
    """Make the largest entry of each eigenvector positive, since its sign differs between
    machines.
    """
    if not vectors.size:
        return vectors
    largest = np.abs(vectors).argmax(axis=0)
    return vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])
