"""Scenes in memory: read from arrays and write to arrays."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoae.radiometry.nodata import Nodata, is_measured
from geoae.tiling.plan import Slab
from geoae.tiling.window import Read, Window, reflect
from geoae.types import Mask, Pixels

__all__ = ["ArraySink", "Region", "reader", "write_into"]


@dataclass(frozen=True, slots=True)
class Region:
    """Full-width rows of a scene in memory, which read like the scene itself."""

    pixels: Pixels
    """Pixels ``(band, row, col)`` in DN."""
    row: int
    """Row of the scene that the first row is."""
    height: int
    """Rows of the whole scene."""
    nodata: Nodata
    """Nodata values of all bands in DN."""

    def read(self, window: Window) -> tuple[Pixels, NDArray[np.bool_] | None]:
        """Return pixels ``(band, height, width)`` and mask (None: all valid), as ``Reader.read``
        does.
        """
        rows = reflect(window.row, window.height, self.height) - self.row
        cols = reflect(window.col, window.width, self.pixels.shape[2])
        pixels = self.pixels[:, rows[:, None], cols[None, :]]
        mask = is_measured(pixels, self.nodata)
        return pixels, None if mask.all() else mask


@dataclass(frozen=True, slots=True)
class ArraySink:
    """A sink that writes into an array."""

    pixels: Pixels
    """The array ``(band, row, col)`` to write into."""
    row: int = 0
    """Row of the scene that its first row is."""

    def write(self, window: Window, pixels: Pixels) -> None:
        """Write finished pixels.

        Args:
            window: their place in scene coordinates.
            pixels: ``(band, height, width)`` in the dtype of the array.

        """
        self.pixels[(slice(None), *window.slices(self.row))] = pixels


def reader(pixels: Pixels, mask: Mask | None = None) -> Read:
    """Return a function that reads windows of an array, continued by reflection.

    Args:
        pixels: ``(band, row, col)`` in DN.
        mask: of the same shape, True where valid; None where all pixels are.

    """

    def read(window: Window) -> tuple[Pixels, Mask | None]:
        rows = reflect(window.row, window.height, pixels.shape[1])[:, None]
        cols = reflect(window.col, window.width, pixels.shape[2])[None]
        inside = None if mask is None else mask[:, rows, cols]
        return pixels[:, rows, cols], None if inside is None or inside.all() else inside

    return read


def write_into(array: ArraySink) -> Callable[[Slab], AbstractContextManager[ArraySink]]:
    """Return the sink of the engine that writes all slabs into ``array``."""

    @contextmanager
    def sink(_: Slab) -> Iterator[ArraySink]:
        yield array

    return sink
