"""Memory of this process: its peak, and how glibc's allocator treats freed memory."""

import ctypes
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = [
    "CACHE_MIB",
    "allocate_small_pieces",
    "is_out_of_memory",
    "keep_large_arrays",
    "peak_rss",
    "release_memory",
    "small_block_cache",
]

# Size of GDAL's block cache in MB.
CACHE_MIB = 48

# Parameters of glibc's mallopt: -4 M_MMAP_MAX, -3 M_MMAP_THRESHOLD, -1 M_TRIM_THRESHOLD.
# SMALL_PIECES keep what GDAL takes and frees most while it makes overviews, 8 MiB for four bands of
# 16 bits: fetching such a buffer each time took more CPU time than the rest of the copy.
LARGE_ARRAYS = {-4: 0, -1: 512 << 20}
SMALL_PIECES = {-4: 65_536, -3: 32 << 20, -1: 64 << 20}
_tuned = False


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, of Python or of PyTorch, which is not loaded for that.

    PyTorch has an error of its own for that on CUDA alone; that of a CPU under Linux counts, too.
    """
    torch = sys.modules.get("torch")
    own = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, own) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def keep_large_arrays() -> None:
    """Make glibc keep freed memory for the next activations of a network.

    Call it only in a process that geoae owns, such as the command's.
    """
    global _tuned
    _tuned = True
    # -8 M_ARENA_MAX: arenas of other threads keep no arrays of this size
    _set_allocator({-8: 1} | LARGE_ARRAYS)


def _set_allocator(values: Mapping[int, int]) -> None:
    with suppress(OSError, AttributeError):  # not glibc
        libc = ctypes.CDLL("libc.so.6")
        for parameter, value in values.items():
            libc.mallopt(parameter, value)


@contextmanager
def allocate_small_pieces() -> Iterator[None]:
    """Return freed memory to the system, and keep little inside the block.

    Use it where the network has finished and GDAL copies blocks: the settings that suit activations
    would fragment GDAL's memory, by 60 MiB at 16384 px. Without ``keep_large_arrays`` before, only
    the freed memory is returned.
    """
    release_memory()
    if _tuned:
        _set_allocator(SMALL_PIECES)
    try:
        yield
    finally:
        if _tuned:
            _set_allocator(LARGE_ARRAYS)


@contextmanager
def small_block_cache(most: int | None) -> Iterator[None]:
    """Bound GDAL's block cache inside the block, in a process that ``keep_large_arrays`` has tuned.

    One such block at a time in a process: of two that overlap, the second would keep the bound.

    Args:
        most: bytes; None to leave it as it is.

    """
    if most is None or not _tuned:
        yield
        return
    from rasterio.env import Env, get_gdal_config, set_gdal_config

    with Env():
        before = get_gdal_config("GDAL_CACHEMAX")
        set_gdal_config("GDAL_CACHEMAX", min(before, most))
        try:
            yield
        finally:
            set_gdal_config("GDAL_CACHEMAX", before)


def release_memory() -> None:
    """Return freed memory to the system. Fragments of one stage do not fit the arrays of the
    next.
    """
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def peak_rss() -> int:
    """Return the peak memory of this process in bytes.

    Where the system does not state it, ``getrusage`` gives a figure that includes the peak of the
    parent process.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1 << 10
    )
