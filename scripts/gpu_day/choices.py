"""The step ``choices``: batch sizes, layouts, TF32 and compiling, over tensors on the device."""

from functools import partial
from typing import Any

import torch

from scripts.gpu_day.day import Day, Task
from scripts.gpu_day.device import empty, peak_mib, take_rate, use_tf32
from scripts.gpu_day.network import make_forward
from scripts.gpu_day.roofline import DTYPES

__all__ = ["list_tasks"]

# Modes of the compiler; others only tune for longer.
MODES = ("default", "reduce-overhead")


def list_tasks(day: Day) -> list[Task]:
    """List the tasks; the cheap ones first."""
    size = day.sizes
    middle = size.batches[len(size.batches) // 2]
    tasks = []
    for precision in DTYPES:
        work = partial(measure, day, precision)
        for batch in size.batches:
            tasks.append(Task(f"{precision}, batch {batch}", 15, partial(work, batch)))
        if precision == "fp32":
            tasks.append(Task("TF32", 15, partial(work, middle, tf32=True)))
        task = partial(work, middle, layout="contiguous")
        tasks.append(Task(f"{precision}, contiguous", 15, task))
    for precision in DTYPES:
        for mode in MODES:
            # Only the inductor has modes.
            told = mode if size.backend == "inductor" else None
            task = partial(measure, day, precision, middle, backend=size.backend, mode=told)
            tasks.append(Task(f"{precision}, compiled, {mode}", 90, task))
    return tasks


def measure(
    day: Day, precision: str, batch: int, *, tf32: bool = False, **choice: Any
) -> dict[str, Any]:
    """Measure the rate and the memory of one choice; ``choice`` is as of ``make_forward``.

    That a batch does not fit is a finding, and no failure.
    """
    device = torch.device(day.device)
    empty(device)
    try:
        forward = make_forward(device, precision, batch, day.sizes.tile, **choice)
        with use_tf32(tf32):
            taken = take_rate(device, forward, day.sizes.seconds)
        pixels = forward().numel()
    except torch.OutOfMemoryError:
        return {"megapixels/s": 0, "ms a pass": "out of memory", "device MiB": peak_mib(device)}
    return {
        "megapixels/s": pixels / taken / 1e6,
        "ms a pass": 1e3 * taken,
        "device MiB": peak_mib(device),
    }
