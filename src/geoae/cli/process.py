"""Settings of a process that geoae owns, which an import of geoae must not change."""

import ctypes
import os
from contextlib import suppress

from geoae.system.memory import CACHE_MIB, keep_large_arrays

__all__ = ["silence_libraries", "tune_process"]


def tune_process() -> None:
    """Set memory and library options of this process.

    glibc returns freed memory to the system and fetches it again for each activation; keeping it
    makes a CPU 1.15 to 1.5 times as fast. GDAL's block cache would grow with the machine's memory.
    For small matrix products numpy would start threads that take cores from the network (1.1
    times).
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("GDAL_CACHEMAX", str(CACHE_MIB))
    os.environ.setdefault("GDAL_PAM_ENABLED", "YES")
    # Remote storage fails now and then; a server that sends nothing for a minute is down.
    os.environ.setdefault("GDAL_HTTP_MAX_RETRY", "4")
    os.environ.setdefault("GDAL_HTTP_RETRY_DELAY", "0.5")
    os.environ.setdefault("GDAL_HTTP_CONNECTTIMEOUT", "30")
    os.environ.setdefault("GDAL_HTTP_LOW_SPEED_LIMIT", "1")
    os.environ.setdefault("GDAL_HTTP_LOW_SPEED_TIME", "60")
    # messages of GDAL's own threads; geoae reports errors in one line
    os.environ.setdefault("CPL_LOG", os.devnull)
    # PROJ prints each lookup of libgeotiff that fails, although libgeotiff has an alternative.
    os.environ.setdefault("PROJ_DEBUG", "0")
    keep_large_arrays()


def silence_libraries() -> None:
    """Silence libtiff and HDF5, which print errors to standard error themselves.

    geoae reports them in one line.
    """
    import rasterio._base

    for name, arguments in (
        ("TIFFSetErrorHandler", (None,)),
        ("H5Eset_auto2", (ctypes.c_int64(0), None, None)),
    ):
        with suppress(OSError, AttributeError):  # a build that does not export it
            getattr(ctypes.CDLL(rasterio._base.__file__), name)(*arguments)
