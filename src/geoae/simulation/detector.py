"""Faults of single detectors: stripes, dead lines, dead pixels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geoae.simulation.parameters import PerBand, per_band, require
from geoae.types import Floats

__all__ = [
    "Axis",
    "DeadLines",
    "DeadPixels",
    "Stripes",
    "across_axis",
    "check_axis",
    "check_share",
    "spread_lines",
]

Axis = Literal["column", "row"]


@dataclass(frozen=True, slots=True)
class Stripes:
    """Detectors of unequal response: ``y = (1 + g_d) x + o_d``, ``g_d ~ N(0, gain**2)``, ``o_d ~
    N(0, sigma**2)``.

    The linear response of push-broom detectors (Carfantan and Idier, IEEE TGRS 48(4), 2010). Bias
    0, variance ``sigma**2 + (gain * x)**2``, the same realisation along each line.
    """

    sigma: PerBand
    """Standard deviation of the offset in DN, one for all bands or one for each."""
    gain: PerBand = 0.0
    """Standard deviation of the relative gain, one for all bands or one for each."""
    axis: Axis = "column"
    """Lines that share a detector: columns of a push-broom or rows of a whisk-broom scanner."""
    detectors: int | None = None
    """Number of detectors, after which the pattern repeats (16 for Landsat's scanner); by default
    one for each line.
    """

    def __post_init__(self) -> None:
        for name in ("sigma", "gain"):
            value = getattr(self, name)
            require(
                name,
                value,
                np.all(np.asarray(value) >= 0),
                "a deviation cannot be negative; give 0 or more",
            )
        check_axis(self.axis)
        require(
            "detectors",
            self.detectors,
            self.detectors is None or self.detectors > 0,
            "give 1 or more",
        )

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return striped ``pixels`` ``(band, row, col)``."""
        lines = pixels.shape[across_axis(self.axis)]
        number = self.detectors or lines
        of_line = np.arange(lines) % number
        offset, gain = (
            spread_lines(self.axis, rng.standard_normal((len(pixels), number))[:, of_line])
            for _ in ("offset", "gain")
        )
        sigma, spread = per_band("sigma", self.sigma, pixels), per_band("gain", self.gain, pixels)
        return pixels + spread * gain * pixels + sigma * offset

    def number_detectors(self, pixels: Floats) -> NDArray[np.intp]:
        """Return the number of each pixel's detector, from 0 on, ``(row, col)``."""
        lines = np.indices(pixels.shape[1:])[across_axis(self.axis) - 1]
        numbers: NDArray[np.intp] = lines % (self.detectors or lines.max() + 1)
        return numbers

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the signal itself, and the variance given above."""
        sigma, gain = per_band("sigma", self.sigma, pixels), per_band("gain", self.gain, pixels)
        return pixels, sigma**2 + (gain * pixels) ** 2


@dataclass(frozen=True, slots=True)
class DeadLines:
    """Lost lines: each line of a band reads ``value`` with probability ``share``.

    Detectors that failed, or packets that were lost (Landsat 7 Science Data Users Handbook, dropped
    lines). Mean ``(1 - share) x + share * value``, variance ``share (1 - share) (x - value)**2``.
    """

    share: float
    """Probability that a line is lost."""
    value: float = 0.0
    """Value of lost lines in DN."""
    axis: Axis = "row"
    """Direction of the lines."""

    def __post_init__(self) -> None:
        check_share(self.share)
        check_axis(self.axis)

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return ``pixels`` ``(band, row, col)`` with lost lines."""
        lines = (len(pixels), pixels.shape[across_axis(self.axis)])
        return np.where(spread_lines(self.axis, rng.random(lines) < self.share), self.value, pixels)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the variance given above."""
        return _loss_moments(pixels, self.share, self.value)


@dataclass(frozen=True, slots=True)
class DeadPixels:
    """Lost pixels (impulse noise): each reads ``value`` with probability ``share``.

    Gonzalez and Woods, Digital Image Processing, section 5.2. Mean and variance as for
    ``DeadLines``.
    """

    share: float
    """Probability that a pixel is lost."""
    value: float = 0.0
    """Value of lost pixels in DN."""

    def __post_init__(self) -> None:
        check_share(self.share)

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return ``pixels`` ``(band, row, col)``, some of them lost."""
        return np.where(rng.random(pixels.shape) < self.share, self.value, pixels)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the variance given at ``DeadLines``."""
        return _loss_moments(pixels, self.share, self.value)


def check_share(share: float) -> None:
    """Raise ``RecipeError`` unless ``share`` is a probability."""
    require("share", share, 0 <= share <= 1, "give a probability between 0 and 1")


def check_axis(axis: str) -> None:
    """Raise ``RecipeError`` unless ``axis`` is known."""
    require("axis", axis, axis in ("column", "row"), "give column or row")


def across_axis(axis: str) -> int:
    """Return the dimension of ``(band, row, col)`` along which lines are counted."""
    return 2 if axis == "column" else 1


def spread_lines(axis: str, lines: np.ndarray) -> np.ndarray:
    """Reshape values of lines so that they broadcast over ``(band, row, col)``.

    Args:
        axis: "row" or "column": what a line is.
        lines: ``(band, line)``.

    """
    return lines[:, None, :] if axis == "column" else lines[:, :, None]


def _loss_moments(pixels: Floats, share: float, value: float) -> tuple[Floats, Floats]:
    return (1 - share) * pixels + share * value, share * (1 - share) * (pixels - value) ** 2
