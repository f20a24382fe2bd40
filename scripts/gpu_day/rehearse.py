"""Every step small on the CPU, from scenes that are made here; a second command resumes."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from scripts.gpu_day.day import SMALL, Day, read_figures, start
from scripts.gpu_day.main import STEPS, install, run_steps

__all__ = ["CONFIG", "find_empty", "rehearse"]

# A network and a training of seconds, which is interrupted long before its end.
CONFIG = """\
name = "small"
architecture = "skip_cae"
chip = 32
batch_size = 2
cycles = [1000000]
warmup = 1
validate_every = 2
precision = "32-true"
validation = ["kept.tif"]
[[groups]]
files = ["a*.tif"]
"""
MINUTES = 12


def rehearse(out: Path | None, wheels: Path | None) -> bool:
    """Run every step twice, the second time as a command on a new machine.

    Args:
        out: folder of what comes back; by default one that is removed.
        wheels: wheels to install, as of ``pack``; None for the packages of this machine.

    Returns:
        Whether all steps are complete, with all figures.

    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        config, packed = folder / "small.toml", folder / "packed"
        config.write_text(CONFIG)
        packed.mkdir()
        if wheels:
            (packed / "wheels").symlink_to(wheels.resolve())
        first = _day(folder / "one", packed, folder / "first", config)
        first.work.mkdir()
        install(first)
        start(first, "-m", "scripts.gpu_day.samples", str(packed / "scenes"), str(config))
        sound = run_steps(list(STEPS), first)
        first.out.rename(packed / "back")
        second = _day(folder / "two", packed, Path(out or folder / "out").resolve(), config)
        sound = run_steps(list(STEPS), second) and sound
        figures = read_figures(second.out)
        files = sorted(path.name for path in second.out.iterdir())
    empty = find_empty(figures)
    print(json.dumps(figures, indent=1), *(f"empty: {name}" for name in empty), sep="\n")
    print(f"{', '.join(files)}; {time.monotonic() - began:.0f} s; {'sound' if sound else 'failed'}")
    return sound and not empty and set(figures) == set(STEPS)


def _day(work: Path, packed: Path, out: Path, config: Path) -> Day:
    until = time.monotonic() + 60 * MINUTES
    return Day(packed, work, out, "cpu", SMALL, (config,), until)


def find_empty(figures: Any, name: str = "") -> list[str]:
    """List where figures hold nothing: an empty collection, None, or NaN."""
    if isinstance(figures, dict) and figures:
        return [one for key, value in figures.items() for one in find_empty(value, f"{name}/{key}")]
    nothing = figures is None or figures == {} or figures != figures
    return [name] if nothing else []
