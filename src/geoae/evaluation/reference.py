"""Clean scenes to which noise of known strength is added."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from geoae.errors import InputError
from geoae.raster.scene import Scene
from geoae.system.warnings import SILENCE
from geoae.tiling.window import Window
from geoae.types import Floats

__all__ = ["GREYS", "Reference"]

# The range between them is a band's span: the peak of PSNR and SSIM, and 255 units of noise.
PERCENTILES = (0.5, 99.5)
GREYS = 255
# Least side in pixels; below it SSIM has no window.
SMALLEST = 6
# Side of the blocks whose means serve as a scene without noise.
BLOCK = 4


@dataclass(frozen=True, eq=False)
class Reference:
    """A scene before noise is added."""

    name: str
    """Name of the scene."""
    pixels: Floats
    """Pixels ``(band, row, col)`` in DN."""
    valid: NDArray[np.bool_]
    """``(row, col)``, True where all bands are valid."""
    low: Floats
    """0.5th percentile of the valid pixels in DN, ``(band,)``."""
    span: Floats
    """Range from the 0.5th to the 99.5th percentile in DN, ``(band,)``."""
    crs: Any
    """Coordinate reference system, as rasterio gives it."""
    transform: Affine
    """Affine transform of the pixels."""
    dtype: str = "float32"
    """Type of the files that ``write`` writes: float32, or uint8."""

    @classmethod
    def of(
        cls, name: str, pixels: Floats, valid: NDArray[np.bool_], crs: Any, transform: Affine
    ) -> Self:
        """Compute the span of a scene.

        Args:
            name: name of the scene.
            pixels: ``(band, row, col)`` in DN.
            valid: ``(row, col)``, True where all bands are valid.
            crs: coordinate reference system.
            transform: affine transform of the pixels.

        """
        low, high = np.percentile(pixels[:, valid], PERCENTILES, axis=1)
        return cls(name, pixels, valid, low, high - low, crs, transform)

    @classmethod
    def read(cls, path: Path, name: str, side: int, nodata: float | int | None = None) -> Self:
        """Read the middle of a raster's measured bands.

        Args:
            path: raster to read.
            name: name of the scene.
            side: largest height and width to read, in pixels.
            nodata: value of invalid pixels that the file does not declare, in DN.

        Raises:
            InputError: the raster cannot be read, has no measured band, or its middle holds too few
                valid pixels or a single value.

        """
        scene = Scene.open(str(path), fill=nodata)
        if not scene.bands:
            raise InputError(f"{path}: has no measured band; leave it out")
        height, width = min(scene.height, side), min(scene.width, side)
        window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
        with scene.reader() as reader:
            pixels, mask = reader.read(window)
            transform, crs = reader.dataset.window_transform(window.slices()), reader.dataset.crs
        valid: NDArray[np.bool_] = np.all(
            np.ones(pixels.shape, bool) if mask is None else mask, axis=0
        )
        if min(valid.shape) < SMALLEST or not valid.any():
            raise InputError(
                f"{path}: its middle has no pixel valid in all bands, or is below {SMALLEST} px;"
                " leave it out"
            )
        truth = cls.of(name, pixels.astype(np.float64), valid, crs, transform)
        if not truth.span.any():
            raise InputError(f"{path}: its middle is of one value; leave it out")
        return truth

    def clean(self) -> Self:
        """Average blocks of 4 x 4 px, which removes most noise; a block with an invalid pixel is
        invalid.
        """
        height, width = (length // BLOCK for length in self.valid.shape)
        grid = np.s_[: height * BLOCK, : width * BLOCK]
        blocks = (height, BLOCK, width, BLOCK)
        pixels = self.pixels[:, *grid].reshape(-1, *blocks).mean(axis=(2, 4))
        valid: NDArray[np.bool_] = np.all(self.valid[grid].reshape(blocks), axis=(1, 3))
        if min(valid.shape) < SMALLEST or not valid.any():
            raise InputError(
                f"{self.name}: too little of it is valid for means of {BLOCK} x {BLOCK} px; leave"
                " it or noise 0 out"
            )
        return self.of(self.name, pixels, valid, self.crs, self.transform @ Affine.scale(BLOCK))

    def eight_bits(self) -> Self:
        """Clip to the span, which becomes 0 to 255, and round; files are of uint8 then."""
        span = np.where(self.span > 0, self.span, 1)[:, None, None]
        units = (self.pixels - self.low[:, None, None]) / span
        levels = np.rint(np.clip(units, 0, 1) * GREYS)
        found = self.of(self.name, levels, self.valid, self.crs, self.transform)
        return replace(found, dtype="uint8")

    def noisy(self, sigma: float) -> Floats:
        """Add white Gaussian noise of ``sigma`` 255ths of each band's span, neither clipped nor
        rounded.
        """
        noise = np.random.default_rng(round(sigma)).standard_normal(self.pixels.shape)
        return self.pixels + noise * (sigma / GREYS) * self.span[:, None, None]

    def write(self, path: Path, pixels: Floats) -> None:
        """Write pixels as a georeferenced GeoTIFF. Invalid ones are NaN, declared as nodata; in a
        file of uint8 a mask tells them.

        Args:
            path: file to write.
            pixels: ``(band, row, col)`` in DN.

        """
        bands, height, width = pixels.shape
        profile = {
            "driver": "GTiff",
            "count": bands,
            "height": height,
            "width": width,
            "dtype": self.dtype,
        }
        whole, levels = self.valid.all(), self.dtype == "uint8"
        nodata = None if whole or levels else np.nan
        if levels:
            pixels = np.rint(np.clip(pixels, 0, GREYS))
        place = {"crs": self.crs, "transform": self.transform}
        with (
            SILENCE,
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", nodata=nodata, **place, **profile) as dataset,
        ):
            filled = pixels if levels else np.where(self.valid, pixels, np.nan)
            dataset.write(filled.astype(self.dtype))
            if levels and not whole:
                dataset.write_mask(self.valid)

    def to_unit(self, pixels: Floats) -> NDArray[np.float32]:
        """Scale DN to 0..1 over the span; invalid pixels take the median of their band."""
        units = (pixels - self.low[:, None, None]) / np.where(self.span > 0, self.span, 1)[
            :, None, None
        ]
        middle = np.median(units[:, self.valid], axis=1)
        return np.where(self.valid, units, middle[:, None, None]).astype(np.float32)

    def to_dn(self, units: NDArray[np.float32]) -> Floats:
        """Scale back to DN: the inverse of ``to_unit``."""
        return units.astype(np.float64) * self.span[:, None, None] + self.low[:, None, None]
