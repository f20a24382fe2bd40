"""The command ``scripts/gpu-day``: packs, runs steps in processes of their own, or rehearses.

Imports the standard library alone: nothing else is there when it begins.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from scripts.gpu_day.day import (
    FULL,
    LIMIT,
    ROOT,
    Day,
    environment,
    read_figures,
    update_figures,
)

__all__ = ["STEPS", "install", "main", "run_steps"]

# Each step with the module that has its tasks, in the order in which they are best run.
STEPS = {
    "prepare": "scripts.gpu_day.prepare",
    "tests": "scripts.gpu_day.gpu_tests",
    "agree": "scripts.gpu_day.agree",
    "throughput": "scripts.gpu_day.throughput",
    "choices": "scripts.gpu_day.choices",
    "train": "scripts.gpu_day.train",
}
MOST_FILES = 8
PACKED = Path("build/gpu-day")
# Config that names the scenes that no model is trained on.
KEEPS_OUT = ROOT / "models/res-cae/train.toml"
# Exit code of a step of which a task failed, or is left for the next command.
UNFINISHED = 3
USAGE = """
On a machine with network: scripts/gpu-day pack [DIR]. On the machine with the GPU: scripts/gpu-day
STEP... Anywhere: scripts/gpu-day --rehearse. docs/performance.md says how it is used."""


def run_steps(names: list[str], day: Day) -> bool:
    """Run steps one after the other, each in a process of its own.

    Args:
        names: keys of ``STEPS``.
        day: folders, device, sizes, and the deadline of all of them.

    Returns:
        Whether nothing failed. What is left for want of time is no failure.

    """
    day.work.mkdir(parents=True, exist_ok=True)
    day.out.mkdir(parents=True, exist_ok=True)
    _bring_back(day)
    install(day)
    sound = True
    for name in names:
        if read_figures(day.out).get(name, {}).get("complete") and name != "prepare":
            print(f"{name}: complete", flush=True)
            continue
        began = time.monotonic()
        code = _run_step(name, day)
        told = {0: "complete", UNFINISHED: "to be continued"}.get(code, f"exit {code}")
        facts = {"complete": code == 0, "told": told, "took s": round(time.monotonic() - began, 1)}
        update_figures(day.out, name, facts)
        errors = _find_errors(read_figures(day.out)[name])
        print(f"{name}: {told}, {day.left:.0f} s remain", *errors, sep="\n  ", flush=True)
        sound = sound and code in (0, UNFINISHED) and not errors
    shutil.copytree(day.out, day.work / "back", dirs_exist_ok=True)
    _check_out(day.out)
    return sound


def _find_errors(step: dict[str, Any]) -> list[str]:
    return [
        f"{name}: {facts['error']}"
        for name, facts in step.items()
        if isinstance(facts, dict) and "error" in facts
    ]


def _bring_back(day: Day) -> None:
    """Continue from what earlier commands gave, on this machine or on another."""
    for back in (day.work / "back", day.packed / "back"):
        for path in sorted(back.iterdir()) if back.is_dir() else ():
            if not (day.out / path.name).exists():
                shutil.copyfile(path, day.out / path.name)


def install(day: Day) -> None:
    """Unpack the wheels, once on a machine."""
    wheels, site = sorted((day.packed / "wheels").glob("*.whl")), day.work / "site"
    if site.exists() or not wheels:
        return
    draft = day.work / "site.draft"
    shutil.rmtree(draft, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--no-cache-dir",
        "--target",
        str(draft),
    ]
    subprocess.run([*command, *map(str, wheels)], check=True)
    # geoae runs from the tree, and asks for the version of what is installed.
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    facts = draft / f"geoae-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: geoae\nVersion: {version}\n")
    draft.rename(site)


def _run_step(name: str, day: Day) -> int:
    """Run one step; return the exit code of its process, negative where it was killed."""
    command = [sys.executable, "-m", "scripts.gpu_day.child", name, STEPS[name], str(day.write())]
    with (day.out / "gpu-day.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(day), stdout=log, stderr=log, process_group=0
        )
        try:
            return process.wait(timeout=max(day.left, 1))
        except subprocess.TimeoutExpired:
            print(f"{name}: not done in time", flush=True)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def _check_out(out: Path) -> None:
    """Say what would not come back."""
    files = [path for path in out.iterdir() if not path.name.startswith(".")]
    large = [path.name for path in files if path.stat().st_size > LIMIT + (1 << 20)]
    if len(files) > MOST_FILES or large:
        print(f"{out}: {len(files)} files, at most {MOST_FILES} come back; too large: {large}")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/gpu-day", description=__doc__, epilog=USAGE)
    parser.add_argument(
        "steps", nargs="*", metavar="STEP", help=f"{', '.join(STEPS)}; or: pack DIR"
    )
    parser.add_argument("--rehearse", action="store_true", help="every step small, on the CPU")
    parser.add_argument("--packed", type=Path, metavar="DIR", help=f"by default {PACKED}")
    parser.add_argument("--work", type=Path, default=Path("build/gpu-day-work"), metavar="DIR")
    parser.add_argument(
        "--out",
        type=Path,
        default=os.environ.get("OUT"),
        metavar="DIR",
        help="what comes back; by default $OUT",
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="until all steps have ended")
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--train",
        type=Path,
        action="append",
        metavar="CONFIG.toml",
        help="model to train; may be given again",
    )
    parser.add_argument("--scenes", type=Path, default=ROOT / "../shared/scenes/train")
    parser.add_argument("--python", default="3.12", help="version there, for pack")
    parser.add_argument("--lacks", default="", metavar="A,B", help="more packages, for pack")
    given = parser.parse_args(arguments)
    wrong = [name for name in given.steps if name not in STEPS]
    if given.steps[:1] != ["pack"] and wrong:
        parser.error(f"{wrong[0]}: no step; give {', '.join(STEPS)}, or pack")
    if given.steps[:1] == ["pack"] and len(given.steps) > 2:
        parser.error("pack: give one folder")
    if not given.steps and not given.rehearse:
        parser.error("give steps, pack, or --rehearse")
    if given.out is None and given.steps[:1] != ["pack"] and not given.rehearse:
        parser.error("give --out, or set OUT")
    return given


def main(arguments: list[str] | None = None) -> None:
    """Run the command; exit 1 where something failed."""
    given = _parse(arguments)
    # What ends this process must end that of the step, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    configs = given.train or [ROOT / "models/res-cae/white.toml"]
    if given.rehearse:
        from scripts.gpu_day.rehearse import rehearse

        raise SystemExit(not rehearse(given.out, given.packed and given.packed / "wheels"))
    packed = given.packed or PACKED
    if given.steps[0] == "pack":
        from scripts.gpu_day.pack import pack

        folder = Path(given.steps[1]) if len(given.steps) > 1 else packed
        more = tuple(filter(None, given.lacks.split(",")))
        try:
            sizes = pack(folder, given.scenes, KEEPS_OUT, given.python, more)
        except ValueError as error:
            raise SystemExit(f"gpu-day: {error}") from error
        print(*(f"{name}: {size:,}" for name, size in sizes.items()), sep="\n")
        return
    day = Day(
        packed=packed.resolve(),
        work=given.work.resolve(),
        out=Path(given.out).resolve(),
        device=given.device,
        sizes=FULL,
        configs=tuple(path.resolve() for path in configs),
        deadline=time.monotonic() + 60 * given.minutes,
    )
    steps = ["prepare", *(name for name in given.steps if name != "prepare")]
    raise SystemExit(not run_steps(steps, day))
