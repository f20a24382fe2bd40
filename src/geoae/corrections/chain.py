"""The corrections in their order, planned for a scene and composed."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.bursts import Bursts, plan_bursts
from geoae.corrections.correction import Correction, Strip, Strips
from geoae.corrections.filling import REACH
from geoae.corrections.lost_lines import LostLines, plan_lost_lines
from geoae.corrections.model import Block
from geoae.corrections.stripes import Stripes, plan_stripes
from geoae.corrections.survey import Survey
from geoae.tiling.window import Read, Window, reflect
from geoae.types import Mask, Pixels

__all__ = [
    "CORRECTIONS",
    "MOST_HALO",
    "NONE",
    "STEPS",
    "Corrections",
    "plan_corrections",
    "reads_scene",
]

# In the order in which they are applied: stripes are estimated where no line is lost.
CORRECTIONS: dict[str, type[Correction]] = {
    "lost-lines": LostLines,
    "stripes": Stripes,
    "bursts": Bursts,
}
# What users choose from, in their order; the first two belong to ``LostLines``, the last one is the
# network's.
STEPS = ("lines", "pixels", "stripes", "bursts", "noise")
# Standard deviation of the error of rounding to integers, in DN.
ROUNDING = 12**-0.5
# No correction of any scene has a larger halo, in pixels.
# Lost lines and pixels, and noisy rows and columns.
MOST_HALO = 2 * REACH + 4 + 2 * (2 * REACH)

# Reads a window: its pixels as they are, the corrected ones, and the mask. The two are one array
# where nothing is corrected.
ReadBoth = Callable[[Window], tuple[Pixels, Pixels, Mask | None]]


@dataclass(frozen=True, eq=False, slots=True)
class Corrections:
    """All corrections of a scene."""

    steps: tuple[Correction, ...] = ()
    """Corrections in the order in which they are applied."""
    bands: tuple[int, ...] | None = None
    """Indices of the bands that they belong to; None where these are all bands."""

    @property
    def halo(self) -> int:
        """Distance in pixels beyond which an input pixel does not change a corrected pixel."""
        return sum(step.halo for step in self.steps)

    @property
    def digest(self) -> str:
        """Digest of all numbers; empty where nothing is corrected."""
        if not self.steps:
            return ""
        return hashlib.sha256(repr(_plain(self.steps)).encode()).hexdigest()

    def describe(self) -> list[str]:
        """Say in one line each what is corrected and why."""
        return [step.describe() for step in self.steps]

    def embed(self, kept: Sequence[int], bands: int) -> Self:
        """Return the corrections of a scene that has more bands.

        Args:
            kept: index of each band of these corrections among them.
            bands: number of the bands.

        """
        whole = len(kept) == bands or not self.steps
        return type(self)(self.steps, None if whole else tuple(kept))

    def apply(self, pixels: Pixels, mask: Mask | None, window: Window) -> Pixels:
        """Apply all corrections; arguments as for ``Correction.apply``."""
        if self.bands is None:
            return _apply(self.steps, pixels, mask, window)
        kept, corrected = list(self.bands), pixels.copy()
        some = None if mask is None else mask[kept]
        corrected[kept] = _apply(self.steps, pixels[kept], some, window)
        return corrected

    def wrap(self, read: Read, height: int, width: int) -> Read:
        """Wrap the reading of windows, so that it gives corrected pixels.

        Args:
            read: reads a window of the scene; never asked for pixels beyond the scene.
            height: rows of the scene.
            width: columns of the scene.

        Returns:
            Reads a window like ``wrap_both``, without the pixels as they are. Without corrections
            ``read`` itself.

        """
        if not self.steps:
            return read
        both = self.wrap_both(read, height, width)

        def read_and_correct(window: Window) -> tuple[Pixels, Mask | None]:
            _, corrected, mask = both(window)
            return corrected, mask

        return read_and_correct

    def wrap_both(self, read: Read, height: int, width: int) -> ReadBoth:
        """Wrap the reading of windows, so that it gives pixels before and after correction.

        Each window is read with the halo of all corrections, so windows of any size and place give
        the same bits.

        Args:
            read: reads a window of the scene; never asked for pixels beyond the scene where there
                are corrections.
            height: rows of the scene.
            width: columns of the scene.

        Returns:
            Reads a window, which may reach beyond the scene: it continues as its own reflection.
            Corrected pixels are floating point: of 32 bits where these hold the scene's type, else
            of 64.

        """

        def read_plain(window: Window) -> tuple[Pixels, Pixels, Mask | None]:
            pixels, mask = read(window)
            return pixels, pixels, mask

        def read_and_correct(window: Window) -> tuple[Pixels, Pixels, Mask | None]:
            rows = reflect(window.row, window.height, height)
            cols = reflect(window.col, window.width, width)
            around = _hull(rows, cols).expand(self.halo).clip(height, width)
            pixels, mask = read(around)
            corrected = self.apply(as_float(pixels), mask, around)
            place = (slice(None), (rows - around.row)[:, None], (cols - around.col)[None])
            return pixels[place], corrected[place], None if mask is None else mask[place]

        return read_and_correct if self.steps else read_plain


NONE = Corrections()


def reads_scene(chosen: Collection[str]) -> bool:
    """Whether planning these steps reads the whole scene; the noise needs its sample alone."""
    return bool(set(chosen) - {"noise"})


def plan_corrections(
    strips: Strips, height: int, width: int, chosen: Collection[str] = STEPS
) -> Corrections:
    """Plan the corrections of a scene.

    Some passes over the scene, in memory that does not grow with its number of rows times columns:
    one looks for lost lines and pixels, one for bursts, the others for stripes.

    Args:
        strips: starts a pass, like ``partial(cut_strips, read, bands, height, width)``.
        height: rows of the scene.
        width: columns of the scene.
        chosen: what is looked for, of ``STEPS``; without any but noise nothing is read.

    Returns:
        Corrections in the order in which to apply them; none where nothing was found.

    """
    if not reads_scene(chosen):
        return NONE
    survey, block = Survey(height, width), Block(height, width)
    for strip in strips():
        survey.add(strip)
        block.add(strip)
    if not min(height, width, len(block.values)):
        return NONE
    dtype = block.values.dtype
    lost = plan_lost_lines(survey, block, lines="lines" in chosen, pixels="pixels" in chosen)
    first: tuple[Correction, ...] = () if lost is None else (lost,)

    def clean(strip: Strip) -> NDArray[np.float32]:
        window = Window(strip.row, 0, *strip.pixels.shape[1:])
        pixels = _apply(first, as_float(strip.pixels), strip.mask, window)
        finite = pixels if strip.mask is None else np.where(strip.mask, pixels, 0)
        return finite.astype(np.float32, copy=False)

    middle = Window(block.row, block.col, *block.values.shape[1:])
    filled = _apply(first, as_float(block.values), block.inside, middle)
    block.pixels = np.where(block.inside, filled, 0)
    stripes: tuple[Correction, ...] = ()
    if "stripes" in chosen:
        stripes = _keep_visible(plan_stripes(strips, block, height, width, clean), dtype)
    bursts: tuple[Correction, ...] = ()
    if "bursts" in chosen:
        bursts = plan_bursts(strips, block, height, width, clean)
    return Corrections((*first, *stripes, *bursts))


def _keep_visible(planned: Sequence[Stripes], dtype: np.dtype[Any]) -> tuple[Stripes, ...]:
    """Leave out stripes of integers that are weaker than the error of rounding these."""
    if not np.issubdtype(dtype, np.integer):
        return tuple(planned)
    kept = []
    for stripes in planned:
        seen = (stripes.offsets.std(axis=1) >= ROUNDING)[:, None]
        if seen.any():
            kept.append(
                replace(stripes, offsets=stripes.offsets * seen, gains=stripes.gains * seen)
            )
    return tuple(kept)


def _apply(
    steps: Sequence[Correction], pixels: Pixels, mask: Mask | None, window: Window
) -> Pixels:
    for step in steps:
        pixels = step.apply(pixels, mask, window)
    return pixels


def _hull(rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Window:
    """Return the least window that holds some rows and columns."""
    top, left = int(rows.min()), int(cols.min())
    return Window(top, left, int(rows.max()) + 1 - top, int(cols.max()) + 1 - left)


def as_float(pixels: Pixels) -> Pixels:
    """Return pixels as floating point numbers that hold corrections, and small integers exactly."""
    small = pixels.dtype.itemsize <= 2 or pixels.dtype == np.float32
    return pixels.astype(np.float32 if small else np.float64)


def _plain(value: Any) -> Any:
    """Numbers, texts and lists of a correction, whatever its classes are named."""
    if is_dataclass(value):
        return [(field.name, _plain(getattr(value, field.name))) for field in fields(value)]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value
