"""Noise that resampling and filters have left correlated, along one axis of a scene."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geoae.types import Floats

__all__ = ["LAG", "Resampling", "weigh_cubic"]

# Largest lag of an autocovariance, in pixels.
LAG = 4
# Pixels over which the noise of a grid that does not coincide with the pixels is averaged.
AVERAGED = 128


@dataclass(frozen=True, slots=True)
class Resampling:
    """White noise of a grid, interpolated at the pixels and then filtered, with variance 1.

    The defaults leave white noise white. Two of these, one for the rows and one for the columns,
    describe the noise of many products: sub-pixel shifts (``phase``), coarse detectors on a finer
    grid (``pitch``), binning, blur and sharpening (``taps``).
    """

    pitch: float = 1.0
    """Distance between the points of the grid, in pixels, 1 or more."""
    phase: float = 0.0
    """Position of the first pixel, in points of the grid, 0 or more."""
    cubic: bool = False
    """Cubic convolution (Keys, IEEE TASSP 29(6), 1981, a = -1/2); otherwise linear."""
    taps: tuple[float, ...] = (1.0,)
    """Weights of neighbouring pixels in the filter that follows."""

    def points(self, length: int) -> int:
        """Return the number of grid points that ``length`` pixels need."""
        return int(self._positions(length)[-1]) + 4

    def __call__(self, noise: NDArray[np.float64], length: int, axis: int) -> Floats:
        """Resample noise along an axis.

        Args:
            noise: white noise of variance 1, with ``points(length)`` entries along ``axis``.
            length: pixels of the result along ``axis``.
            axis: the axis.

        Returns:
            Noise whose variance, averaged over the positions on the grid, is 1.

        """
        deviation = np.sqrt(_covariance(self)[0])
        resampled = self._apply(np.moveaxis(noise, axis, 0), length) / deviation
        return np.moveaxis(resampled, 0, axis)

    def weigh_points(self, length: int) -> Floats:
        """Return the weight of each point of the grid in each pixel, ``(length, points)``.

        Args:
            length: pixels.

        """
        return self(np.eye(self.points(length)), length, 0)

    def correlation(self) -> Floats:
        """Return the normalised autocovariance at lags ``-LAG..LAG``, ``(2 LAG + 1,)``.

        It is the mean over the positions of the pixels on the grid.
        """
        half = _covariance(self)
        return np.concatenate([half[:0:-1], half]) / half[0]

    def _positions(self, length: int) -> Floats:
        return self.phase + np.arange(length + len(self.taps) - 1) / self.pitch

    def _apply(self, noise: Floats, length: int) -> Floats:
        """Resample along the first axis, without the scale."""
        positions = self._positions(length)
        first = np.floor(positions).astype(np.intp)
        # Entry k of ``noise`` is the point k - 1, so that the first pixel has a point before it.
        distance = np.arange(-1, 3)[:, None] - (positions - first)
        weights = weigh_cubic(distance) if self.cubic else np.maximum(1 - np.abs(distance), 0.0)
        tail = (1,) * (noise.ndim - 1)
        fine = sum(
            weights[k].reshape(-1, *tail) * noise[first + k] for k in range(4) if weights[k].any()
        )
        assert isinstance(fine, np.ndarray)
        if self.taps == (1.0,):
            return fine
        return np.asarray(sum(tap * fine[k : k + length] for k, tap in enumerate(self.taps)))

    def _response(self) -> Floats:
        """Return the weight of each point in each of ``AVERAGED`` pixels, ``(pixel, point)``."""
        return self._apply(np.eye(self.points(AVERAGED)), AVERAGED)


def weigh_cubic(t: Floats) -> Floats:
    """Return the weights of cubic convolution with a = -1/2 at distances ``t`` in pixels.

    Keys, IEEE TASSP 29(6), 1981.
    """
    t = np.abs(t)
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


@lru_cache(maxsize=256)
def _covariance(resampling: Resampling) -> Floats:
    """Return the autocovariance at lags 0 to ``LAG``, without the scale."""
    response = resampling._response()
    products = response @ response.T
    return np.array([np.diagonal(products, lag).mean() for lag in range(LAG + 1)])
