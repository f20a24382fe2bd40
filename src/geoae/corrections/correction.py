"""The interface of a correction, and the strips from which corrections are planned."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoae.radiometry.validity.nodata import LARGEST
from geoae.tiling.window import Read, Window
from geoae.types import Mask, Pixels

__all__ = [
    "ROUNDING",
    "Clean",
    "Correction",
    "Strip",
    "Strips",
    "as_float",
    "cut_strips",
]

# Standard deviation of the error of rounding to integers, in DN.
ROUNDING = 12**-0.5

# Rows of a strip, and how many of them it shares with the strip above: differences of neighbouring
# rows need one, lost lines side by side need more.
ROWS = 128
SHARED = 8
# Values of a strip at most, so that memory does not grow with the number of bands; but so many rows
# at least.
VALUES, FEWEST_ROWS = 1 << 23, 2 * SHARED


class Correction(Protocol):
    """A correction that is the same for every window of a scene."""

    @property
    def halo(self) -> int:
        """Distance in pixels beyond which an input pixel does not change an output pixel."""
        ...

    def apply(self, pixels: Pixels, mask: Mask | None, window: Window) -> Pixels:
        """Correct one window.

        Args:
            pixels: floating point DN ``(band, height, width)``, which stay unchanged.
            mask: of the same shape, True where valid; None where all pixels are. Invalid pixels
                keep their value.
            window: place of the pixels, inside the scene. Values within ``halo`` of a side that is
                not a border of the scene are not final.

        Returns:
            Corrected pixels of the same shape and dtype. Where nothing was found they have the same
            bits as before.

        """
        ...

    def describe(self, bands: Sequence[int]) -> str:
        """Say in one line what is corrected and why.

        Args:
            bands: number of each band, from 1 on.

        """
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Strip:
    """Rows of a scene over its full width."""

    row: int
    """First row."""
    pixels: Pixels
    """DN ``(band, height, width)``."""
    mask: Mask | None
    """Of the same shape, True where valid; None where all pixels are."""
    shared: int
    """How many of the first rows are the last rows of the strip before."""

    @property
    def valid(self) -> Mask:
        """Which pixels are valid, ``(band, height, width)``."""
        return np.ones(self.pixels.shape, dtype=bool) if self.mask is None else self.mask


# Starts a new pass over a scene; the same strips each time.
Strips = Callable[[], Iterable[Strip]]
# Gives the pixels of a strip after the earlier corrections, 0 where they are invalid.
Clean = Callable[[Strip], NDArray[np.float32]]


def as_float(pixels: Pixels) -> Pixels:
    """Return pixels as floating point numbers that hold corrections, and small integers exactly."""
    small = pixels.dtype.itemsize <= 2 or pixels.dtype == np.float32
    return pixels.astype(np.float32 if small else np.float64)


def cut_strips(read: Read, bands: int, height: int, width: int) -> Iterator[Strip]:
    """Read a scene strip by strip; ``partial(cut_strips, read, *shape)`` is a ``Strips``.

    Args:
        read: gives the pixels and the mask of a window.
        bands: bands of the scene.
        height: rows of the scene.
        width: columns of the scene.

    Yields:
        Strips from top to bottom. Each begins with the last rows of the one before.

    """
    rows = int(np.clip(VALUES // max(bands * width, 1), FEWEST_ROWS, ROWS))
    for start in range(0, height, rows):
        shared = min(SHARED, start)
        window = Window(start - shared, 0, min(rows, height - start) + shared, width)
        pixels, mask = read(window)
        yield Strip(window.row, pixels, _without_huge(pixels, mask), shared)


def _without_huge(pixels: Pixels, mask: Mask | None) -> Mask | None:
    """Mask what is no measurement of any sensor, and whose squares overflow."""
    if pixels.dtype.kind != "f":
        return mask
    with np.errstate(invalid="ignore"):  # invalid pixels may be NaN
        huge = np.abs(pixels) > LARGEST
    if not huge.any():
        return mask
    return ~huge if mask is None else mask & ~huge
