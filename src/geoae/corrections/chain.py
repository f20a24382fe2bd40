"""The corrections in their order, planned for a scene and composed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.correction import Correction, Strip, Strips
from geoae.corrections.lost_lines import LostLines, plan_lost_lines
from geoae.corrections.model import Block
from geoae.corrections.stripes import Stripes, plan_stripes
from geoae.corrections.survey import Survey
from geoae.tiling.window import Read, Window, reflect
from geoae.types import Mask, Pixels

__all__ = ["CORRECTIONS", "apply_corrections", "correct", "plan_corrections"]

# In the order in which they are applied: stripes are estimated where no line is lost.
CORRECTIONS: dict[str, type[Correction]] = {"lost-lines": LostLines, "stripes": Stripes}


def plan_corrections(strips: Strips, height: int, width: int) -> tuple[Correction, ...]:
    """Plan the corrections of a scene.

    Two passes over the scene, in memory that does not grow with its number of rows times columns:
    one looks for lost lines and pixels, one for stripes.

    Args:
        strips: starts a pass, like ``partial(cut_strips, read, height, width)``.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        Corrections in the order in which to apply them; none where nothing was found.

    """
    survey, block = Survey(height, width), Block(height, width)
    for strip in strips():
        survey.add(strip)
        block.add(strip)
    if not min(height, width, len(block.values)):
        return ()
    lost = plan_lost_lines(survey, block)
    first: tuple[Correction, ...] = () if lost is None else (lost,)

    def clean(strip: Strip) -> NDArray[np.float32]:
        window = Window(strip.row, 0, *strip.pixels.shape[1:])
        pixels = apply_corrections(first, as_float(strip.pixels), strip.mask, window)
        finite = pixels if strip.mask is None else np.where(strip.mask, pixels, 0)
        return finite.astype(np.float32, copy=False)

    middle = Window(block.row, block.col, *block.values.shape[1:])
    filled = apply_corrections(first, as_float(block.values), block.inside, middle)
    block.pixels = np.where(block.inside, filled, 0)
    return (*first, *plan_stripes(strips, block, height, width, clean))


def apply_corrections(
    corrections: Sequence[Correction], pixels: Pixels, mask: Mask | None, window: Window
) -> Pixels:
    """Apply corrections one after the other; arguments as for ``Correction.apply``."""
    for correction in corrections:
        pixels = correction.apply(pixels, mask, window)
    return pixels


def correct(read: Read, corrections: Sequence[Correction], height: int, width: int) -> Read:
    """Wrap the reading of windows, so that it gives corrected pixels.

    Each window is read with the halo of all corrections, so windows of any size and place give
    the same bits.

    Args:
        read: reads a window of the scene; never asked for pixels beyond the scene.
        corrections: what to apply, from ``plan_corrections``.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        Reads a window, which may reach beyond the scene: it continues as its own reflection. Pixels
        are floating point: of 32 bits where these hold the scene's type, else of 64.
        Without corrections, ``read`` itself.

    """
    if not corrections:
        return read
    halo = sum(correction.halo for correction in corrections)

    def read_and_correct(window: Window) -> tuple[Pixels, Mask | None]:
        rows = reflect(window.row, window.height, height)
        cols = reflect(window.col, window.width, width)
        inside = _hull(rows, cols)
        around = inside.expand(halo).clip(height, width)
        pixels, mask = read(around)
        done = apply_corrections(corrections, as_float(pixels), mask, around)
        place = np.ix_(rows - around.row, cols - around.col)
        rest = None if mask is None else np.stack([band[place] for band in mask])
        return np.stack([band[place] for band in done]), rest

    return read_and_correct


def _hull(rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Window:
    """Return the least window that holds some rows and columns."""
    top, left = int(rows.min()), int(cols.min())
    return Window(top, left, int(rows.max()) + 1 - top, int(cols.max()) + 1 - left)


def as_float(pixels: Pixels) -> Pixels:
    """Return pixels as floating point numbers that hold corrections, and small integers exactly."""
    small = pixels.dtype.itemsize <= 2 or pixels.dtype == np.float32
    return pixels.astype(np.float32 if small else np.float64)
