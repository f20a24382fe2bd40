"""Correlated noise: what resampling, binning, blur or a colour mosaic make of white noise."""

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from geoae.radiometry.resampling import Resampling
from geoae.radiometry.spectrum import KERNELS, correlation_of, to_shape
from geoae.simulation.noise import refuse_negative
from geoae.simulation.parameters import PerBand, per_band, require
from geoae.types import Floats

__all__ = ["RANDOM", "Correlated", "Kernel", "draw_kernel", "draw_noise", "draw_stationary"]

# The name of a kernel that is drawn at random.
RANDOM = "random"
# Largest factor by which a product is finer than its detectors.
FINEST = 3.4

Kernel = tuple[Resampling, Resampling]


@dataclass(frozen=True, slots=True)
class Correlated:
    """Gaussian noise with a spectrum: ``y = x + sqrt(gain * max(x, 0) + sigma**2) * k``.

    ``k`` is white noise that was resampled and filtered, of variance 1. Bias 0, variance ``gain *
    max(x, 0) + sigma**2``, averaged over the positions of pixels on the detectors' grid where the
    kernel has one. Where the noise grows with the signal, this assumes that the signal changes
    little over the kernel.
    """

    sigma: PerBand
    """Standard deviation in DN where the signal is 0, one for all bands or one for each."""
    kernel: str = "bilinear"
    """Key of ``geoae.radiometry.spectrum.KERNELS``, or random."""
    seed: PerBand = 0.0
    """Seed of a random kernel, one for all bands or one for each."""
    gain: PerBand = 0.0
    """DN per electron, one for all bands or one for each."""

    def __post_init__(self) -> None:
        for name, value in (("sigma", self.sigma), ("gain", self.gain), ("seed", self.seed)):
            refuse_negative(name, value)
        known = [*KERNELS, RANDOM]
        near = get_close_matches(self.kernel, known, 1)
        cure = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        require("kernel", self.kernel, self.kernel in known, cure)

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return noisy ``pixels`` ``(band, row, col)``."""
        mean, variance = self.moments(pixels)
        height, width = pixels.shape[1:]
        noise = [draw_noise(kernel, height, width, rng) for kernel in self.kernels(len(pixels))]
        return mean + np.sqrt(variance) * np.stack(noise)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the signal itself, and the variance given above."""
        gain, sigma = per_band("gain", self.gain, pixels), per_band("sigma", self.sigma, pixels)
        return pixels, gain * np.maximum(pixels, 0.0) + sigma**2

    def shape(self, bands: int) -> Floats:
        """Return the shape of the noise's spectrum.

        Args:
            bands: number of bands.

        Returns:
            ``(band, 9)``, as ``geoae.radiometry.spectrum.to_shape`` gives it.

        """
        return to_shape(np.array([correlation_of(*kernel) for kernel in self.kernels(bands)]))

    def kernels(self, bands: int) -> list[Kernel]:
        """Return the kernel of each band.

        Args:
            bands: number of bands.

        Returns:
            For each band, what is done along the rows' axis, and along the columns' axis.

        Raises:
            RecipeError: there are seeds for another number of bands.

        """
        seeds = np.broadcast_to(
            per_band("seed", self.seed, np.empty((bands, 1, 1)))[:, 0, 0], bands
        )
        if self.kernel != RANDOM:
            return [KERNELS[self.kernel]] * bands
        drawn = {seed: draw_kernel(np.random.default_rng(int(seed))) for seed in set(seeds)}
        return [drawn[seed] for seed in seeds]


def draw_noise(kernel: Kernel, height: int, width: int, rng: np.random.Generator) -> Floats:
    """Draw white noise, resample and filter it.

    Args:
        kernel: what is done along the rows' axis, and along the columns' axis.
        height: rows of the result.
        width: columns of the result.
        rng: source of random numbers.

    Returns:
        Noise of variance 1, ``(height, width)``.

    """
    rows, cols = kernel
    source = rng.standard_normal((rows.points(height), cols.points(width)))
    return cols(rows(source, height, 0), width, 1)


