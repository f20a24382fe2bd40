"""The corrections in their order, planned for a scene and composed."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.bursts import plan_bursts
from geoae.corrections.correction import ROUNDING, Clean, Correction, Strip, Strips, as_float
from geoae.corrections.filling import REACH
from geoae.corrections.lost_lines import plan_lost_lines
from geoae.corrections.model import Block
from geoae.corrections.sharpening import Sharpening
from geoae.corrections.stripes import Stripes, plan_stripes
from geoae.corrections.survey import Survey
from geoae.radiometry.sharpness import RADIUS
from geoae.tiling.window import Read, Window, reflect
from geoae.types import Mask, Pixels

__all__ = [
    "NONE",
    "PLANNERS",
    "STEPS",
    "Corrections",
    "most_halo",
    "plan_corrections",
    "reads_scene",
]


# Plans a correction from all strips of a scene and a block of it, given height and width of the
# scene; gives none where the scene has no such fault.
Planner = Callable[[Strips, Block, int, int, Clean], Sequence[Correction]]

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

    def describe(self, bands: Sequence[int]) -> list[str]:
        """Say in one line each what is corrected and why.

        Args:
            bands: number of each band of the scene, from 1 on.

        """
        numbers = bands if self.bands is None else [bands[index] for index in self.bands]
        return [step.describe(numbers) for step in self.steps]

    def sharpen(self, sharpening: Sharpening) -> Self:
        """Return these corrections, and sharpening after them."""
        return replace(self, steps=(*self.steps, sharpening))

    @property
    def sharpening(self) -> Sharpening | None:
        """The sharpening among them; None where there is none."""
        last = self.steps[-1] if self.steps else None
        return last if isinstance(last, Sharpening) else None

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


def plan_visible_stripes(
    strips: Strips, block: Block, height: int, width: int, clean: Clean
) -> Sequence[Stripes]:
    """Plan stripes, without those of integers that are weaker than the error of rounding these.

    Args and Returns are those of ``plan_stripes``.
    """
    planned = plan_stripes(strips, block, height, width, clean)
    if not np.issubdtype(block.dtype, np.integer):
        return planned
    kept = []
    for stripes in planned:
        seen = (stripes.offsets.std(axis=1) >= ROUNDING)[:, None]
        if seen.any():
            kept.append(
                replace(stripes, offsets=stripes.offsets * seen, gains=stripes.gains * seen)
            )
    return kept


# What is planned after lost lines and pixels are filled, in the order in which it is applied.
PLANNERS: dict[str, Planner] = {"stripes": plan_visible_stripes, "bursts": plan_bursts}
# The largest halo, in pixels, of what a step plans: noisy rows and columns are two corrections.
HALOS = {"lines": 2 * REACH + 4, "pixels": 2 * REACH + 4, "bursts": 2 * (2 * REACH)}
# What users choose from, in this order. Lines and pixels belong to ``LostLines``, the noise is the
# network's.
STEPS = ("lines", "pixels", *PLANNERS, "noise")


def reads_scene(chosen: Collection[str]) -> bool:
    """Whether planning these steps reads the whole scene; the noise needs its sample alone."""
    return bool(set(chosen) - {"noise"})


def most_halo(chosen: Collection[str], sharpens: bool) -> int:
    """Return the largest halo that the corrections of a scene can have, in pixels.

    Args:
        chosen: what is looked for, of ``STEPS``.
        sharpens: whether the scene is sharpened.

    """
    # One correction fills lines and pixels.
    steps = set(chosen) - ({"pixels"} if "lines" in chosen else set())
    return sum(HALOS.get(step, 0) for step in steps) + RADIUS * sharpens


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
    lost = plan_lost_lines(survey, block, lines="lines" in chosen, pixels="pixels" in chosen)
    steps: tuple[Correction, ...] = () if lost is None else (lost,)
    middle, given = Window(block.row, block.col, *block.values.shape[1:]), as_float(block.values)
    for name, plan in PLANNERS.items():
        if name in chosen:
            corrected = _apply(steps, given, block.inside, middle)
            block.pixels = np.where(block.inside, corrected, 0)
            steps = (*steps, *plan(strips, block, height, width, partial(_clean, steps)))
    return Corrections(steps)


def _clean(steps: Sequence[Correction], strip: Strip) -> NDArray[np.float32]:
    """Return the pixels of a strip after some corrections, 0 where they are invalid."""
    window = Window(strip.row, 0, *strip.pixels.shape[1:])
    pixels = _apply(steps, as_float(strip.pixels), strip.mask, window)
    finite = pixels if strip.mask is None else np.where(strip.mask, pixels, 0)
    return finite.astype(np.float32, copy=False)


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


def _plain(value: Any) -> Any:
    """Numbers, texts and lists of a correction, whatever its classes are named."""
    if is_dataclass(value):
        return [(field.name, _plain(getattr(value, field.name))) for field in fields(value)]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value
