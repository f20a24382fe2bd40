"""Scenes in memory: an array as a source, and an array as a sink."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from geoae.radiometry.validity.nodata import is_measured
from geoae.tiling.plan import Slab
from geoae.tiling.window import Window, reflect
from geoae.types import Mask, Nodata, Pixels

__all__ = ["ArraySink", "ArraySource", "write_into"]


@dataclass(frozen=True, eq=False, slots=True)
class ArraySource:
    """A scene, or some full rows of one, in memory; all of its bands are restored."""

    pixels: Pixels
    """``(band, row, col)`` in DN."""
    mask: Mask | None = None
    """Which pixels are valid, ``(band, row, col)``; None: those that hold a measurement."""
    nodata: Sequence[Nodata] = ()
    """Values of each band that mark invalid pixels; empty: none."""
    row: int = 0
    """Row of the scene that is the first one of ``pixels``."""
    rows: int | None = None
    """Rows of the scene; None: those of ``pixels``."""
    source: str = "array"
    """Name for messages."""
    numbers: tuple[int, ...] | None = None
    """Numbers of the bands; None for 1, 2, 3 and so on."""

    @property
    def height(self) -> int:
        """Rows of the scene."""
        return self.pixels.shape[1] if self.rows is None else self.rows

    @property
    def width(self) -> int:
        """Columns of the scene."""
        return self.pixels.shape[2]

    @property
    def dtype(self) -> str:
        """Type of the pixels, as numpy names it."""
        return self.pixels.dtype.name

    @property
    def bands(self) -> tuple[int, ...]:
        """Numbers of the bands, from 1 on."""
        return self.numbers or tuple(range(1, len(self.pixels) + 1))

    @property
    def identity(self) -> str:
        """Digest of shape, type, pixels and mask."""
        digest = hashlib.sha256(repr((self.pixels.shape, self.dtype, self.nodata)).encode())
        for array in (self.pixels, self.mask):
            digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def restrict(self, indices: Sequence[int]) -> Self:
        """Return the scene with some of its bands; see ``Source.restrict``."""
        kept = list(indices)
        return replace(
            self,
            pixels=self.pixels[kept],
            mask=None if self.mask is None else self.mask[kept],
            nodata=[self.nodata[index] for index in kept] if self.nodata else (),
            numbers=tuple(self.bands[index] for index in kept),
        )

    @contextmanager
    def reader(self) -> Iterator[Self]:
        """Give the source itself, which any number of threads may read."""
        yield self

    def read(self, window: Window) -> tuple[Pixels, Mask | None]:
        """Read one window, which may reach beyond the scene; see ``Reader.read``."""
        rows = reflect(window.row, window.height, self.height)[:, None] - self.row
        cols = reflect(window.col, window.width, self.width)[None]
        pixels = self.pixels[:, rows, cols]
        valid = self._is_valid(pixels) if self.mask is None else self.mask[:, rows, cols]
        return pixels, None if valid.all() else valid

    def _is_valid(self, pixels: Pixels) -> Mask:
        nodata = self.nodata or [None] * len(pixels)
        bands = zip(pixels, nodata, strict=True)
        return np.stack([is_measured(band, value) for band, value in bands])


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


def write_into(array: ArraySink) -> Callable[[Slab], AbstractContextManager[ArraySink]]:
    """Return the sink of the engine that writes all slabs into ``array``."""

    @contextmanager
    def sink(_: Slab) -> Iterator[ArraySink]:
        yield array

    return sink
