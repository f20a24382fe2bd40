"""Restorations that compute nothing, for many scenes or for workers of which it matters what they
do. Workers import them by name.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from geoae.archive.triage import Outcome
from geoae.catalog.sources import SceneRef
from geoae.errors import InputError
from geoae.pipeline.job import Job


def scenes_of(number: int) -> list[tuple[SceneRef, Job]]:
    """Scenes that no file holds, and their jobs."""
    names = [f"s{index:05d}.tif" for index in range(number)]
    return [(SceneRef(name, name), Job(source=name, target=name)) for name in names]


def restored(job: Job) -> Outcome:
    """Say at once that a scene is restored, and by which process."""
    return Outcome(job.source, str(job.target), "restored", reason=str(os.getpid()))


def refused(job: Job) -> Outcome:
    """Fail at once."""
    raise InputError(f"{job.source}: is no scene")


def slow(job: Job) -> Outcome:
    """Take a tenth of a second."""
    time.sleep(0.1)
    return restored(job)


@dataclass(frozen=True)
class Deadly:
    """Kills its process at one scene."""

    source: str

    def __call__(self, job: Job) -> Outcome:
        if job.source == self.source:
            os._exit(1)
        return slow(job)


@dataclass(frozen=True)
class Counted:
    """Notes in a folder how many scenes its process computes at once."""

    folder: Path

    def __call__(self, job: Job) -> Outcome:
        mine = self.folder / f"{os.getpid()}-{job.source}"
        mine.touch()
        time.sleep(0.05)
        at_once = len(list(self.folder.glob(f"{os.getpid()}-*")))
        mine.unlink()
        return Outcome(job.source, str(job.target), "restored", reason=str(at_once))


class OfAnotherVersion:
    """What a worker cannot load."""

    def __reduce__(self) -> tuple[object, ...]:
        return __import__, ("geoae_of_tomorrow",)

    def __call__(self, job: Job) -> Outcome:
        return restored(job)
