"""The command in processes that can be killed, each at the price of a fork, with a fault at a
chosen call.
"""

import contextlib
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from geoae.models.restorer import Identity
from geoae.raster import geotiff
from geoae.raster.parts import PartStore, PartWriter
from geoae.raster.scene import Reader
from tests.support.commands import LIGHT
from tests.support.rasters import read

__all__ = [
    "CONTEXT",
    "RESUMES",
    "Doomed",
    "Fault",
    "SlowCopy",
    "die",
    "die_soon",
    "goes_on",
    "hit",
    "names_of_parts",
    "parts_of",
    "words",
]

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "tests.support.faults",
        *LIGHT,
        "geoae.models.folder",
    ]
)

# What an interrupted command says, and the files that a finished one leaves.
RESUMES = "; what is finished is kept, run the same command again to go on"
LEFT = ["out.tif", "report.json", "stderr", "stdout"]
# Calls at which a run can be hit: module or class, and name in it.
CALLS = {
    "read": (Reader, "_read_inside"),
    "compute": (Identity, "__call__"),
    "write": (PartWriter, "write"),
    "flush": (os, "fsync"),
    "rename": (os, "replace"),
    "copy": (geotiff, "_copy"),
    "read back": (geotiff, "_read_back"),
    "hold": (PartStore, "open"),
    "unlink": (os, "unlink"),
    "remove": (shutil, "rmtree"),
}


@dataclass(frozen=True)
class Fault:
    """At the ``nth`` of ``CALLS[call]``: ``act()`` before it, or after it where ``after``."""

    call: str
    nth: int
    act: Callable[[], None]
    after: bool = False

    def install(self) -> None:
        """From here on calls are counted."""
        owner, name = CALLS[self.call]
        real, count = getattr(owner, name), iter(range(1, sys.maxsize))

        def counted(*args: Any, **kwargs: Any) -> Any:
            due = next(count) == self.nth
            if due and not self.after:
                self.act()
            result = real(*args, **kwargs)
            if due and self.after:
                self.act()
            return result

        setattr(owner, name, counted)


def die() -> None:
    """As by ``kill -9``."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon(seconds: float) -> None:
    """In the middle of what is done next."""
    threading.Timer(seconds, die).start()


class SlowCopy:
    """Makes the last copy take seconds, all of them inside GDAL."""

    def install(self) -> None:
        """From here on."""
        import rasterio.shutil

        real = rasterio.shutil.copy
        rasterio.shutil.copy = lambda *names, **options: real(*names, **options | {"LEVEL": "22"})


def names_of_parts(folder: Path) -> set[str]:
    """Finished parts of ``out.tif`` in ``folder``, some of which may be removed just now."""
    return {path.name for path in (folder / ".out.tif.geoae").glob("slab-*.*.tif")}


def parts_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Finished parts of ``out.tif`` in ``folder``: inode and time of change."""
    found = {name: (folder / ".out.tif.geoae" / name).stat() for name in names_of_parts(folder)}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


class Harm(Protocol):
    """What is done to a process before it begins."""

    def install(self) -> None: ...


class Doomed:
    """``geoae WORDS`` in ``folder``, running in a process group of its own, as in a terminal."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        faults: Sequence[Harm] = (),
        limits: dict[int, int] | None = None,
    ) -> None:
        self.folder = folder
        # Set when the command begins: a busy machine may take longer to start than a test waits.
        self.begun = CONTEXT.Event()
        given = (folder, words, faults, limits or {}, self.begun)
        self.process = CONTEXT.Process(target=_become, args=given)
        self.process.start()

    def signal(self, number: int) -> None:
        """To the whole group, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def ended(self, within: float = 120) -> int:
        """Its exit code, negative where it died of a signal."""
        self.process.join(within)
        assert self.process.exitcode is not None, "still running"
        return self.process.exitcode

    @property
    def said(self) -> list[str]:
        """Lines on standard error that are not empty."""
        return [line for line in (self.folder / "stderr").read_text().splitlines() if line]

    @property
    def report(self) -> dict[str, Any]:
        """What ``--report report.json`` wrote."""
        return json.loads((self.folder / "report.json").read_text())


def _become(
    folder: Path,
    words: Sequence[str],
    faults: Sequence[Harm],
    limits: dict[int, int],
    begun: Event,
) -> None:
    """The command, to its end."""
    os.setsid()
    os.chdir(folder)
    for name, number in (("stdout", 1), ("stderr", 2)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    from geoae.cli.main import main

    for fault in faults:
        fault.install()
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))
    sys.argv = ["geoae", *words]
    begun.set()
    main()


def words(source: Path | str, *more: str, model: str = "identity", tile: int = 64) -> list[str]:
    """The words of a command that restores ``source`` to ``out.tif``."""
    options = [
        "-o",
        "out.tif",
        "--model",
        model,
        "--tile",
        str(tile),
        "--report",
        "report.json",
        "--device",
        "cpu",
    ]
    return ["restore", str(source), *options, *more]


def hit(
    folder: Path, source: Path | str, *faults: Fault, limits: dict[int, int] | None = None
) -> Doomed:
    """Restore ``source`` in ``folder``, and meet the faults."""
    return Doomed(folder, *words(source), faults=faults, limits=limits)


def goes_on(folder: Path, order: list[str], truth: np.ndarray, resumed: int | None = None) -> None:
    """The same command again: what is finished stays, the result is right, nothing else is left."""
    finished, published = parts_of(folder), (folder / "out.tif").exists()
    run = Doomed(folder, *order)
    assert run.ended() == 0, run.said
    if published:
        assert run.report["status"] == "skipped"
    else:
        assert run.report["slabs_resumed"] == (len(finished) if resumed is None else resumed)
    assert np.array_equal(read(folder / "out.tif"), truth)
    assert sorted(path.name for path in folder.iterdir()) == LEFT
