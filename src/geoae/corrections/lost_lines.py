"""Lost lines and pixels: find them, and fill them from other bands and from neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.dead_pixels import DeadPixels, find_dead_pixels
from geoae.corrections.filling import REACH, fill_lines, fill_pixels
from geoae.corrections.model import Block
from geoae.corrections.survey import Survey, find_lost_lines
from geoae.system.wording import count, name_bands, name_first
from geoae.tiling.window import Window
from geoae.types import Floats, Mask, Pixels

__all__ = ["LostLines", "find_predictors", "plan_lost_lines"]

# How many bands predict one, and the least squared correlation that makes one worth it.
PREDICTORS, TELLING = 5, 0.1
NORMAL_MAD = 0.6745
# Values of dead pixels that are named one by one.
SHOWN = 4


@dataclass(frozen=True, eq=False, slots=True)
class LostLines:
    """Rows, columns and pixels of single bands that hold no measurement."""

    rows: tuple[NDArray[np.intp], ...]
    """Lost rows of each band, ascending."""
    cols: tuple[NDArray[np.intp], ...]
    """Lost columns of each band, ascending."""
    dead: tuple[DeadPixels | None, ...]
    """Dead pixels of each band; None where there are none."""
    others: tuple[tuple[int, ...], ...]
    """Bands from which each band is predicted."""
    least: Floats
    """Least variance of a difference of each band in DN squared, ``(band,)``."""

    @property
    def halo(self) -> int:
        """Distance that matters: one reach for rows, one for columns, and that of pixels."""
        return 2 * REACH + 4

    def find(self, pixels: Pixels, mask: Mask | None, window: Window) -> Mask:
        """Find the lost pixels of a window.

        Args:
            pixels: DN as they are in the scene, ``(band, height, width)``.
            mask: of the same shape, True where valid; None where all pixels are.
            window: place of the pixels.

        Returns:
            True where a valid pixel is lost, of the same shape.

        """
        lost = self._lines(window)
        for band, dead in enumerate(self.dead):
            if dead is not None:
                usable = ~lost[band] if mask is None else mask[band] & ~lost[band]
                lost[band] |= dead.find(pixels[band], usable)
        return lost if mask is None else lost & mask

    def _lines(self, window: Window) -> Mask:
        """Which pixels of a window are in lost lines."""
        lost = np.zeros((len(self.rows), window.height, window.width), bool)
        for band, (rows, cols) in enumerate(zip(self.rows, self.cols, strict=True)):
            lost[band, _inside(rows - window.row, window.height)] = True
            lost[band][:, _inside(cols - window.col, window.width)] = True
        return lost

    def apply(self, pixels: Pixels, mask: Mask | None, window: Window) -> Pixels:
        """Fill what is lost; see ``Correction.apply``."""
        lost = self.find(pixels, mask, window)
        if not lost.any():
            return pixels
        filled = pixels.astype(np.float64)
        valid = np.ones(lost.shape, bool) if mask is None else mask
        good = valid & ~lost
        filled[~good] = 0
        single = lost & ~self._lines(window)
        for band, others in enumerate(self.others):
            fill_pixels(filled, good, band, single[band], others, self.least)
        upright = filled.transpose(0, 2, 1), good.transpose(0, 2, 1)
        rows = [set((lines - window.row).tolist()) for lines in self.rows]
        cols = [set((lines - window.col).tolist()) for lines in self.cols]
        for band, others in enumerate(self.others):
            fill_lines(filled, good, band, rows, others, self.least)
            fill_lines(*upright, band, cols, others, self.least)
        return np.where(lost & good, filled, pixels).astype(pixels.dtype)

    def describe(self, bands: Sequence[int]) -> str:
        """Say in one line what is filled and why; see ``Correction.describe``."""
        found = []

        def name(lost: Sequence[bool]) -> str:
            return name_bands([band for band, is_lost in zip(bands, lost, strict=True) if is_lost])

        for kind, lines in (("row", self.rows), ("column", self.cols)):
            numbers = [len(some) for some in lines]
            if any(numbers):
                where = name([number > 0 for number in numbers])
                found.append(f"{count(sum(numbers), kind)} in {where}")
        dead = [f"{some.value:g}" for some in self.dead if some is not None]
        if dead:
            values = name_first(sorted(set(dead)), SHOWN)
            where = name([some is not None for some in self.dead])
            found.append(f"pixels of value {values} in {where}")
        return (
            f"lost {'; '.join(found)} filled from other bands and neighbours: they hold one value"
            " or repeat the line before, and what surrounds them does not"
        )


def _inside(lines: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    return lines[(lines >= 0) & (lines < size)]


def plan_lost_lines(
    survey: Survey, block: Block, *, lines: bool = True, pixels: bool = True
) -> LostLines | None:
    """Plan what to fill; None where nothing is lost.

    Args:
        survey: sums over the lines of the whole scene.
        block: the middle of the scene.
        lines: whether to look for lost lines.
        pixels: whether to look for dead pixels.

    """
    assert survey.rows is not None
    assert survey.cols is not None
    values, valid = block.values, block.inside
    bands = len(values)
    across = _deviations(values, valid, 1), _deviations(values, valid, 2)
    none = [np.zeros(0, np.intp)] * bands
    rows = find_lost_lines(survey.rows, across[0]) if lines else none
    cols = find_lost_lines(survey.cols, across[1]) if lines else none
    found = LostLines(tuple(rows), tuple(cols), (None,) * bands, ((),) * bands, across[0])
    window = Window(block.row, block.col, *values.shape[1:])
    kept = valid & ~found.find(values, valid, window)
    dead: tuple[DeadPixels | None, ...] = (None,) * bands
    if pixels:
        dead = tuple(find_dead_pixels(values, kept, np.maximum(*across)))
    if not any(map(len, (*rows, *cols))) and not any(dead):
        return None
    for band, some in enumerate(dead):
        if some is not None:
            kept[band] &= ~some.find(values[band], kept[band])
    others, least = find_predictors(values, kept)
    return LostLines(tuple(rows), tuple(cols), dead, others, least)


def _deviations(pixels: Pixels, valid: Mask, axis: int) -> Floats:
    """Robust deviation of the differences of neighbouring lines in DN, ``(band,)``."""
    found = []
    for band, usable in zip(pixels, valid, strict=True):
        both = np.logical_and(*_neighbours(usable, axis - 1))
        one, other = _neighbours(band.astype(np.float64), axis - 1)
        steps = np.abs(other - one)[both]
        found.append(np.median(steps) / NORMAL_MAD if steps.size else 0.0)
    return np.array(found)


def _neighbours(values: Pixels, axis: int) -> tuple[Pixels, Pixels]:
    return (values[:-1], values[1:]) if axis == 0 else (values[:, :-1], values[:, 1:])


def find_predictors(pixels: Pixels, kept: Mask) -> tuple[tuple[tuple[int, ...], ...], Floats]:
    """Find the bands that predict each band best.

    Args:
        pixels: DN ``(band, row, col)``.
        kept: which of them count, of the same shape.

    Returns:
        The indices of these bands, the best first, and the least variance of a difference of each
        band in DN squared, ``(band,)``.

    """
    both = (kept[:, :, 1:] & kept[:, :, :-1]).all(axis=0)
    if not both.any():
        both = (kept[:, :, 1:] & kept[:, :, :-1]).any(axis=0)
    steps = np.diff(pixels.astype(np.float64), axis=2)[:, both]
    power = np.square(steps).mean(axis=1)
    scaled = steps / np.sqrt(np.maximum(power, 1e-30))[:, None]
    alike = np.square(scaled @ scaled.T / scaled.shape[1])
    np.fill_diagonal(alike, 0)
    best = np.argsort(-alike, axis=1)[:, :PREDICTORS]
    others = tuple(
        tuple(int(other) for other in some if alike[band, other] > TELLING)
        for band, some in enumerate(best)
    )
    return others, 1e-3 * power + 1e-12
