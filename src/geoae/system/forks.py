"""Forked processes: they lack the threads of libraries that the parent process used.

Such a library would wait for its threads for ever.
"""

import os
import sys
from collections.abc import Callable

__all__ = ["use_one_thread"]

# Libraries that keep threads, and were loaded in the process that this one was forked from.
_loaded_before: set[str] = set()
os.register_at_fork(
    after_in_child=lambda: _loaded_before.update({"rasterio", "torch"} & sys.modules.keys())
)


def use_one_thread(library: str, limit: Callable[[], None]) -> None:
    """Restrict a library to one thread in processes that lack its other threads.

    Those are this process, if it was forked from one that had loaded the library, and all processes
    forked from this one. Spawned processes start threads of their own.

    Args:
        library: name of the module.
        limit: restricts it to one thread.

    """
    if library in _loaded_before:
        limit()
    os.register_at_fork(after_in_child=limit)
