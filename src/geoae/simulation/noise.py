"""Noise of detectors and of coherent imaging."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from geoae.simulation.parameters import PerBand, per_band, require
from geoae.types import Floats

__all__ = [
    "ClippedGaussian",
    "Gaussian",
    "PoissonGaussian",
    "Quantisation",
    "Speckle",
    "refuse_negative",
]

# dB of a factor e in power.
DECIBEL = 10 / np.log(10)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Additive white Gaussian noise: ``y = x + sigma * n`` with ``n ~ N(0, 1)``.

    Bias 0, variance ``sigma**2`` for every signal: the read-out noise of a sensor, or the model
    after variance stabilisation (Foi et al., IEEE TIP 17(10), 2008, with gain 0). Bands may share a
    part of it, as after a correction that subtracts one band from others.
    """

    sigma: PerBand
    """Standard deviation in DN, one for all bands or one for each."""
    between: float = 0.0
    """Correlation of the noise of any two bands."""

    def __post_init__(self) -> None:
        refuse_negative("sigma", self.sigma)
        require("between", self.between, 0 <= self.between <= 1, "give a number between 0 and 1")

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return noisy ``pixels`` ``(band, row, col)``."""
        noise = rng.standard_normal(pixels.shape)
        if self.between:
            shared = rng.standard_normal(pixels.shape[1:])
            noise = np.sqrt(1 - self.between) * noise + np.sqrt(self.between) * shared
        return pixels + per_band("sigma", self.sigma, pixels) * noise

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the signal itself, and ``sigma**2`` everywhere."""
        sigma = per_band("sigma", self.sigma, pixels)
        return pixels, np.broadcast_to(sigma**2, pixels.shape)


@dataclass(frozen=True, slots=True)
class ClippedGaussian:
    """Gaussian noise of a sensor that has a lowest and a highest value: ``y = min(max(x + sigma *
    n, low), high)`` with ``n ~ N(0, 1)``.

    Foi, "Clipped noisy images: heteroskedastic modeling and practical denoising", Signal Processing
    89(12), 2009. Mean and variance are those of a censored normal distribution.
    """

    sigma: PerBand
    """Standard deviation in DN before clipping, one for all bands or one for each."""
    low: PerBand = 0.0
    """Lowest value in DN, one for all bands or one for each."""
    high: PerBand = 65535.0
    """Highest value in DN, one for all bands or one for each."""

    def __post_init__(self) -> None:
        refuse_negative("sigma", self.sigma)
        fits = np.all(np.asarray(self.low) < np.asarray(self.high))
        require("low", self.low, fits, f"give less than high = {self.high}")

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return noisy ``pixels`` ``(band, row, col)``."""
        low, high = per_band("low", self.low, pixels), per_band("high", self.high, pixels)
        sigma = per_band("sigma", self.sigma, pixels)
        return np.clip(pixels + sigma * rng.standard_normal(pixels.shape), low, high)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the variance given above."""
        low, high = per_band("low", self.low, pixels), per_band("high", self.high, pixels)
        sigma = np.maximum(per_band("sigma", self.sigma, pixels), 1e-12)
        # About the nearest value between the limits, or large signals would cancel.
        centre = np.clip(pixels, low, high)
        lower, upper = (low - pixels) / sigma, (high - pixels) / sigma
        below, above = special.ndtr(lower), special.ndtr(-upper)
        inside, shift = 1 - below - above, pixels - centre
        at_lower, at_upper = (
            np.exp(-0.5 * limit**2) / np.sqrt(2 * np.pi) for limit in (lower, upper)
        )
        slope = sigma * (at_lower - at_upper)
        mean = shift * inside + slope + (low - centre) * below + (high - centre) * above
        square = (
            shift**2 * inside
            + 2 * shift * slope
            + sigma**2 * (inside + lower * at_lower - upper * at_upper)
            + (low - centre) ** 2 * below
            + (high - centre) ** 2 * above
        )
        return centre + mean, np.maximum(square - mean**2, 0.0)


