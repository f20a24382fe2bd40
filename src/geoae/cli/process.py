"""What belongs to a command of its own process, and never to an import."""

import ctypes
import os
from contextlib import suppress

from geoae.system.memory import CACHE_MIB, keep_large_arrays

__all__ = ["hush_libraries", "tune_process"]


def tune_process() -> None:
    """Memory settings of this process alone: what an import must not do to another program.

    glibc maps and faults in every activation anew unless told to keep freed memory (1.15 to 1.5
    times the speed on a CPU); GDAL's block cache would grow with the machine's memory; numpy's
    small matrix products would start threads that take the cores from the network (1.1 times).
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("GDAL_CACHEMAX", str(CACHE_MIB))
    os.environ.setdefault("GDAL_PAM_ENABLED", "YES")
    # Remote storage hiccups; a server that says nothing for a minute is down.
    os.environ.setdefault("GDAL_HTTP_MAX_RETRY", "4")
    os.environ.setdefault("GDAL_HTTP_RETRY_DELAY", "0.5")
    os.environ.setdefault("GDAL_HTTP_CONNECTTIMEOUT", "30")
    os.environ.setdefault("GDAL_HTTP_LOW_SPEED_LIMIT", "1")
    os.environ.setdefault("GDAL_HTTP_LOW_SPEED_TIME", "60")
    # what GDAL's own threads say; errors are told in one line
    os.environ.setdefault("CPL_LOG", os.devnull)
    # PROJ prints what libgeotiff looks up in vain, and then does without.
    os.environ.setdefault("PROJ_DEBUG", "0")
    keep_large_arrays()


def hush_libraries() -> None:
    """Of a full disk libtiff, of damage HDF5 tell standard error by themselves, past GDAL and
    Python; we do so in one line.
    """
    import rasterio._base

    for name, arguments in (
        ("TIFFSetErrorHandler", (None,)),
        ("H5Eset_auto2", (ctypes.c_int64(0), None, None)),
    ):
        with suppress(OSError, AttributeError):  # a build that hides it
            getattr(ctypes.CDLL(rasterio._base.__file__), name)(*arguments)
