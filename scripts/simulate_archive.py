"""Simulate an archive of many scenes: what listing, looking, restoring, skipping and resuming cost.

Scenes are empty files, and their restoration makes an empty file. All else is what ``geoae batch``
does: listing, record of failures, cache of what is done, and the loop, here or on a Dask cluster.
One line is printed for each share of the scenes, with its time and the memory of this process.

    .venv/bin/python scripts/simulate_archive.py FOLDER --scenes 1000000
    .venv/bin/python scripts/simulate_archive.py FOLDER --scenes 100000 --workers 2

FOLDER is made, filled with two empty files a scene, and left there.
"""

import argparse
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from geoae.archive.attempt import Attempt
from geoae.archive.batch import restore_each
from geoae.archive.executors import in_process, on_cluster
from geoae.archive.failures import Failures
from geoae.archive.triage import Outcome, Triage, triage
from geoae.archive.workers import use_workers
from geoae.catalog.sources import scenes, sort_scenes
from geoae.pipeline.distributed import active_client
from geoae.pipeline.job import Job

IN_FOLDER = 1000  # scenes


def clocks() -> NDArray[np.float64]:
    """Return the time, and the CPU time of this process, in seconds; the CPU may be shared."""
    return np.array([time.monotonic(), time.process_time()])


class Meter:
    """Prints time and memory of each share of what passes."""

    def __init__(self, what: str, step: int) -> None:
        self._what, self._step, self._count = what, step, 0
        self._began = self._last = clocks()

    def pass_through(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield items and count them."""
        for one in items:
            yield one
            self.count()

    def count(self) -> None:
        """Count one scene."""
        self._count += 1
        if self._count % self._step == 0:
            now = clocks()
            wall, cpu = ((now - self._last) / self._step * 1e3).tolist()
            rss = psutil.Process().memory_info().rss >> 20
            said = f"{wall:.3f} ms ({cpu:.3f} CPU) a scene\t{rss} MiB"
            print(f"{self._what}\t{self._count:>9,}\t{said}", flush=True)
            self._last = now

    def total(self) -> None:
        """Print the time of all."""
        wall, cpu = (clocks() - self._began).tolist()
        print(f"{self._what}\tall\t{wall:.1f} s, of CPU {cpu:.1f} s", flush=True)


def make_scenes(folder: Path, number: int) -> None:
    """Make empty files, a thousand in a folder; those that are there stay."""
    for first in range(0, number, IN_FOLDER):
        below = folder / f"{first // IN_FOLDER:04d}"
        below.mkdir(parents=True, exist_ok=True)
        for index in range(first, min(first + IN_FOLDER, number)):
            (below / f"s{index:07d}.tif").touch()


def pretend(job: Job) -> Outcome:
    """Make an empty output."""
    target = Path(str(job.target))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch()
    return Outcome(job.source, str(job.target), "restored")


def look(folder: Path, what: str, step: int) -> tuple[Triage, Failures]:
    """List the scenes and find out which are done."""
    meter, target = Meter(f"{what}: list", step), str(folder / "out")
    found = sort_scenes(scenes(str(folder / "in"), beside=target), "name", None)
    meter.total()
    meter, failures = Meter(f"{what}: look", step), Failures.below(target)
    left = triage(meter.pass_through(found), target, {"model": "identity"}, failures)  # type: ignore[arg-type]
    meter.total()
    print(f"{what}\t{len(left.outcomes):,} done, {len(left.todo):,} to restore", flush=True)
    return left, failures


def restore(left: Triage, failures: Failures, what: str, step: int, limit: int | None) -> None:
    """Pretend to restore what is left, here or on the workers of the active client."""
    meter, client = Meter(f"{what}: restore", step), active_client()

    def note(done: Attempt) -> None:
        left.cache.add(done.found, done.stamp, new=True)
        meter.count()

    execute = in_process if client is None else partial(on_cluster, client)
    Path(left.target).mkdir(parents=True, exist_ok=True)
    with left.cache:
        restore_each(left.jobs(limit), failures, left.options_digest, pretend, note, execute)
    meter.total()


def main() -> None:
    """Restore one half, go on with the other, and skip all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scenes", type=int, default=1_000_000)
    parser.add_argument("--step", type=int, default=100_000, help="scenes of one line")
    parser.add_argument("--workers", type=int, help="processes of a Dask cluster; by default none")
    given = parser.parse_args()
    make_scenes(given.folder / "in", given.scenes)
    with use_workers(None, given.workers, "cpu", print):
        for what, limit in (("first run", given.scenes // 2), ("resume", None)):
            left, failures = look(given.folder, what, given.step)
            restore(left, failures, what, given.step, limit)
            del left
        look(given.folder, "skip", given.step)


if __name__ == "__main__":
    main()
