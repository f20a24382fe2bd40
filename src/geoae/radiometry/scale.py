"""DN to model units and back: one affine map a scene, fixed before the first tile."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoae.types import Floats

__all__ = ["Scale"]


# Four standard deviations of a group's leading component span one model unit.
SPREAD = 4.0
# A band whose noise is below this part of its own spread is whitened as if it had that much:
# keeps the map finite for noiseless and for constant bands.
LEAST_NOISE = 1e-3
# Where the signal is faintest, this part of a band's noise variance is left.
LEAST_VARIANCE = 0.05
# Below this, in DN, a band is as good as constant: its gain would not fit into float32.
LEAST_WHITE = 1e-30


@dataclass(frozen=True, eq=False)
class Scale:
    """``model = forward @ (DN - offset)``; the residual returns as ``inverse @ residual``.

    ``offset`` (band,) in DN; ``forward`` (component, band); ``inverse`` (band, component);
    ``sigma`` (component,) noise of each component in model units, at the bands' means; ``noise``
    (band,) the bands' own, in DN, and ``slope`` (band,) how its variance grows with the signal, in
    DN. The number of components is a multiple of the group the network takes at once; those past
    the bands are zero.
    """

    offset: Floats
    forward: Floats
    inverse: Floats
    sigma: Floats
    noise: Floats
    slope: Floats

    @classmethod
    def principal(
        cls,
        mean: Floats,
        covariance: Floats,
        sigma: Floats,
        group: int,
        slope: Floats | None = None,
    ) -> Self:
        """Principal components of the noise-whitened scene, in groups of ``group``.

        Maximum noise fraction ordering (Green et al., IEEE TGRS 26(1), 1988): with
        ``D = diag(sigma)`` the eigenvectors of ``D^-1 covariance D^-1`` are orthogonal, so white
        noise that is independent from band to band stays so, of equal strength in every component,
        while what the bands share gathers in the first ones. ``mean`` (band,), ``covariance``
        (band, band) of the noisy scene, ``sigma`` and ``slope`` (band,), all in DN. Each group
        shares one gain, which brings its leading component to ``1 / SPREAD`` standard deviation.
        """
        bands = len(mean)
        spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        white = np.maximum(sigma, LEAST_NOISE * spread)
        white = np.where(white > LEAST_WHITE, white, 1.0)
        variances, vectors = np.linalg.eigh(covariance / np.outer(white, white))
        order = np.argsort(variances)[::-1]
        variances, vectors = variances[order], _fix_signs(vectors[:, order])
        # No component can hold less than its noise; one that seems to is not blown up.
        lead = np.sqrt(np.maximum(variances[np.arange(bands) // group * group], 1.0))
        gain = 1.0 / (SPREAD * lead)
        components = -(-bands // group) * group
        forward = np.zeros((components, bands))
        inverse = np.zeros((bands, components))
        forward[:bands] = gain[:, None] * vectors.T / white
        inverse[:, :bands] = white[:, None] * vectors / gain
        slope = np.zeros(bands) if slope is None else slope
        return cls(mean, forward, inverse, np.sqrt(forward**2 @ sigma**2), sigma, slope)

    @property
    def varies(self) -> bool:
        """Whether the noise depends on the signal."""
        return bool(self.slope.any())

    def variance(self, signal: NDArray[Any]) -> NDArray[np.float64]:
        """Noise variance ``(band, row, col)`` in DN squared where the signal is ``signal``,
        in DN.
        """
        noise, slope, mean = (
            value[:, None, None] for value in (self.noise**2, self.slope, self.offset)
        )
        return np.maximum(noise + slope * (signal - mean), LEAST_VARIANCE * noise)

    def to_model(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """``(band, row, col)`` in DN to ``(component, row, col)`` float32 in model units.

        Invalid pixels must have been filled: everything here is finite arithmetic.
        """
        # float32 holds 16-bit DN exactly; wider types are centred in float64 first.
        exact = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
        centred: NDArray[Any] = np.subtract(
            pixels, self.offset.astype(exact)[:, None, None], dtype=exact
        )
        flat = centred.reshape(len(pixels), -1).astype(np.float32, copy=False)
        model = self.forward.astype(np.float32) @ flat
        return model.reshape(-1, *pixels.shape[1:])

    def level(self, variance: NDArray[Any]) -> NDArray[np.float32]:
        """Noise deviation ``(component, row, col)`` in model units of bands whose noise has
        ``variance`` ``(band, row, col)`` in DN squared and is independent from band to band.
        """
        # In float64: squares of DN need not fit into float32.
        flat = variance.reshape(len(variance), -1).astype(np.float64, copy=False)
        level = np.sqrt(np.square(self.forward) @ flat).astype(np.float32)
        return level.reshape(-1, *variance.shape[1:])

    def to_native(self, residual: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(component, row, col)`` residual in model units to ``(band, row, col)`` in DN."""
        native = self.inverse.astype(np.float32) @ residual.reshape(len(residual), -1)
        return native.reshape(-1, *residual.shape[1:])


def _fix_signs(vectors: Floats) -> Floats:
    """An eigenvector's sign is arbitrary: make its largest entry positive, on every machine."""
    if not vectors.size:
        return vectors
    largest = np.abs(vectors).argmax(axis=0)
    return vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])
