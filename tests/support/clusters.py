"""A Dask scheduler and workers as processes of their own, which a test may kill."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import ROOT, free_port

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "GDAL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@contextmanager
def dask(*words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``dask WORDS`` while the block runs."""
    command = [sys.executable, "-m", "dask", *words]
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=os.environ | ENVIRONMENT, cwd=log.parent
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def scheduler(
    folder: Path, port: int | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler: its address and its process."""
    port = port or free_port()
    words = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with dask("scheduler", *words, log=folder / "scheduler.log") as process:
        yield f"tcp://127.0.0.1:{port}", process


@contextmanager
def worker(address: str, folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of one thread without a nanny, which would start it again."""
    given = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--memory-limit", "0", *words)
    place = ("--local-directory", str(folder / "scratch"))
    with dask("worker", address, *given, *place, log=folder / "workers.log") as process:
        yield process


def wait_until(true, seconds: float = 60.0) -> None:
    """Wait until ``true()``, and fail after ``seconds``."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "still waiting"
        time.sleep(0.02)