def draw_kernel(rng: np.random.Generator) -> Kernel:
    """Draw the kernel of a product: 40 % white, the rest as products of many kinds have it.

    Args:
        rng: source of random numbers.

    Returns:
        What is done along the rows' axis, and along the columns' axis.

    """
    kind = rng.random()
    if kind < 0.40:
        return Resampling(), Resampling()
    if kind < 0.58:
        return _shift(rng)
    if kind < 0.70:
        return _average_lines(rng)
    if kind < 0.80:
        return _blur(rng)
    if kind < 0.95:
        return _coarse(rng)
    side = -rng.uniform(0, 0.2)
    sharp = Resampling(taps=(side, 1.0, side))
    return sharp, sharp


def _shift(rng: np.random.Generator) -> Kernel:
    """Move by parts of a pixel, along one axis or along both."""
    cubic = rng.random() < 0.25
    rows, cols = (Resampling(phase=phase, cubic=cubic) for phase in rng.uniform(0, 1, 2))
    return (rows, cols) if rng.random() < 0.7 else _turn(rng, rows)


def _average_lines(rng: np.random.Generator) -> Kernel:
    """Average lines, or let a detector remember: along one axis."""
    count = int(rng.integers(2, 5))
    memory = 1.0 if rng.random() < 0.25 else rng.uniform(0.05, 0.7)
    return _turn(rng, Resampling(taps=tuple((memory ** np.arange(count)).tolist())))


def _blur(rng: np.random.Generator) -> Kernel:
    """Blur with a Gaussian of 0.3 to 1.3 px, in half of the cases another along each axis."""
    one, other = rng.uniform(0.3, 1.3, 2)
    rows = _gaussian(one)
    return rows, (_gaussian(other) if rng.random() < 0.5 else rows)


def _coarse(rng: np.random.Generator) -> Kernel:
    """Bring coarse detectors to a finer grid, and sometimes blur or sharpen what results."""
    linear, bayer = rng.random() < 0.3, rng.random() < 0.2
    pitch = 2.0 if bayer else float(np.exp(rng.uniform(0, np.log(FINEST))))
    after = rng.random()
    side = rng.uniform(-0.15, 0.25) if after < 0.4 else 0.0
    taps = (1.0,) if after >= 0.4 else (side, 1.0, side)
    rows, cols = (Resampling(pitch, phase, not linear, taps) for phase in rng.uniform(0, 1, 2))
    return rows, cols


def _turn(rng: np.random.Generator, rows: Resampling) -> Kernel:
    """Leave the other axis white; which of the two it is, is drawn."""
    return (rows, Resampling()) if rng.random() < 0.5 else (Resampling(), rows)


def _gaussian(sigma: float) -> Resampling:
    reach = int(np.ceil(3 * sigma))
    offsets = np.arange(-reach, reach + 1)
    return Resampling(taps=tuple(np.exp(-(offsets**2) / (2 * sigma**2)).tolist()))


def draw_stationary(
    correlation: Floats, height: int, width: int, rng: np.random.Generator
) -> Floats:
    """Draw Gaussian noise of known autocovariance: white noise times the root of its power.

    Args:
        correlation: normalised autocovariance of each band, ``(band, 9, 9)``.
        height: rows of the result.
        width: columns of the result.
        rng: source of random numbers.

    Returns:
        Noise of variance 1, ``(band, height, width)``, independent from band to band.

    """
    reach = correlation.shape[-1] // 2
    lags = np.arange(-reach, reach + 1)
    # On a torus so much larger that opposite borders of the result are not correlated.
    around = np.zeros((len(correlation), height + reach, width + reach))
    around[:, lags[:, None], lags] = correlation
    power = np.maximum(np.fft.fft2(around).real, 0.0)
    power /= power.mean(axis=(1, 2), keepdims=True)
    spectrum = np.fft.fft2(rng.standard_normal(around.shape)) * np.sqrt(power)
    noise: Floats = np.fft.ifft2(spectrum).real[:, :height, :width]
    return noise
