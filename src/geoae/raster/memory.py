"""Scenes in memory: readers of arrays and sinks into arrays."""

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
    """Full-width rows of a scene in memory, from ``row`` on, read like the scene itself."""

    pixels: Pixels
    row: int
    height: int
    nodata: Nodata

    def read(self, window: Window) -> tuple[Pixels, NDArray[np.bool_] | None]:
        """Pixels ``(band, height, width)`` and their mask (None: all valid), as ``Reader.read``
        gives them.
        """
        rows = reflect(window.row, window.height, self.height) - self.row
        cols = reflect(window.col, window.width, self.pixels.shape[2])
        pixels = self.pixels[:, rows[:, None], cols[None, :]]
        mask = is_measured(pixels, self.nodata)
        return pixels, None if mask.all() else mask


@dataclass(frozen=True, slots=True)
class ArraySink:
    """A sink that keeps pixels in an array, whose first row is ``row`` of the scene."""

    pixels: Pixels
    row: int = 0

    def write(self, window: Window, pixels: Pixels) -> None:
        """``pixels`` (band, height, width) in the dtype of the array."""
        self.pixels[(slice(None), *window.slices(self.row))] = pixels


def reader(pixels: Pixels, mask: Mask | None = None) -> Read:
    """``read`` of pixels in memory, continued by reflection."""

    def read(window: Window) -> tuple[Pixels, Mask | None]:
        rows = reflect(window.row, window.height, pixels.shape[1])[:, None]
        cols = reflect(window.col, window.width, pixels.shape[2])[None]
        inside = None if mask is None else mask[:, rows, cols]
        return pixels[:, rows, cols], None if inside is None or inside.all() else inside

    return read


def write_into(array: ArraySink) -> Callable[[Slab], AbstractContextManager[ArraySink]]:
    """Where the engine writes its slabs, all of them into ``array``."""

    @contextmanager
    def sink(_: Slab) -> Iterator[ArraySink]:
        yield array

    return sink
