"""Interfaces of what pixels come from and go to: a file, an array, a store."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from geoae.tiling.window import Window
from geoae.types import Mask, Nodata, Pixels

__all__ = ["Reader", "Sink", "Source"]


class Reader(Protocol):
    """An open source, for one thread."""

    def read(self, window: Window) -> tuple[Pixels, Mask | None]:
        """Read one window.

        Args:
            window: rows and columns, in pixels of the scene. It may reach beyond the scene, which
                continues as its own reflection.

        Returns:
            Pixels of the restored bands ``(band, height, width)`` in DN, and which of them are
            valid; None where all are.

        Raises:
            ReadError: the window cannot be read.

        """
        ...


class Source(Protocol):
    """A scene that can be restored: its grid, its bands, and windows of its pixels."""

    @property
    def source(self) -> str:
        """Name for messages."""
        ...

    @property
    def height(self) -> int:
        """Rows."""
        ...

    @property
    def width(self) -> int:
        """Columns."""
        ...

    @property
    def dtype(self) -> str:
        """Type of the pixels, as numpy names it."""
        ...

    @property
    def bands(self) -> tuple[int, ...]:
        """Numbers of the bands that are restored, from 1 on."""
        ...

    @property
    def nodata(self) -> Sequence[Nodata]:
        """Values of each restored band that mark invalid pixels."""
        ...

    @property
    def identity(self) -> str:
        """Digest that changes with the metadata and, where that is cheap to tell, the pixels."""
        ...

    def restrict(self, indices: Sequence[int]) -> Self:
        """Return the scene of which only the restored bands of some ``indices`` are restored. The
        others are copied, since none of their pixels is valid.
        """
        ...

    def reader(self) -> AbstractContextManager[Reader]:
        """Open a handle of its own: handles are not shared between threads."""
        ...


class Sink(Protocol):
    """Where the finished pixels of a slab go."""

    def write(self, window: Window, pixels: NDArray[Any]) -> None:
        """Take finished pixels.

        Args:
            window: rows and columns, in pixels of the scene.
            pixels: the restored bands ``(band, height, width)`` in DN.

        """
        ...
