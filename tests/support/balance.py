"""The order of tests: those that take minutes first, in the queue of each worker process."""

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["balance"]

Item = TypeVar("Item")


def balance(slow: Sequence[Item], fast: Sequence[Item], workers: int) -> list[Item]:
    """Order tests so that each worker begins with slow ones and ends with fast ones.

    ``--dist worksteal`` gives each worker an equal run of the list, and a worker that has none left
    takes from the end of another's. Were slow ones there, the others would wait for the last.

    Args:
        slow: tests that take minutes, each module's side by side.
        fast: the others.
        workers: number of worker processes, 1 or more.

    Returns:
        All tests.

    """
    ordered: list[Item] = []
    total = len(slow) + len(fast)
    for worker in range(workers):
        begin, end = (len(slow) * part // workers for part in (worker, worker + 1))
        some = slow[begin:end]
        done = len(ordered) + len(some)
        room = max(total * (worker + 1) // workers - done, 0)
        given = len(ordered) - begin
        ordered += [*some, *fast[given : given + room]]
    return [*ordered, *fast[len(ordered) - len(slow) :]]
