"""Computing ahead on other threads, in order and bounded."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

__all__ = ["read_ahead"]

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(
    executor: Executor, function: Callable[[T], R], items: Iterable[T], depth: int
) -> Iterator[R]:
    """Yield ``map(function, items)`` in order, computed ahead.

    Where the caller stops early, calls that wait are cancelled. The executor waits for those that
    run, when it is shut down.

    Args:
        executor: computes the calls.
        function: called with each item.
        items: arguments of the calls.
        depth: most calls that run or wait at a time.

    """
    running: deque[Future[R]] = deque()
    try:
        for item in items:
            running.append(executor.submit(function, item))
            if len(running) > depth:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
