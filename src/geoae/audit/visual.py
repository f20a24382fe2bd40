"""A visual COG: all pixels of a scene, stretched to 8 bits for display, with an alpha band."""

import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from geoae.audit.display import RGB, Display, DisplayReader
from geoae.audit.stretch import Stretch
from geoae.raster.dataset import gdal_threads, open_raster
from geoae.system.files import file_name
from geoae.system.warnings import SILENCE
from geoae.tiling.window import Window
from geoae.types import Mask

__all__ = ["DOMAIN", "write_visual"]

# Metadata domain that tells a visual COG from data. A restoration of it keeps the domain.
DOMAIN = "GEOAE_VISUAL"
# Pixels of a strip, over all bands.
STRIP = 1 << 24
COG = {
    "driver": "COG",
    "COMPRESS": "DEFLATE",
    "LEVEL": "1",
    "PREDICTOR": "YES",
    "BLOCKSIZE": "512",
    "OVERVIEWS": "IGNORE_EXISTING",
    "OVERVIEW_RESAMPLING": "AVERAGE",
    "BIGTIFF": "IF_SAFER",
    "COPY_SRC_MDD": "YES",
}

Checksums = tuple[int, ...]


def write_visual(display: Display, reader: DisplayReader, stretch: Stretch, target: Path) -> bool:
    """Write a visual COG, strip by strip.

    Args:
        display: the scene and its bands.
        reader: reads them.
        stretch: contrast of each band.
        target: file to write. A second file is written beside it, and removed.

    Returns:
        Whether any pixel is valid.

    Raises:
        ReadError: the scene cannot be read.
        OSError: the file does not read as it was written, as on a full disk.
        RasterioError: the file cannot be written.

    """
    strips = target.with_name("strips.tif")
    with SILENCE, rasterio.Env(GDAL_PAM_ENABLED="NO"):
        with rasterio.open(strips, "w", **_profile(display, reader.reader.dataset)) as dataset:
            _describe(dataset, display, reader.reader.dataset, stretch)
            written, shows = _write_strips(dataset, display, reader, stretch)
        rasterio.shutil.copy(str(strips), str(target), **COG, NUM_THREADS=gdal_threads())
    strips.unlink()
    # On a full disk GDAL reports nothing to its caller.
    with open_raster(str(target)) as dataset:
        if _checksums(dataset) != written:
            raise OSError("it does not read as written")
    return shows


def _profile(display: Display, source: DatasetReader) -> dict[str, Any]:
    scene = display.scene
    points, points_crs = source.gcps
    place: dict[str, Any] = {"crs": source.crs}
    if not source.transform.is_identity:
        place["transform"] = source.transform
    elif points:
        place = {"gcps": points, "crs": points_crs}
    return place | {
        "driver": "GTiff",
        "count": len(display.bands) + 1,
        "height": scene.height,
        "width": scene.width,
        "dtype": "uint8",
        "rpcs": source.rpcs,
        "photometric": "RGB" if len(display.bands) == 3 else "MINISBLACK",
        "alpha": "UNASSOCIATED",
        "compress": "DEFLATE",
        "zlevel": 1,
        "bigtiff": "IF_SAFER",
    }


def _describe(
    dataset: rasterio.io.DatasetWriter, display: Display, source: DatasetReader, stretch: Stretch
) -> None:
    colours = RGB if len(display.bands) == 3 else (ColorInterp.gray,)
    dataset.colorinterp = (*colours, ColorInterp.alpha)
    if area := source.tags().get("AREA_OR_POINT"):
        dataset.update_tags(AREA_OR_POINT=area)
    for index, band in enumerate(display.bands, start=1):
        if name := source.descriptions[band - 1]:
            dataset.set_band_description(index, name)
    ends = zip(stretch.low, stretch.high, strict=True)
    dataset.update_tags(
        ns=DOMAIN,
        VISUAL="yes",
        SOURCE=file_name(display.scene.source),
        SHOWN=",".join(map(str, display.bands)),
        STRETCH=",".join(f"{low:.6g}..{high:.6g}" for low, high in ends),
        VERSION=version("geoae"),
    )


def _write_strips(
    dataset: rasterio.io.DatasetWriter, display: Display, reader: DisplayReader, stretch: Stretch
) -> tuple[Checksums, bool]:
    """Write all strips, and return a checksum of each band and whether any pixel is valid."""
    sums: Checksums = (0,) * dataset.count
    shows = False
    for window in _strips(dataset):
        pixels, mask = reader.read(window)
        valid: Mask = np.logical_or.reduce(mask, axis=0)
        image = np.concatenate([stretch.to_bytes(pixels, valid), valid[None] * np.uint8(255)])
        dataset.write(image, window=_area(window))
        sums = _add(sums, image)
        shows = shows or bool(valid.any())
    return sums, shows


def _checksums(dataset: DatasetReader) -> Checksums:
    sums: Checksums = (0,) * dataset.count
    for window in _strips(dataset):
        sums = _add(sums, dataset.read(window=_area(window)))
    return sums


def _add(sums: Checksums, image: NDArray[np.uint8]) -> Checksums:
    return tuple(zlib.crc32(band.tobytes(), one) for band, one in zip(image, sums, strict=True))


def _strips(dataset: DatasetReader) -> Iterator[Window]:
    rows = max(1, STRIP // (dataset.count * dataset.width))
    for row in range(0, dataset.height, rows):
        yield Window(row, 0, min(rows, dataset.height - row), dataset.width)


def _area(window: Window) -> RasterWindow:
    return RasterWindow(window.col, window.row, window.width, window.height)
