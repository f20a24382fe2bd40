"""What belongs to a command of its own process, and never to an import."""

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["CACHE_MIB", "allocate_small_pieces", "hush_libraries", "peak_rss", "release_memory", "tune_process"]

# Memory for GDAL's blocks, in MB.
CACHE_MIB = 48

# Parameters of glibc's mallopt: M_MMAP_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD. The second are glibc's own.
LARGE_ARRAYS = {-4: 0, -1: 512 << 20}
SMALL_PIECES = {-4: 65_536, -3: 128 << 10, -1: 128 << 10}
_tuned = False


def tune_process() -> None:
    """Memory settings of this process alone: what an import must not do to another program.

    glibc maps and faults in every activation anew unless told to keep freed memory (1.15 to 1.5
    times the speed on a CPU); GDAL's block cache would grow with the machine's memory; numpy's small
    matrix products would start threads that take the cores from the network (1.1 times).
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
    os.environ.setdefault("CPL_LOG", os.devnull)  # what GDAL's own threads say; errors are told in one line
    # PROJ prints what libgeotiff looks up in vain, and then does without.
    os.environ.setdefault("PROJ_DEBUG", "0")
    global _tuned
    _tuned = True
    _set_allocator({-8: 1} | LARGE_ARRAYS)  # M_ARENA_MAX: other threads' arenas keep nothing of this size


def _set_allocator(values: Mapping[int, int]) -> None:
    with suppress(OSError, AttributeError):  # not glibc
        libc = ctypes.CDLL("libc.so.6")
        for parameter, value in values.items():
            libc.mallopt(parameter, value)


@contextmanager
def allocate_small_pieces() -> Iterator[None]:
    """Give free memory back, and keep none within the block, where a network is done and GDAL copies blocks.

    What suits a network's activations would leave GDAL's blocks in pieces: 60 MiB more at 16384 px. Only in a
    process that ``tune_process`` has tuned.
    """
    release_memory()
    if _tuned:
        _set_allocator(SMALL_PIECES)
    try:
        yield
    finally:
        if _tuned:
            _set_allocator(LARGE_ARRAYS)


def release_memory() -> None:
    """Give freed memory back to the system: what one stage of a run left in pieces does not fit the next one's arrays."""
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def peak_rss() -> int:
    """Most memory in bytes that this process has held; 0 where the system does not say.

    ``getrusage`` would give that of the process that started this one, where it held more.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


def hush_libraries() -> None:
    """Of a full disk libtiff, of damage HDF5 tell standard error by themselves, past GDAL and Python; we do so in one line."""
    import rasterio._base

    for name, arguments in (("TIFFSetErrorHandler", (None,)), ("H5Eset_auto2", (ctypes.c_int64(0), None, None))):
        with suppress(OSError, AttributeError):  # a build that hides it
            getattr(ctypes.CDLL(rasterio._base.__file__), name)(*arguments)
