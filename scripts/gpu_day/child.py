"""The process of one step: ``python -m scripts.gpu_day.child STEP MODULE DAY.json``."""

import importlib
import sys
from pathlib import Path

from scripts.gpu_day.day import Day, run_tasks
from scripts.gpu_day.main import UNFINISHED

__all__ = ["main"]


def main() -> None:
    """Run the tasks of a step; exit 3 where one failed or is left."""
    step, module, path = sys.argv[1:]
    day = Day.read(Path(path))
    complete = run_tasks(day, step, importlib.import_module(module).list_tasks(day))
    raise SystemExit(0 if complete else UNFINISHED)


if __name__ == "__main__":
    main()
