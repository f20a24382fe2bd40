"""Suppress rasterio's warnings; geoae reports what matters in its own messages."""

import threading
import warnings
from types import TracebackType

import rasterio.errors

__all__ = ["SILENCE"]

# All of rasterio's warnings.
WARNINGS = tuple(
    found
    for found in vars(rasterio.errors).values()
    if isinstance(found, type) and issubclass(found, Warning)
)


class _Silence:
    """A context manager that ignores rasterio's warnings while any thread is inside it.

    Python has one list of warning filters per process. If each thread saved and restored it, one
    thread could restore the filters of another. So the first thread to enter changes the filters,
    and the last one to leave restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._within == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                for kind in WARNINGS:
                    warnings.simplefilter("ignore", kind)
            self._within += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._within -= 1
            if self._within == 0:
                self._filters.__exit__(kind, error, trace)


SILENCE = _Silence()
