"""Processes forked from one that has computed: the threads of libraries do not come along, and
libraries wait for them.
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
    """Call ``limit``, which keeps ``library`` to one thread, in processes that lack its other ones.

    Those are this process, if it was forked from one that had loaded ``library``, and all that are
    forked from it. Processes that are spawned have threads of their own.
    """
    if library in _loaded_before:
        limit()
    os.register_at_fork(after_in_child=limit)
