"""Refuse scenes before any work (absurd sizes, what a GeoTIFF cannot hold), and locate damage."""

from contextlib import suppress
from math import ceil
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from geoae.errors import InputError, ReadError
from geoae.raster.crs import encode_crs
from geoae.raster.dataset import DAMAGED, STRICT, no_codec, one_line
from geoae.system.warnings import SILENCE
from geoae.tiling.window import Window

__all__ = [
    "FEW_BLOCKS",
    "MOST_BANDS",
    "check_dtype",
    "check_fits_geotiff",
    "first_unreadable_block",
    "read_error",
    "reads_whole",
    "refuse_absurd",
    "refuse_too_many",
]

# Types that can be restored.
DTYPES = {
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float32",
    "float64",
}

# GDAL decodes blocks whole: one of this many bytes takes some three times as much memory.
LARGEST_BLOCK = 512 << 20
# No codec packs so many bytes of a scene into one: such a file holds nothing but its own
# description.
EMPTY = 1 << 16
# Smaller scenes are restored in seconds, whether or not there is anything in them.
LARGE = 1 << 30
# Enough to find a file cut short, where reading all of it would take too long: of an archive, of
# remote storage.
FEW_BLOCKS = 16
# Restoring compares each band with each: more would take minutes and gigabytes before the first
# tile.
MOST_BANDS = 512
# Bands that are read at once, where they take no more bytes than this: with each read rasterio
# looks at all bands of the file.
TOGETHER, MOST_BYTES = 16, 64 << 20


def refuse_absurd(source: str, dataset: rasterio.DatasetReader) -> None:
    """Refuse a small file that declares more pixels than any memory holds, or that is empty.

    Args:
        source: name of the scene.
        dataset: the same scene, open.

    Raises:
        InputError: its blocks are too large, or the file is far too small for its pixels.

    """
    pixel = np.dtype(dataset.dtypes[0]).itemsize
    together = (
        dataset.count if dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL" else 1
    )
    height, width = dataset.block_shapes[0]
    block = height * width * pixel * together
    if block > LARGEST_BLOCK:
        raise InputError(
            f"{source}: its blocks of {height} x {width} px hold {ceil(block / 2**20)} MiB each,"
            f" more than {LARGEST_BLOCK >> 20}; rewrite it in tiles (gdal_translate -co TILED=YES)"
        )
    path = Path(source)
    declared = dataset.width * dataset.height * dataset.count * pixel
    if (
        dataset.driver == "GTiff"
        and path.is_file()
        and declared > max(LARGE, EMPTY * path.stat().st_size)
    ):
        raise InputError(
            f"{source}: declares {declared / 2**30:.0f} GiB of pixels in a file of"
            f" {path.stat().st_size} bytes, so it is empty or cut short; get it again"
        )


def refuse_too_many(source: str, bands: int) -> None:
    """Refuse more measured bands than can be restored at once.

    Args:
        source: name of the scene.
        bands: number of measured bands.

    Raises:
        InputError: there are too many.

    """
    if bands > MOST_BANDS:
        raise InputError(
            f"{source}: has {bands} bands, of which at most {MOST_BANDS} can be restored at once;"
            " choose with --bands"
        )


def check_fits_geotiff(source: str, dataset: rasterio.DatasetReader) -> None:
    """Refuse a scene whose description does not fit into a GeoTIFF.

    Args:
        source: name of the scene.
        dataset: the same scene, open.

    Raises:
        InputError: a CRS without a GeoTIFF encoding, or masks or nodata that differ between bands.

    """
    for crs in filter(None, (dataset.crs, dataset.gcps[1])):
        if encode_crs(crs.to_wkt()) is None:
            name = crs.to_wkt().split('"')[1][:60]
            raise InputError(
                f"{source}: has a CRS that a GeoTIFF cannot hold ({name}); assign another"
                " (gdal_translate -a_srs)"
            )
    nodata = {repr(value) for value in dataset.nodatavals}
    if len(nodata) > 1:
        raise InputError(
            f"{source}: has bands of different nodata ({', '.join(sorted(nodata))}), which a"
            " GeoTIFF cannot hold; split it into one file for each"
        )
    if not any(flags == [] for flags in dataset.mask_flag_enums):
        return
    for _, area in dataset.block_windows(1):
        try:
            masks = dataset.read_masks(window=area)
        except RasterioError as error:
            window = Window(area.row_off, area.col_off, area.height, area.width)
            raise read_error(source, dataset, window, error) from error
        if (masks != masks[0]).any():
            raise InputError(
                f"{source}: has bands with a mask of their own each, which a GeoTIFF cannot hold;"
                " split it into one file for each"
            )


