"""Which pixels of a radar scene are measurements of speckle, and in which unit they are."""

from typing import Literal

import numpy as np
from scipy import ndimage

from geoae.errors import InputError
from geoae.tiling.window import Read, Window, reflect
from geoae.types import Mask, Pixels, Samples

__all__ = ["REACH", "SpeckleKind", "has_log", "hide_zeros", "refuse_other_units"]

SpeckleKind = Literal["amplitude", "intensity", "db"]
# Side of the squares of zeros that hold no measurement, and how far they are seen.
AREA, REACH = 7, 6
# No backscatter in dB is outside.
LEAST_DB, MOST_DB = -200.0, 100.0
# Linear pixels of which more than this part is negative are in dB.
MOST_NEGATIVE = 0.5


def has_log(kind: SpeckleKind, pixels: Pixels) -> Mask:
    """Which pixels are measurements of speckle.

    In dB these are all. Else negative values are none, and neither are zeros of floating point.
    Zeros of integers are where they stand alone, since they were rounded or clipped, but not where
    they fill a square of ``AREA`` px, as beyond the swath.

    Args:
        kind: what the pixels are.
        pixels: ``(band, row, col)``. A pixel ``REACH`` px or more from the border does not depend
            on what lies beyond it.

    """
    if kind == "db":
        return np.ones(pixels.shape, dtype=bool)
    positive: Mask = pixels > 0
    if pixels.dtype.kind == "f" or positive.all():
        return positive
    square = np.ones((1, AREA, AREA), dtype=bool)
    within = ndimage.binary_erosion(pixels == 0, square, border_value=1)
    area = ndimage.binary_dilation(within, square)
    return positive | ((pixels == 0) & ~area)


def hide_zeros(kind: SpeckleKind | None, read: Read, height: int, width: int) -> Read:
    """Wrap the reading of windows, so that pixels that are no measurements are not valid.

    Args:
        kind: what the pixels are; None where they do not have speckle.
        read: reads a window inside the scene.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        Reads a window, which may reach beyond the scene, like ``read``, with pixels masked that are
        not among those of ``has_log``; ``read`` itself for dB and None.

    """
    if kind is None or kind == "db":
        return read

    def read_positive(window: Window) -> tuple[Pixels, Mask | None]:
        rows = reflect(window.row, window.height, height)
        cols = reflect(window.col, window.width, width)
        top, left = int(rows.min()), int(cols.min())
        inside = Window(top, left, int(rows.max()) + 1 - top, int(cols.max()) + 1 - left)
        around = inside.expand(REACH).clip(height, width)
        pixels, mask = read(around)
        valid = has_log(kind, pixels) if mask is None else mask & has_log(kind, pixels)
        place = (slice(None), (rows - around.row)[:, None], (cols - around.col)[None])
        return pixels[place], None if valid[place].all() else valid[place]

    return read_positive


def refuse_other_units(kind: SpeckleKind, samples: Samples, source: str) -> None:
    """Refuse a scene whose pixels cannot be what the user says.

    Args:
        kind: what the pixels are.
        samples: pixels in DN and mask of each window, ``(band, row, col)``.
        source: name of the scene, for the message.

    Raises:
        InputError: pixels in dB are beyond all backscatter, or most others are below 0.

    """
    values = np.concatenate([pixels[mask] for pixels, mask in samples])
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if kind == "db" and (low < LEAST_DB or high > MOST_DB):
        raise InputError(
            f"{source}: pixels from {low:.4g} to {high:.4g} are not in dB; give --speckle amplitude"
            " or intensity"
        )
    negative = float(np.mean(values < 0))
    if kind != "db" and negative > MOST_NEGATIVE:
        raise InputError(
            f"{source}: {negative:.0%} of the pixels are below 0, so they have no logarithm; give"
            " --speckle db if they are in dB"
        )
