"""Kinds of output, each with the creation options that GDAL is given for a source."""

from collections.abc import Callable

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from geoae.radiometry.band_names import interpret_name
from geoae.raster.dataset import gdal_threads
from geoae.raster.parts import limit_block

__all__ = ["WRITERS", "packed_bits"]


def _cog(dataset: DatasetReader) -> dict[str, str]:
    return _common(dataset) | {
        "driver": "COG",
        "LEVEL": "1",
        "BLOCKSIZE": str(_blocksize(dataset, 512)),
        "OVERVIEWS": "IGNORE_EXISTING",
        "OVERVIEW_RESAMPLING": "NEAREST" if _has_classes(dataset) else "AVERAGE",
    }


def _gtiff(dataset: DatasetReader) -> dict[str, str]:
    side = str(_blocksize(dataset, 256))
    return _common(dataset) | {
        "driver": "GTiff",
        "ZSTD_LEVEL": "1",
        "TILED": "YES",
        "BLOCKXSIZE": side,
        "BLOCKYSIZE": side,
    }


WRITERS: dict[str, Callable[[DatasetReader], dict[str, str]]] = {
    "cog": _cog,
    "gtiff": _gtiff,
}


def _common(dataset: DatasetReader) -> dict[str, str]:
    """Return creation options: a predictor, or the source's bit depth, for which libtiff has
    none.
    """
    # In the VRT, NBITS would round floating point to integers. JPEG 2000 is not packed: there it is
    # a precision.
    options = {
        "COMPRESS": "ZSTD",
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": gdal_threads(),
        "COPY_SRC_MDD": "YES",
    }
    bits = packed_bits(dataset)
    if all(bits) and not dataset.driver.startswith("JP2"):
        return options | {"NBITS": str(max(map(int, filter(None, bits))))}
    return options | {"PREDICTOR": "3" if dataset.dtypes[0].startswith("float") else "2"}


def packed_bits(dataset: DatasetReader) -> list[str | None]:
    """Return how many bits of a pixel a file stores.

    Args:
        dataset: the open file.

    Returns:
        The number for each band, as GDAL writes it; None where pixels are not packed.

    """
    return [dataset.get_tag_item("NBITS", "IMAGE_STRUCTURE", bidx=band) for band in dataset.indexes]


def _blocksize(dataset: DatasetReader, side: int) -> int:
    pixel = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    return limit_block(pixel, side)


def _has_classes(dataset: DatasetReader) -> bool:
    """Whether the average of neighbours would be a value with another meaning."""
    return (
        "1" in packed_bits(dataset)
        or ColorInterp.palette in dataset.colorinterp
        or any(interpret_name(name or "").kind for name in dataset.descriptions)
    )
