"""Degradations that only evaluations need, and what a peer may be told about each."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoae.radiometry.spectrum import KERNELS
from geoae.simulation import (
    Bursts,
    ClippedGaussian,
    DeadLines,
    DeadPixels,
    Gaussian,
    Stripes,
    TiltedStripes,
)
from geoae.simulation.correlated import Kernel, draw_noise
from geoae.types import Floats, Mask

__all__ = ["Knowledge", "Noise", "Pattern", "PerBand", "Step", "learn"]

PerBand = tuple[float, ...]


class Step(Protocol):
    """A degradation of pixels ``(band, row, col)`` in DN, as those of ``geoae.simulation``."""

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return degraded ``pixels``; the input stays unchanged."""
        ...


@dataclass(frozen=True, slots=True)
class Noise:
    """Gaussian noise that was resampled and filtered in any way."""

    sigma: PerBand
    """Standard deviation of each band in DN."""
    kernel: Kernel = KERNELS["white"]
    """What was done along the rows' axis, and along the columns' axis."""

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return noisy ``pixels`` ``(band, row, col)``."""
        height, width = pixels.shape[1:]
        noise = [draw_noise(self.kernel, height, width, rng) for _ in pixels]
        return pixels + np.array(self.sigma)[:, None, None] * np.stack(noise)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Offsets of few detectors, which repeat, of exactly the given deviation and of mean 0.

    The mean of few offsets differs from 0. Nobody could tell it from the scene's brightness, and it
    would outweigh the rest of the error.
    """

    sigma: PerBand
    """Root mean square of each band's offsets over the pixels, in DN."""
    detectors: int
    """Number of detectors."""
    angle: float = 0.0
    """Tilt against the rows in degrees."""

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return striped ``pixels`` ``(band, row, col)``."""
        drawn = self.stripes()(np.zeros(pixels.shape), rng)
        drawn -= drawn.mean(axis=(1, 2), keepdims=True)
        power = np.sqrt(np.square(drawn).mean(axis=(1, 2), keepdims=True))
        return pixels + np.array(self.sigma)[:, None, None] * drawn / power

    def stripes(self) -> TiltedStripes:
        """Return the stripes before they are scaled."""
        return TiltedStripes(1.0, self.angle, detectors=self.detectors)


@dataclass(frozen=True, eq=False, slots=True)
class Knowledge:
    """Everything about a damage that a peer may be told."""

    valid: Mask
    """Which pixels are valid, ``(row, col)``."""
    detectors: NDArray[np.intp] | None = None
    """Number of each pixel's detector, ``(row, col)``; None without stripes."""
    repeats: bool = False
    """Whether detectors come again after some lines."""
    axis: str = "column"
    """Direction of the stripes, column or row, against which they may be tilted."""
    offsets: Floats | None = None
    """Standard deviation of the detectors' errors in DN, ``(band,)``; None without stripes."""
    lost: Mask | None = None
    """Which pixels are lost or lie in a burst, ``(band, row, col)``; None where none is."""
    noise: Floats | None = None
    """Standard deviation of the noise in DN, ``(band,)``; None without noise."""
    kernel: Kernel = KERNELS["white"]
    """How the noise was resampled, along the rows' axis and along the columns' axis."""


def learn(known: Knowledge, step: Step, before: Floats, after: Floats) -> Knowledge:
    """Add what there is to know about one more step.

    Args:
        known: what is known about the steps before.
        step: the step.
        before: pixels before it, ``(band, row, col)`` in DN.
        after: pixels after it.

    Returns:
        What is known now.

    """
    if isinstance(step, DeadLines | DeadPixels | Bursts):
        changed = (after != before) & known.valid
        return replace(known, lost=changed if known.lost is None else known.lost | changed)
    if isinstance(step, Stripes | Pattern):
        stripes = step.stripes() if isinstance(step, Pattern) else step
        return replace(
            known,
            detectors=stripes.number_detectors(before),
            repeats=stripes.detectors is not None,
            axis=stripes.axis,
            offsets=np.sqrt(np.square(after - before).mean(axis=(1, 2))),
        )
    if isinstance(step, Noise):
        return replace(known, noise=np.array(step.sigma), kernel=step.kernel)
    if isinstance(step, ClippedGaussian | Gaussian):
        return replace(known, noise=np.array(step.sigma))
    return known
