"""Which bands of a scene are shown, in which order, and how an image becomes a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile

from geoae.errors import InputError
from geoae.radiometry.band_names import find_rgb
from geoae.raster.scene import Reader, Scene
from geoae.system.warnings import SILENCE
from geoae.tiling.window import Window
from geoae.types import Mask, Pixels

__all__ = ["RGB", "Display", "DisplayReader", "encode_image"]

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
QUALITY = {"JPEG": {"quality": 80}}


@dataclass(frozen=True, slots=True)
class DisplayReader:
    """Reads the bands of a display through one GDAL handle."""

    reader: Reader
    """Reader of the scene."""
    order: tuple[int, ...]
    """Index of each shown band among the bands that the reader gives."""

    def read(self, window: Window) -> tuple[Pixels, Mask]:
        """Read a window.

        Returns:
            Pixels in DN and mask, True = valid, ``(band, row, col)`` in the order of the display.

        Raises:
            ReadError: the window cannot be read.

        """
        pixels, mask = self.reader.read(window)
        valid = np.ones(pixels.shape, bool) if mask is None else mask
        return pixels[[*self.order]], valid[[*self.order]]


@dataclass(frozen=True, slots=True)
class Display:
    """A scene and the bands of it that are shown."""

    scene: Scene
    """The scene, of the shown bands alone."""
    bands: tuple[int, ...]
    """Numbers of the bands for red, green and blue, or of one for grey."""

    @classmethod
    def open(cls, source: str, bands: tuple[int, ...], fill: float | int | None = None) -> Self:
        """Open a scene to show some bands.

        Args:
            source: anything GDAL opens by name.
            bands: 1-based, three or one.
            fill: value of pixels that are not measured, whatever the file declares.

        Raises:
            InputError: the scene cannot be opened, or has no such bands.

        """
        if len(bands) not in (1, 3):
            raise InputError(
                f"{source}: {len(bands)} bands cannot be shown; give three in the order red,"
                " green, blue, or one, like --bands 4,3,2"
            )
        return cls(Scene.open(source, bands, fill), bands)

    @classmethod
    def choose(
        cls,
        source: str,
        among: tuple[int, ...] | None = None,
        fill: float | int | None = None,
    ) -> Self:
        """Open a scene to show red, green and blue.

        These are known by their names, or else by their colour interpretation: GDAL tags any three
        bands of 8 bits as red, green and blue, so names count first. Where neither says, the first
        three bands are shown, and of fewer the first.

        Args:
            source: anything GDAL opens by name.
            among: 1-based bands to choose from; by default all measurements.
            fill: value of pixels that are not measured, whatever the file declares.

        Raises:
            InputError: the scene cannot be opened, or no band of it is a measurement.

        """
        scene = Scene.open(source, among, fill)
        if not scene.bands:
            raise InputError(
                f"{source}: no band is a measurement ({', '.join(set(scene.copied.values()))});"
                " name the bands to show with --bands"
            )
        with scene.reader() as reader:
            colours = {colour: i for i, colour in enumerate(reader.dataset.colorinterp, start=1)}
            names = [reader.dataset.descriptions[band - 1] or "" for band in scene.bands]
        tagged = tuple(colours.get(colour, 0) for colour in RGB)
        if named := find_rgb(names):
            chosen = tuple(scene.bands[index] for index in named)
        elif {*tagged} <= {*scene.bands}:
            chosen = tagged
        else:
            chosen = scene.bands[: 3 if len(scene.bands) >= 3 else 1]
        return cls.open(source, chosen, fill)

    @contextmanager
    def reader(self) -> Iterator[DisplayReader]:
        """Open a reader with a handle of its own."""
        with self.scene.reader() as reader:
            yield DisplayReader(reader, tuple(map(self.scene.bands.index, self.bands)))

    def middle(self, height: int, width: int) -> Window:
        """Return the window in the middle of the scene, of at most this size.

        Args:
            height: most rows of the window.
            width: most columns of the window.

        """
        height, width = min(self.scene.height, height), min(self.scene.width, width)
        return Window(
            (self.scene.height - height) // 2, (self.scene.width - width) // 2, height, width
        )


def encode_image(image: NDArray[np.uint8], driver: str) -> bytes:
    """Encode an image as a file.

    Args:
        image: ``(band, row, col)``.
        driver: GDAL's, "JPEG" or "PNG".

    Returns:
        Bytes of the file.

    """
    bands, height, width = image.shape
    profile = {"count": bands, "height": height, "width": width, "dtype": "uint8"}
    with SILENCE, MemoryFile() as memory, rasterio.Env(GDAL_PAM_ENABLED="NO"):
        with memory.open(driver=driver, **profile, **QUALITY.get(driver, {})) as dataset:
            dataset.write(image)
        return bytes(memory.getbuffer())
