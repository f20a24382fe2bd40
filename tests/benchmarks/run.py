"""Time and memory, as ratios against floors measured in the same run, as Markdown and JSON.

    python -m tests.benchmarks.run [--only speed,memory,training] [--side 4096] [--large 16384]
    [--peers-python PATH]

Quality has a command of its own: ``geoae evaluate``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from geoae.cli.process import tune_process

tune_process()  # as the command does, and before numpy: floor and geoae on the same terms

from tests.benchmarks import speed, training  # noqa: E402

OUT = Path(".benchmarks")
TARGETS = {
    "geoae / floor": "at most 1.3",
    "command / floor": "at most 1.3",
    "opensr-utils / geoae": "at least 1.5",
    "pytorch-toolbelt / geoae": "at least 1.5",
    "bare / train": "at most 1.05",
}
# Of the figures of memory, by the end of their name.
MEMORY = {
    "large / small": "at most 1.15",
    "forecast / peak": "0.85 to 1.15",
    "peak": "at most 1536",
}


def _memory_target(name: str) -> str:
    return next((target for figure, target in MEMORY.items() if f": {figure}" in name), "")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="speed,memory,training")
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--large", type=int, default=16384)
    parser.add_argument("--peers-python", type=Path, default=os.environ.get("GEOAE_PEERS_PYTHON"))
    options = parser.parse_args()
    if not options.peers_python:
        print("no --peers-python: peers are left out, see tests/benchmarks/README.md")
    figures: dict[str, dict[str, float | str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if "speed" in options.only:
            figures["speed"] = speed.measure(Path(folder), options.side, options.peers_python)
        if "memory" in options.only:
            # A process of its own: what a child reports as its peak begins with its parent's.
            sides = [str(options.side // 2), str(options.large)]
            told = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.memory", folder, *sides],
                check=True,
                stdout=subprocess.PIPE,
            )
            figures["memory"] = json.loads(told.stdout)
    if "training" in options.only:
        figures["training"] = training.measure()
    print("| figure | measured | target |\n| --- | --- | --- |")
    for name, value in (pair for group in figures.values() for pair in group.items()):
        shown = value if isinstance(value, str) else f"{value:.2f}"
        print(f"| {name} | {shown} | {TARGETS.get(name) or _memory_target(name)} |")
    OUT.mkdir(exist_ok=True)
    (OUT / "run.json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