def read_error(
    source: str, dataset: rasterio.DatasetReader, window: Window, error: BaseException
) -> InputError:
    """Return the error for a window that cannot be read.

    Args:
        source: name of the scene.
        dataset: the same scene, open.
        window: the window.
        error: GDAL's error.

    Returns:
        An error that names the first damaged block, or the codec that is missing.

    """
    found = first_unreadable_block(dataset, window)
    block, why = found or (window, one_line(error))
    if unknown := no_codec(source, why):
        return unknown
    cure = "the file is cut short or damaged, or its storage is failing; get it again"
    if dataset.driver == "VRT":
        cure = "check the files that the VRT refers to"
    return ReadError(
        f"{source}: rows {block.row}..{block.stop_row - 1}, columns"
        f" {block.col}..{block.stop_col - 1} cannot be read ({why}): {cure}"
    )


def first_unreadable_block(
    dataset: rasterio.DatasetReader, inside: Window
) -> tuple[Window, str] | None:
    """Find the first block that cannot be read.

    Args:
        dataset: the raster, open.
        inside: the window to search.

    Returns:
        The block and GDAL's message; None where all blocks can be read.

    """
    height, width = dataset.block_shapes[0]
    band_bytes = height * width * np.dtype(dataset.dtypes[0]).itemsize
    together = max(1, min(TOGETHER, MOST_BYTES // band_bytes))
    for top in range(inside.row // height * height, inside.stop_row, height):
        for left in range(inside.col // width * width, inside.stop_col, width):
            block = Window(
                top, left, min(height, dataset.height - top), min(width, dataset.width - left)
            )
            area = RasterWindow(block.col, block.row, block.width, block.height)
            try:
                for first in range(0, dataset.count, together):
                    some = list(dataset.indexes[first : first + together])
                    dataset.read(some, window=area)
                    dataset.read_masks(some, window=area)
            except RasterioError as error:
                return block, one_line(error)
    return None


def reads_whole(name: str, most: int | None = None) -> bool:
    """Whether a raster can be decoded: its blocks, masks and overviews.

    Args:
        name: the raster.
        most: about how many blocks of each resolution to try, spread over the file, the last one
            included; this finds truncated files, and most of those with a hole. None for all
            blocks.

    """
    with suppress(*DAMAGED), SILENCE, rasterio.Env(**STRICT):
        with rasterio.open(name) as dataset:
            levels = len(dataset.overviews(1))
        return _decodes(name, most) and all(
            _decodes(name, most, OVERVIEW_LEVEL=level) for level in range(levels)
        )
    return False


def _decodes(name: str, most: int | None, **options: int) -> bool:
    with rasterio.open(name, **options) as dataset:
        areas = [area for _, area in dataset.block_windows(1)]
        step = 1 if most is None else max(1, len(areas) // most)
        blocks = (
            Window(area.row_off, area.col_off, area.height, area.width) for area in areas[::-step]
        )
        return not any(first_unreadable_block(dataset, block) for block in blocks)


def check_dtype(source: str, dataset: rasterio.DatasetReader) -> str:
    """Return the one type of all bands.

    Args:
        source: name of the raster.
        dataset: the same, open.

    Raises:
        InputError: bands of several types, or a type that cannot be restored.

    """
    dtypes = sorted(set(dataset.dtypes))
    if len(dtypes) > 1:
        raise InputError(
            f"{source}: bands of several types ({', '.join(dtypes)}); split them into one file a"
            " type"
        )
    if dtypes[0] not in DTYPES:
        raise InputError(
            f"{source}: {dtypes[0]} data cannot be restored; convert it first, complex SAR to"
            " amplitude"
        )
    return str(dtypes[0])
