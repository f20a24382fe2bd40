"""Faults of scanners: stripes tilted against the grid, and bursts of noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoae.simulation.detector import Axis, across_axis, check_axis, check_share, spread_lines
from geoae.simulation.parameters import PerBand, per_band, require
from geoae.types import Floats

__all__ = ["Bursts", "TiltedStripes"]

STEEPEST = 45.0


@dataclass(frozen=True, slots=True)
class TiltedStripes:
    """Stripes that run at an angle, as in scenes that have been rotated to north.

    The detector of a pixel is that of its position across the lines, rounded; else as ``Stripes``:
    bias 0, variance ``sigma**2 + (gain * x)**2``, the same realisation along each line.
    """

    sigma: PerBand
    """Standard deviation of the offset in DN, one for all bands or one for each."""
    angle: float
    """Tilt against the axis in degrees, below 45; positive towards higher columns or rows."""
    gain: PerBand = 0.0
    """Standard deviation of the relative gain, one for all bands or one for each."""
    axis: Axis = "row"
    """Direction from which the tilt is measured."""
    detectors: int | None = None
    """Number of detectors, after which the pattern repeats; by default one for each line."""

    def __post_init__(self) -> None:
        for name in ("sigma", "gain"):
            value = getattr(self, name)
            fits = np.all(np.asarray(value) >= 0)
            require(name, value, fits, "a deviation cannot be negative; give 0 or more")
        check_axis(self.axis)
        require("angle", self.angle, abs(self.angle) < STEEPEST, "give less than 45 degrees")
        some = self.detectors is None or self.detectors > 0
        require("detectors", self.detectors, some, "give 1 or more")

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return striped ``pixels`` ``(band, row, col)``."""
        numbers = self.number_detectors(pixels)
        detectors = self.detectors or int(numbers.max()) + 1
        offset, gain = (
            rng.standard_normal((len(pixels), detectors))[:, numbers] for _ in ("offset", "gain")
        )
        sigma, spread = per_band("sigma", self.sigma, pixels), per_band("gain", self.gain, pixels)
        return pixels + spread * gain * pixels + sigma * offset

    def number_detectors(self, pixels: Floats) -> NDArray[np.intp]:
        """Return the number of each pixel's detector, from 0 on, ``(row, col)``."""
        rows, cols = np.indices(pixels.shape[1:])
        along, across = (rows, cols) if self.axis == "column" else (cols, rows)
        lines = across - np.rint(np.tan(np.radians(self.angle)) * along).astype(np.intp)
        lines -= lines.min()
        numbers: NDArray[np.intp] = lines % (self.detectors or lines.max() + 1)
        return numbers

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the signal itself, and the variance given above."""
        sigma, gain = per_band("sigma", self.sigma, pixels), per_band("gain", self.gain, pixels)
        return pixels, sigma**2 + (gain * pixels) ** 2


@dataclass(frozen=True, slots=True)
class Bursts:
    """Lines that are noisier than others: interference that lasts for a line.

    Each line of a band has white noise of deviation ``sigma`` with probability ``share``. Bias 0,
    variance ``share * sigma**2``.
    """

    share: float
    """Probability that a line is noisy."""
    sigma: PerBand
    """Standard deviation of its noise in DN, one for all bands or one for each."""
    axis: Axis = "row"
    """Direction of the lines."""

    def __post_init__(self) -> None:
        check_share(self.share)
        check_axis(self.axis)
        fits = np.all(np.asarray(self.sigma) >= 0)
        require("sigma", self.sigma, fits, "noise cannot be negative; give 0 or more, in DN")

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return ``pixels`` ``(band, row, col)`` with noisy lines."""
        lines = (len(pixels), pixels.shape[across_axis(self.axis)])
        noisy = spread_lines(self.axis, rng.random(lines) < self.share)
        noise = per_band("sigma", self.sigma, pixels) * rng.standard_normal(pixels.shape)
        return pixels + noisy * noise

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the signal itself, and the variance given above."""
        variance = self.share * per_band("sigma", self.sigma, pixels) ** 2
        return pixels, np.broadcast_to(variance, pixels.shape)
