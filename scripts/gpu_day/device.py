"""Clock and memory of a device; the CPU is measured through the same functions."""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import torch

__all__ = [
    "Mark",
    "Sampler",
    "empty",
    "mark",
    "peak_mib",
    "seconds_between",
    "synchronize",
    "take_rate",
    "union",
    "use_tf32",
]

# A time on a device: an event of CUDA, or seconds of this process.
Mark = Any


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def mark(device: torch.device) -> Mark:
    """Mark the present place in what the device does on the current stream."""
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event


def seconds_between(first: Mark, last: Mark) -> float:
    """Seconds from one mark to another, once the device has passed both."""
    return last - first if isinstance(first, float) else first.elapsed_time(last) / 1e3


@contextmanager
def use_tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid GPUs to round what they multiply in fp32 to 10 bits, for a while."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (matmul.allow_tf32, cudnn.allow_tf32)
    matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def take_rate(device: torch.device, work: Callable[[], object], seconds: float) -> float:
    """Measure how many seconds one call takes.

    Args:
        device: where it computes.
        work: called once to warm up, once to estimate, then for ``seconds``.
        seconds: time to measure.

    Returns:
        Seconds of one call.

    """
    work()
    times = 1
    for _ in range(2):
        synchronize(device)
        began = mark(device)
        for _ in range(times):
            work()
        ended = mark(device)
        synchronize(device)
        taken = max(seconds_between(began, ended), 1e-9)
        measured, times = taken / times, min(10_000, max(1, round(seconds * times / taken)))
    return measured


def union(spans: Sequence[tuple[float, float]]) -> float:
    """Total length of spans of time that may overlap."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def empty(device: torch.device) -> None:
    """Give the device's memory back, and forget its peak."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_mib(device: torch.device) -> float:
    """Most memory since ``empty``, in MiB: on a CPU, that of this process since its start."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Sampler:
    """Samples what share of the time the device computes, as its driver says, while it is open."""

    def __init__(self, device: torch.device) -> None:
        self.samples: list[tuple[float, float]] = []
        """When each was taken, by ``time.perf_counter``, and percent."""
        self.error: str | None = None
        """Why there is none."""
        self._device, self._done = device, Event()
        self._thread = Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        before = (time.monotonic(), time.process_time())
        try:
            while not self._done.wait(0.1):
                if self._device.type == "cuda":
                    self._add(float(torch.cuda.utilization(self._device)))
                else:
                    now = (time.monotonic(), time.process_time())
                    self._add(100 * (now[1] - before[1]) / (now[0] - before[0]))
                    before = now
        except Exception as error:  # NVML is missing, or does not know the device
            self.error = f"{type(error).__name__}: {error}"

    def _add(self, percent: float) -> None:
        self.samples.append((time.perf_counter(), percent))

    def take_mean(self, until: float = float("inf")) -> float | str:
        """Return the mean in percent of the samples taken before a time, or why there is none."""
        values = [percent for taken, percent in self.samples if taken <= until]
        return round(sum(values) / len(values), 1) if values else self.error or "no sample"
