"""Sharpening: the blur of the sensor undone, where the user asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy import ndimage

from geoae.corrections.correction import ROUNDING, as_float
from geoae.diagnosis.findings.blur import measure_all_edges
from geoae.diagnosis.noise.level import noise_model
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import InputError
from geoae.radiometry.resampling import LAG
from geoae.radiometry.sharpness import (
    HIGHEST_MTF,
    LOWEST_MTF,
    RADIUS,
    design_kernel,
    filter_noise,
    largest_gain,
)
from geoae.system.wording import name_range
from geoae.tiling.window import Window
from geoae.types import Floats, Mask, Pixels, Samples

__all__ = ["AskedTransfer", "Sharpening", "plan_sharpening"]

# What the user asks for: the modulation transfer at Nyquist, or to measure it.
AskedTransfer = float | Literal["auto"]

# Of each two opposite places in the kernel, one: rows and columns from its middle.
HALF_PLANE = [
    (row, col)
    for row in range(RADIUS + 1)
    for col in range(-RADIUS, RADIUS + 1)
    if (row, col) > (0, 0)
]


@dataclass(frozen=True, slots=True)
class Sharpening:
    """A filter that undoes a Gaussian blur, the same for all bands; a ``Correction``."""

    mtf: float
    """Modulation transfer at the Nyquist frequency that is undone."""
    measured: bool = False
    """Whether that was measured at edges."""

    @property
    def halo(self) -> int:
        """Distance in pixels beyond which an input pixel does not change an output pixel."""
        return RADIUS

    def describe(self, bands: Sequence[int]) -> str:
        """Say in one line what is corrected and why; all bands are."""
        why = "measured at the sharpest edges" if self.measured else "as given"
        kernel = design_kernel(self.mtf)
        return (
            f"sharpening: a modulation transfer of {self.mtf:.2g} at the Nyquist frequency, {why},"
            f" is undone; fine detail grows up to {largest_gain(kernel):.1f} times"
        )

    def apply(self, pixels: Pixels, mask: Mask | None, window: Window) -> Pixels:
        """Sharpen one window; arguments and result as for ``Correction.apply``.

        Near invalid pixels and near the border of the window only pairs of pixels on opposite
        sides count of which both are valid: so a slope stays what it is.
        """
        inside = np.ones(pixels.shape, bool) if mask is None else mask
        kernel, sharp = design_kernel(self.mtf), np.empty_like(pixels)
        for band, (values, valid) in enumerate(zip(pixels, inside, strict=True)):
            around = np.pad(np.where(valid, values, 0), RADIUS)
            known = np.pad(valid, RADIUS)
            inner = (slice(RADIUS, -RADIUS),) * 2
            sharp[band] = ndimage.correlate(around, kernel)[inner]
            near = valid & ~ndimage.minimum_filter(known, len(kernel))[inner]
            sharp[band][near] = _sharpen_pairs(around, known, near, kernel)
            sharp[band][~valid] = values[~valid]
        return sharp

    def doubt(self, samples: Samples, source: str) -> list[str]:
        """Say where the edges of a scene show another blur than is given: one line, or none.

        Args:
            samples: pairs of pixels in DN and mask ``(band, row, col)`` before.
            source: name of the scene.

        """
        edges = [] if self.measured else measure_all_edges(samples)
        if not edges:
            return []
        low = min(band.mtf_range[0] for band in edges)
        high = max(band.mtf_range[1] for band in edges)
        if low <= self.mtf <= high:
            return []
        return [
            f"{source}: its sharpest edges show a modulation transfer of"
            f" {name_range([low, high], '.2g')} at the Nyquist frequency, not {self.mtf:.2g}"
            " as given with --sharpen; a value that is too low leaves rings, and ground without"
            " sharp edges looks softer than the sensor"
        ]

    def tell(
        self, facts: SceneStatistics, samples: Samples, dtype: np.dtype[Any], *, given: bool
    ) -> SceneStatistics:
        """Compute the statistics of a scene after sharpening, as the network is told them.

        Level, growth and correlation of the noise follow from those before by the kernel. A band
        of which the noise cannot be told from texture gets the lower limit of its noise, and one
        of integers at least the error of rounding: both are amplified with the detail.

        Args:
            facts: statistics of the sample before.
            samples: pairs of pixels in DN and mask ``(band, row, col)`` before.
            dtype: type of the pixels in the file.
            given: whether the level of the noise is the user's.

        """
        floor = ROUNDING if np.issubdtype(dtype, np.integer) else 0.0
        sigma = facts.sigma
        if not given and not sigma.all():
            sigma = np.where(sigma > 0, sigma, noise_model(samples)[0])
        correlation = facts.correlation
        if correlation is None:
            correlation = np.zeros((len(sigma), 2 * LAG + 1, 2 * LAG + 1))
            correlation[:, LAG, LAG] = 1.0
        growth, correlation = filter_noise(correlation, design_kernel(self.mtf))
        sharp = [
            (self.apply(as_float(pixels), mask, Window(0, 0, *pixels.shape[1:])), mask)
            for pixels, mask in samples
        ]
        return replace(
            facts.move_to(sharp),
            sigma=np.maximum(sigma, floor) * np.sqrt(growth),
            slope=facts.slope * growth,
            correlation=correlation,
        )


def plan_sharpening(asked: AskedTransfer, samples: Samples, source: str) -> Sharpening:
    """Decide how a scene is sharpened.

    Args:
        asked: modulation transfer at the Nyquist frequency, or "auto" to measure it: the median of
            the bands.
        samples: pairs of pixels in DN and mask ``(band, row, col)``, after all other corrections.
        source: name of the scene, for messages.

    Raises:
        InputError: it cannot be measured, or there is no blur to undo.

    """
    if asked != "auto":
        return Sharpening(asked)
    found = [edges.mtf for edges in measure_all_edges(samples)]
    if not found:
        raise InputError(
            f"{source}: has too few clean edges to measure its blur; give the modulation transfer"
            " at the Nyquist frequency, as in --sharpen 0.2, or leave --sharpen out"
        )
    mtf = float(np.median(found))
    if mtf > HIGHEST_MTF:
        raise InputError(
            f"{source}: its sharpest edges show no blur (modulation transfer of {mtf:.2g} at the"
            " Nyquist frequency); leave --sharpen out"
        )
    if mtf < LOWEST_MTF:
        raise InputError(
            f"{source}: its sharpest edges are so soft (modulation transfer of {mtf:.2g} at the"
            " Nyquist frequency) that they may not be the sensor's; give the modulation transfer,"
            " as in --sharpen 0.1, or leave --sharpen out"
        )
    return Sharpening(round(mtf, 2), measured=True)


def _sharpen_pairs(around: Pixels, inside: Mask, where: Mask, kernel: Floats) -> Pixels:
    """Sharpen pixels that have invalid ones within the kernel.

    Args:
        around: pixels ``(row, col)`` with ``RADIUS`` more on each side than ``where``.
        inside: which of them are valid.
        where: pixels to sharpen.
        kernel: symmetric taps that add up to 1.

    Returns:
        The pixels ``where``, ``(pixel,)``.

    """
    rows, cols = (place + RADIUS for place in np.nonzero(where))
    middle = around[rows, cols].astype(np.float64)
    sharp = middle.copy()
    for row, col in HALF_PLANE:
        one, other = (rows + row, cols + col), (rows - row, cols - col)
        change = around[one] - 2 * middle + around[other]
        sharp += kernel[RADIUS + row, RADIUS + col] * np.where(
            inside[one] & inside[other], change, 0.0
        )
    return sharp.astype(around.dtype)
