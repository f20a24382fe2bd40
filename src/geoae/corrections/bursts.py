"""Lines that are noisier than those around them: how much noise each of them has."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoae.corrections.correction import Strip
from geoae.corrections.lines import Axis, orient
from geoae.types import Array, Floats, Mask

__all__ = ["BurstSums", "Bursts"]

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

    def level(self, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Floats:
        """Return the additional noise of pixels in DN, ``(band, row, col)``.

        Args:
            rows: their rows in the scene.
            cols: their columns.

        """
        lines = self.sigma[:, cols if self.axis == "column" else rows]
        shape = (len(lines), len(rows), len(cols))
        return np.broadcast_to(orient(self.axis, lines[:, None, :]), shape)

    def describe(self) -> str:
        """Say in one line what was found."""
        noisy = self.sigma > 0
        return (
            f"bursts of noise in {noisy.sum()} {self.axis}s of {noisy.any(axis=1).sum()} bands:"
            f" {self.sigma[noisy].min():.3g} to {self.sigma[noisy].max():.3g} DN more than around"
        )


@dataclass(eq=False)
class BurstSums:
    """Sums over the rows and the columns of a scene, in which noisy lines show.

    A line's noise shows in the differences along it. Other bands and the lines around tell what is
    the scene's.
    """

    height: int
    width: int
    rows: "_Differences | None" = field(default=None, init=False)
    cols: "_Differences | None" = field(default=None, init=False)

    def add(self, strip: Strip) -> None:
        """Add the new rows of a strip."""
        pixels = strip.pixels[:, strip.shared :]
        if self.rows is None or self.cols is None:
            self.rows, self.cols = (
                _Differences.of(len(pixels), size) for size in (self.height, self.width)
            )
        mask = None if strip.mask is None else strip.mask[:, strip.shared :]
        values = pixels if mask is None else np.where(mask, pixels, 0)
        values = values.astype(np.float32)
        first = strip.row + strip.shared
        self.rows.add(values, mask, 2, slice(first, first + values.shape[1]))
        self.cols.add(values, mask, 1, slice(None))

    def find(self) -> tuple[Bursts, ...]:
        """Return what was found: at most one for rows and one for columns."""
        sums: tuple[tuple[Axis, _Differences | None], ...]
        sums = (("row", self.rows), ("column", self.cols))
        levels = [(axis, some.excess()) for axis, some in sums if some is not None]
        return tuple(Bursts(axis, sigma) for axis, sigma in levels if sigma.any())


@dataclass(eq=False)
class _Differences:
    """Absolute differences of neighbours along lines."""

    total: Floats
    """Their sums in DN, ``(band, line)``."""
    count: Floats
    """Their numbers."""

    @classmethod
    def of(cls, bands: int, lines: int) -> "_Differences":
        return cls(np.zeros((bands, lines)), np.zeros((bands, lines)))

    def add(self, values: Array, mask: Mask | None, along: int, lines: slice) -> None:
        """Add differences of ``values`` (band, row, col) along an axis; ``lines`` are those they
        belong to.
        """
        steps = np.abs(np.diff(values, axis=along))
        if mask is None:
            self.count[:, lines] += steps.shape[along]
        else:
            both = mask.take(range(1, mask.shape[along]), along)
            both &= mask.take(range(mask.shape[along] - 1), along)
            steps *= both
            self.count[:, lines] += both.sum(axis=along)
        self.total[:, lines] += steps.sum(axis=along, dtype=np.float64)

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
