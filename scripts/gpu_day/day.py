"""What all steps share: folders, device, sizes and deadline; tasks, and the file of their figures.

Imports the standard library alone, since it runs before anything is installed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

__all__ = [
    "FIGURES",
    "FULL",
    "LIMIT",
    "ROOT",
    "SMALL",
    "Day",
    "Sizes",
    "Task",
    "environment",
    "name_restoration",
    "read_figures",
    "run_geoae",
    "run_tasks",
    "start",
    "update_figures",
]

ROOT = Path(__file__).parents[2]
FIGURES = "gpu-day.json"
# Bytes of one file that comes back, with room below the 16 MiB that are allowed.
LIMIT = 15 << 20
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the measurements are."""

    side: int
    """Side of the scenes that are restored, in pixels."""
    bands: tuple[int, ...]
    """Bands of these scenes; those that have a target first."""
    crop: int
    """Side of what is compared with the CPU, in pixels."""
    matrix: int
    """Side of the matrices of the roofline."""
    tile: int
    """Side of the tiles that the network sees alone, in pixels."""
    batches: tuple[int, ...]
    """Batch sizes that are tried."""
    seconds: float
    """Time over which a rate is measured."""
    backend: str
    """Backend of ``torch.compile``."""
    slice: float
    """Most seconds of one slice of training."""
    end: float
    """Seconds that a slice of training leaves for writing its weights."""
    crops: int
    """Side of the scenes that a trained model is evaluated on, in pixels."""


FULL = Sizes(
    side=10980,
    bands=(4, 1, 10),
    crop=1536,
    matrix=8192,
    tile=1536,
    batches=(1, 2, 4, 7, 14, 28),
    seconds=2.0,
    backend="inductor",
    slice=520.0,
    end=75.0,
    crops=256,
)
# As small as geoae takes: the rehearsal, without a compiler for the CPU.
SMALL = Sizes(
    side=192,
    bands=(10,),
    crop=192,
    matrix=128,
    tile=64,
    batches=(1, 2),
    seconds=0.02,
    backend="eager",
    slice=1.0,
    end=5.0,
    crops=128,
)


@dataclass(frozen=True, slots=True)
class Day:
    """Where a step runs, and until when."""

    packed: Path
    """Folder that ``pack`` made: wheels, scenes, and in ``back`` what earlier commands gave."""
    work: Path
    """Folder on the machine, for what need not come back."""
    out: Path
    """Folder of what comes back."""
    device: str
    """Device of torch."""
    sizes: Sizes
    """How large the measurements are."""
    configs: tuple[Path, ...]
    """Configs of the models to train."""
    deadline: float
    """Monotonic time in seconds at which the step must have ended."""

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def write(self) -> Path:
        """Write it for the process of a step, and return the file."""
        path = self.work / "day.json"
        path.write_text(json.dumps(asdict(self), default=str))
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what ``write`` wrote."""
        told = json.loads(path.read_text())
        sizes = told.pop("sizes")
        sizes |= {name: tuple(sizes[name]) for name in ("bands", "batches")}
        told |= {name: Path(told[name]) for name in ("packed", "work", "out")}
        told |= {"configs": tuple(map(Path, told["configs"])), "sizes": Sizes(**sizes)}
        return cls(**told)


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement of a step."""

    name: str
    """Key of its figures."""
    seconds: float
    """Time it may take at full size; it is left for the next command where less remains."""
    work: Callable[[], Figures]
    """Measures and returns the figures."""
    always: bool = False
    """Whether every command needs it again."""


def environment(day: Day) -> dict[str, str]:
    """Variables of a process that finds geoae, its tests and the packages that were installed."""
    path = os.pathsep.join(map(str, (day.work / "site", ROOT / "src", ROOT)))
    return os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def start(day: Day, *arguments: str) -> str:
    """Run Python with ``arguments`` until the deadline.

    Args:
        day: the step.
        *arguments: of the interpreter.

    Returns:
        What it printed.

    Raises:
        RuntimeError: it failed, with the last of what it printed, or took too long.

    """
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment(day),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=max(day.left, 1),
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{' '.join(arguments[:4])}: not done in time") from error
    print(done.stdout)
    if done.returncode:
        said = done.stdout.strip().splitlines() or ["nothing"]
        raise RuntimeError(f"{' '.join(arguments[:4])}: exit {done.returncode}: {said[-1]}")
    return done.stdout


def name_restoration(day: Day, scene: Path, target: Path, precision: str) -> list[str]:
    """Return the arguments of ``geoae`` that restore a scene on the device."""
    files = ["restore", str(scene), "-o", str(target)]
    return [*files, "--device", day.device, "--precision", precision, "--quiet"]


def run_geoae(*arguments: str) -> None:
    """Run geoae's command in this process; errors are exceptions."""
    from geoae.cli.app import cli

    cli.main(list(arguments), prog_name="geoae", standalone_mode=False)


def read_figures(out: Path) -> dict[str, Figures]:
    """Read all steps of ``gpu-day.json``; none where it is missing."""
    path = out / FIGURES
    return json.loads(path.read_text()) if path.exists() else {}


def update_figures(out: Path, step: str, facts: Mapping[str, Any]) -> None:
    """Add facts to a step of ``gpu-day.json``, which is complete at any time."""
    told = read_figures(out)
    told.setdefault(step, {}).update(facts)
    draft = out / f".{FIGURES}"
    draft.write_text(json.dumps(told, indent=1) + "\n")
    draft.replace(out / FIGURES)


def run_tasks(day: Day, step: str, tasks: Iterable[Task]) -> bool:
    """Run the tasks that have no figures yet, and write each one's figures at once.

    Args:
        day: the step's folders and deadline.
        step: name of the step.
        tasks: in their order.

    Returns:
        Whether the step is complete: all tasks have figures, and none says that it is
        ``unfinished``. A task that failed has its error instead, and is tried again by the next
        command.

    """
    complete = True
    for task in tasks:
        known = read_figures(day.out).get(step, {}).get(task.name)
        if known and "error" not in known and not task.always:
            continue
        if day.left < task.seconds and day.sizes == FULL:
            print(f"{task.name}: left for the next command, {day.left:.0f} s remain", flush=True)
            complete = False
            continue
        began = time.monotonic()
        try:
            figures = task.work()
        except Exception as error:  # whatever it is, the next task must not be lost
            said = str(error).splitlines() or [""]
            figures = {"error": f"{type(error).__name__}: {said[0]}"}
        complete = complete and not {"error", "unfinished"} & set(figures)
        figures["took s"] = round(time.monotonic() - began, 2)
        update_figures(day.out, step, {task.name: figures})
        print(f"{step}: {task.name}: {json.dumps(figures)}", flush=True)
    return complete
