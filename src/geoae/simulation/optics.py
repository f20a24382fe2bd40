"""Effects between ground and detector: blur, low contrast, haze."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from geoae.simulation.parameters import PerBand, per_band, require
from geoae.types import Floats

__all__ = ["Blur", "Haze", "LowContrast"]


@dataclass(frozen=True, slots=True)
class Blur:
    """A sensor's modulation transfer function: the Gaussian with ``mtf`` at the Nyquist frequency.

    ``MTF(f) = mtf ** (2 f)**2``, f in cycles per pixel, along rows and along columns (Aiazzi,
    Alparone, Baronti, Garzelli and Selva, "MTF-tailored multiscale fusion", PE&RS 72(5), 2006). It
    is applied to the cosine transform, since a kernel this narrow, sampled at pixels, would have
    twice the ``mtf`` there. Deterministic; keeps the mean.
    """

    mtf: PerBand
    """MTF at Nyquist, between 0 and 1, exclusive, one for all bands or one for each; 0.3 is
    usual.
    """

    def __post_init__(self) -> None:
        value = np.asarray(self.mtf)
        require(
            "mtf",
            self.mtf,
            np.all((value > 0) & (value < 1)),
            "give the MTF at Nyquist, between 0 and 1",
        )

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return blurred ``pixels`` ``(band, row, col)``; the scene is continued by reflection."""
        # A cosine of index k has k / (2 n) cycles per pixel.
        rows, cols = (np.arange(length) / length for length in pixels.shape[1:])
        passed = per_band("mtf", self.mtf, pixels) ** (rows[:, None] ** 2 + cols**2)
        return fft.idctn(passed * fft.dctn(pixels, axes=(1, 2)), axes=(1, 2))

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the blurred signal and a variance of 0: the result is not random."""
        return self(pixels, np.random.default_rng(0)), np.zeros(pixels.shape)


@dataclass(frozen=True, slots=True)
class LowContrast:
    """Contrast reduced about the band's mean: ``y = m + factor (x - m)``.

    The inverse of a linear contrast stretch (Richards, Remote Sensing Digital Image Analysis,
    chapter 4). Deterministic; keeps the mean.
    """

    factor: PerBand
    """More than 0, at most 1, one for all bands or one for each."""

    def __post_init__(self) -> None:
        value = np.asarray(self.factor)
        require(
            "factor", self.factor, np.all((value > 0) & (value <= 1)), "give more than 0, at most 1"
        )

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return ``pixels`` ``(band, row, col)`` with less contrast."""
        mean = pixels.mean(axis=(1, 2), keepdims=True)
        return mean + per_band("factor", self.factor, pixels) * (pixels - mean)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the signal with less contrast and a variance of 0: the result is not random."""
        return self(pixels, np.random.default_rng(0)), np.zeros(pixels.shape)


@dataclass(frozen=True, slots=True)
class Haze:
    """Thin haze: ``y = t x + (1 - t) airlight`` with transmission ``t = 1 - density * f``.

    Koschmieder's law as He, Sun and Tang use it (CVPR 2009). ``f`` in 0..1 is one smooth wave over
    the scene, the same for all bands, of random direction and phase: mean 1/2, variance 1/8. So the
    result has mean ``x + density (airlight - x) / 2`` and variance ``(density (airlight - x))**2 /
    8``.
    """

    density: PerBand
    """Density in 0..1, one for all bands or one for each; greatest in the blue."""
    airlight: PerBand
    """DN of opaque haze, one for all bands or one for each."""
    wavelength: float = 512.0
    """Length of the wave in pixels."""

    def __post_init__(self) -> None:
        value = np.asarray(self.density)
        require(
            "density", self.density, np.all((value >= 0) & (value <= 1)), "give between 0 and 1"
        )
        require("wavelength", self.wavelength, self.wavelength > 0, "give more than 0, in pixels")

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return hazy ``pixels`` ``(band, row, col)``."""
        heading, phase = rng.uniform(0, 2 * np.pi, 2)
        rows, cols = np.mgrid[: pixels.shape[1], : pixels.shape[2]]
        along = rows * np.sin(heading) + cols * np.cos(heading)
        wave = 0.5 + 0.5 * np.cos(2 * np.pi * along / self.wavelength + phase)
        return pixels + wave * self._veil(pixels)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the variance given above."""
        veil = self._veil(pixels)
        return pixels + veil / 2, veil**2 / 8

    def _veil(self, pixels: Floats) -> Floats:
        """Return what the densest haze adds to each pixel."""
        return per_band("density", self.density, pixels) * (
            per_band("airlight", self.airlight, pixels) - pixels
        )
