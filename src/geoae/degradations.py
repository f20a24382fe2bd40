"""Known damage for clean scenes: what demo and tests add before a model takes it away.

A new one is a frozen data class here and a line in ``DEGRADATIONS``.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoae.errors import RecipeError

__all__ = ["DEGRADATIONS", "Degradation", "Gaussian", "PoissonGaussian"]

Floats = NDArray[np.float64]
PerBand = float | tuple[float, ...]


class Degradation(Protocol):
    """``(band, row, col)`` float64 in DN to the same, one random draw of ``rng`` a call."""

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Degraded ``pixels``, which stay as they were; raises ``RecipeError``."""
        ...

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of the result for each of ``pixels``: what the contract test holds it to."""
        ...


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Additive white Gaussian noise: ``y = x + sigma * n`` with ``n ~ N(0, 1)``.

    Bias 0, variance ``sigma**2`` whatever the signal: the read-out noise of a sensor, or the model
    after variance stabilisation (Foi et al., IEEE TIP 17(10), 2008, with gain 0). ``sigma``: DN, one
    for all bands or one for each.
    """

    sigma: PerBand

    def __post_init__(self) -> None:
        _refuse_negative("sigma", self.sigma)

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Noisy ``pixels``."""
        return pixels + _per_band("sigma", self.sigma, pixels) * rng.standard_normal(pixels.shape)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """The signal itself, and ``sigma**2`` everywhere."""
        sigma = _per_band("sigma", self.sigma, pixels)
        return pixels, np.broadcast_to(sigma**2, pixels.shape)


@dataclass(frozen=True, slots=True)
class PoissonGaussian:
    """Shot and read-out noise: ``y = x + sqrt(gain * max(x, 0) + sigma**2) * n``, ``n ~ N(0, 1)``.

    Bias 0, variance ``gain * max(x, 0) + sigma**2``. Foi, Trimeche, Katkovnik and Egiazarian,
    "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE TIP
    17(10), 2008: their heteroskedastic normal approximation of the Poisson part, with ``a = gain``
    and ``b = sigma**2``. ``gain``: DN per electron; ``sigma``: DN; one for all bands or one for each.
    """

    gain: PerBand
    sigma: PerBand

    def __post_init__(self) -> None:
        _refuse_negative("gain", self.gain)
        _refuse_negative("sigma", self.sigma)

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Noisy ``pixels``."""
        mean, variance = self.moments(pixels)
        return mean + np.sqrt(variance) * rng.standard_normal(pixels.shape)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """The signal itself, and the variance above."""
        gain, sigma = _per_band("gain", self.gain, pixels), _per_band("sigma", self.sigma, pixels)
        return pixels, gain * np.maximum(pixels, 0.0) + sigma**2


DEGRADATIONS: dict[str, type[Gaussian] | type[PoissonGaussian]] = {
    "gaussian": Gaussian,
    "poisson-gaussian": PoissonGaussian,
}


def _refuse_negative(name: str, value: PerBand) -> None:
    if not np.all(np.asarray(value) >= 0.0):
        raise RecipeError(f"{name} = {value}: noise cannot be negative; give 0 or more, in DN")


def _per_band(name: str, value: PerBand, pixels: Floats) -> Floats:
    """``value`` shaped to meet ``(band, row, col)``."""
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    if len(values) not in (1, len(pixels)):
        raise RecipeError(
            f"{name} = {value}: {len(values)} values for {len(pixels)} bands; give one, or one for each band"
        )
    return values[:, None, None]