@dataclass(frozen=True, slots=True)
class PoissonGaussian:
    """Shot and read-out noise: ``y = x + sqrt(gain * max(x, 0) + sigma**2) * n``, ``n ~ N(0, 1)``.

    Bias 0, variance ``gain * max(x, 0) + sigma**2``. Foi, Trimeche, Katkovnik and Egiazarian,
    "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE TIP
    17(10), 2008: their heteroskedastic normal approximation of the Poisson part, with ``a = gain``
    and ``b = sigma**2``.
    """

    gain: PerBand
    """DN per electron, one for all bands or one for each."""
    sigma: PerBand
    """Standard deviation of the read-out noise in DN, one for all bands or one for each."""

    def __post_init__(self) -> None:
        refuse_negative("gain", self.gain)
        refuse_negative("sigma", self.sigma)

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return noisy ``pixels`` ``(band, row, col)``."""
        mean, variance = self.moments(pixels)
        return mean + np.sqrt(variance) * rng.standard_normal(pixels.shape)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the signal itself, and the variance given above."""
        gain, sigma = per_band("gain", self.gain, pixels), per_band("sigma", self.sigma, pixels)
        return pixels, gain * np.maximum(pixels, 0.0) + sigma**2


@dataclass(frozen=True, slots=True)
class Speckle:
    """Multiplicative speckle of multi-look intensity: ``y = x * u`` with ``u ~ Gamma(looks, 1 /
    looks)``.

    Bias 0, variance ``x**2 / looks`` (Goodman, J. Opt. Soc. Am. 66(11), 1976). With ``decibel`` the
    pixels are in dB and speckle is additive, ``y = x + 10 log10 u``: bias ``10 / ln 10 *
    (psi(looks) - ln looks)``, variance ``(10 / ln 10)**2 * psi_1(looks)`` for every signal (psi,
    psi_1: digamma and trigamma; Xie, Pierce and Ulaby, IEEE TGRS 40(3), 2002).
    """

    looks: float
    """Number of looks, more than 0."""
    decibel: bool = False
    """Whether pixels are in dB."""

    def __post_init__(self) -> None:
        require(
            "looks",
            self.looks,
            self.looks > 0,
            "give more than 0, like 4 for multi-looked intensity",
        )

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return speckled ``pixels`` ``(band, row, col)``."""
        factor = rng.gamma(self.looks, 1 / self.looks, pixels.shape)
        return pixels + DECIBEL * np.log(factor) if self.decibel else pixels * factor

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the variance given above."""
        if not self.decibel:
            return pixels, pixels**2 / self.looks
        bias = DECIBEL * (special.digamma(self.looks) - np.log(self.looks))
        return pixels + bias, np.full(pixels.shape, DECIBEL**2 * special.polygamma(1, self.looks))


@dataclass(frozen=True, slots=True)
class Quantisation:
    """Rounding to steps: ``y = step * round(x / step)``.

    Deterministic. Over values spread across many steps the error is uniform, of variance ``step**2
    / 12`` (Bennett, Bell System Technical Journal 27(3), 1948).
    """

    step: PerBand
    """Step in DN, more than 0, one for all bands or one for each."""

    def __post_init__(self) -> None:
        require("step", self.step, np.all(np.asarray(self.step) > 0), "give more than 0, in DN")

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return rounded ``pixels`` ``(band, row, col)``."""
        step = per_band("step", self.step, pixels)
        return step * np.round(pixels / step)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the rounded signal and a variance of 0: the result is not random."""
        return self(pixels, np.random.default_rng(0)), np.zeros(pixels.shape)


def refuse_negative(name: str, value: PerBand) -> None:
    """Refuse a parameter that is negative or NaN.

    Args:
        name: its name, for the message.
        value: its value, or one value for each band, in DN.

    Raises:
        RecipeError: a value is negative or NaN.

    """
    require(
        name,
        value,
        np.all(np.asarray(value) >= 0.0),
        "noise cannot be negative; give 0 or more, in DN",
    )
