"""Memory of this process: what it has taken, and how glibc keeps what is free."""

import ctypes
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["CACHE_MIB", "allocate_small_pieces", "keep_large_arrays", "peak_rss", "release_memory"]

# Memory for GDAL's blocks, in MB.
CACHE_MIB = 48

# Parameters of glibc's mallopt: M_MMAP_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD. The second are
# glibc's own.
LARGE_ARRAYS = {-4: 0, -1: 512 << 20}
SMALL_PIECES = {-4: 65_536, -3: 128 << 10, -1: 128 << 10}
_tuned = False


def keep_large_arrays() -> None:
    """Let glibc keep freed memory for the next activations of a network. For a process of our own
    only.
    """
    global _tuned
    _tuned = True
    # M_ARENA_MAX: other threads' arenas keep nothing of this size
    _set_allocator({-8: 1} | LARGE_ARRAYS)


def _set_allocator(values: Mapping[int, int]) -> None:
    with suppress(OSError, AttributeError):  # not glibc
        libc = ctypes.CDLL("libc.so.6")
        for parameter, value in values.items():
            libc.mallopt(parameter, value)


@contextmanager
def allocate_small_pieces() -> Iterator[None]:
    """Give free memory back, and keep none within the block, where a network is done and GDAL
    copies blocks.

    What suits a network's activations would leave GDAL's blocks in pieces: 60 MiB more at 16384 px.
    Only in a process that ``keep_large_arrays`` has tuned.
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
    """Give freed memory back to the system: what one stage of a run left in pieces does not fit the
    next one's arrays.
    """
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def peak_rss() -> int:
    """Most memory in bytes that this process has held.

    Where the system does not say so for this process alone, it is what ``getrusage`` gives, which
    begins with the peak of the process that started this one.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1 << 10
    )
