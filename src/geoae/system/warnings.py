"""Rasterio's warnings, which geoae says in its own words, never reach the user."""

import threading
import warnings
from types import TracebackType

import rasterio.errors

__all__ = ["SILENCE"]

# All that rasterio may warn of: geoae says in its own words what a user should know.
WARNINGS = tuple(
    found
    for found in vars(rasterio.errors).values()
    if isinstance(found, type) and issubclass(found, Warning)
)


class _Silence:
    """Ignores rasterio's warnings while any thread is within.

    Python's filters belong to the process. Were each thread to save and restore them by itself, the
    last to leave could bring back those of another, or leave its own behind.
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
