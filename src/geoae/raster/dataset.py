"""Open rasters so that what is damaged is an error, and nothing but geoae speaks of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import rasterio
from rasterio.io import DatasetReader

from geoae.raster.validate import STRICT, refuse_what_is_no_file
from geoae.system.warnings import SILENCE

__all__ = ["open_raster"]


@contextmanager
def open_raster(name: str) -> Iterator[DatasetReader]:
    """Open ``name`` with GDAL's strict settings.

    Raises:
        InputError: a name that GDAL cannot be given, or a pipe.
        RasterioError: whatever rasterio says of what cannot be opened.

    """
    refuse_what_is_no_file(name)
    with SILENCE, rasterio.Env(**STRICT), rasterio.open(name) as dataset:
        yield dataset
