"""The base class of GDAL's errors, which rasterio raises but keeps in a private module.

Functions such as ``rasterio.shutil.copy`` raise these errors as they are, not as a
``RasterioError``. A rasterio that moves the class fails tests/system/test_gdal_errors.py.
"""

from rasterio._err import CPLE_BaseError

__all__ = ["CPLE_BaseError"]
