"""Lines that are noisier than those around them: how much noise each of them has."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from geoae.corrections.correction import Strips
from geoae.corrections.lines import Axis, orient
from geoae.tiling.window import Window
from geoae.types import Floats, Mask, Pixels

__all__ = ["Bursts", "find_bursts"]

# Lines around a line to which it is compared.
AROUND = 17
# A burst is so many robust deviations noisier, and by this factor at least.
FAR, FACTOR = 10.0, 1.3
# Lines with less than this part of the usual number of pixels tell nothing.
LEAST = 0.25
# Share of a band's lines beyond which noise that changes from line to line is no burst.
MOST = 0.2
# Mean absolute difference of two normal numbers of deviation 1.
MEAN_DIFFERENCE = 2 / np.sqrt(np.pi)
NORMAL_MAD = 0.6745


@dataclass(frozen=True, eq=False, slots=True)
class Bursts:
    """The noise that single lines have beyond that of the scene."""

    axis: Axis
    """Direction of the lines."""
    sigma: Floats
    """Standard deviation of the additional noise in DN, ``(band, line)``; mostly 0."""

    def level(self, window: Window) -> Floats:
        """Return the additional noise of a window in DN, ``(band, height, width)``."""
        start, size = (
            (window.col, window.width) if self.axis == "column" else (window.row, window.height)
        )
        lines = self.sigma[:, start : start + size]
        shape = (len(lines), window.height, window.width)
        return np.broadcast_to(orient(self.axis, lines[:, None, :]), shape)

    def describe(self) -> str:
        """Say in one line what was found."""
        noisy = self.sigma > 0
        return (
            f"bursts of noise in {noisy.sum()} {self.axis}s of {noisy.any(axis=1).sum()} bands:"
            f" {self.sigma[noisy].min():.3g} to {self.sigma[noisy].max():.3g} DN more than around"
        )


def find_bursts(strips: Strips, height: int, width: int) -> tuple[Bursts, ...]:
    """Find noisy lines in one pass over a scene, in memory for sums per line.

    A line's noise shows in the differences along it. Other bands and the lines around tell what is
    the scene's.

    Args:
        strips: starts the pass.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        At most one for rows and one for columns.

    """
    rows, cols = _Differences.none(), _Differences.none()
    for strip in strips():
        pixels, valid = strip.pixels[:, strip.shared :], strip.valid[:, strip.shared :]
        if rows.total.size == 0:
            rows, cols = (_Differences.of(len(pixels), size) for size in (height, width))
        first = strip.row + strip.shared
        rows.add(orient("row", pixels), orient("row", valid), first)
        cols.add(pixels, valid, 0)
    found = []
    for axis, sums in (("row", rows), ("column", cols)):
        sigma = sums.excess() if sums.total.size else np.zeros((0, 0))
        if sigma.any():
            found.append(Bursts("row" if axis == "row" else "column", sigma))
    return tuple(found)


@dataclass(eq=False)
class _Differences:
    """Absolute differences of neighbours along lines."""

    total: Floats
    """Their sums in DN, ``(band, line)``."""
    count: Floats
    """Their numbers."""

    @classmethod
    def none(cls) -> "_Differences":
        return cls.of(0, 0)

    @classmethod
    def of(cls, bands: int, lines: int) -> "_Differences":
        return cls(np.zeros((bands, lines)), np.zeros((bands, lines)))

    def add(self, pixels: Pixels, valid: Mask, first: int) -> None:
        """Add ``pixels`` (band, along, across) whose first line has the number ``first``."""
        both = valid[:, 1:] & valid[:, :-1]
        values = np.where(valid, pixels, 0).astype(np.float64)
        lines = slice(first, first + pixels.shape[2])
        self.total[:, lines] += (np.abs(np.diff(values, axis=1)) * both).sum(axis=1)
        self.count[:, lines] += both.sum(axis=1)

    def excess(self) -> Floats:
        """Return the noise of each line beyond that around it in DN; 0 where there is none."""
        mean = self.total / np.maximum(self.count, 1)
        usual = ndimage.median_filter(mean, (1, AROUND), mode="nearest")
        ratio = np.log(np.maximum(mean, 1e-30) / np.maximum(usual, 1e-30))
        few = self.count < LEAST * np.median(self.count, axis=1, keepdims=True)
        ratio[few | (mean <= 0) | (usual <= 0)] = 0
        if len(ratio) > 1:
            # What all bands have is the scene's.
            ratio = ratio - np.clip(np.median(ratio, axis=0), 0, None)
        spread = np.median(np.abs(ratio), axis=1, keepdims=True) / NORMAL_MAD
        noisy = ratio > np.maximum(FAR * spread, np.log(FACTOR))
        noisy &= noisy.mean(axis=1, keepdims=True) <= MOST
        variance = np.square(mean / MEAN_DIFFERENCE) - np.square(usual / MEAN_DIFFERENCE)
        return np.where(noisy, np.sqrt(np.maximum(variance, 0)), 0)
