"""Peak memory of the command on a large scene against a small one: ``... memory FOLDER SMALL LARGE``, as JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.scenes import mosaic

ROOT = Path(__file__).parents[2]


def peak_mib(scene: Path) -> float:
    """Peak resident memory of ``geoae restore`` in MiB."""
    process = subprocess.Popen(
        [sys.executable, "-m", "geoae", "restore", str(scene), "--overwrite", "--quiet"], cwd=ROOT
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"geoae ended with status {status}")
    return usage.ru_maxrss / 1024


def measure(folder: Path, small: int, large: int) -> dict[str, float | str]:
    """Peaks and their ratio."""
    peaks = []
    for side in (small, large):
        scene = mosaic(folder / f"scene{side}.tif", side)
        peaks.append(peak_mib(scene))
        for path in folder.glob("scene*"):
            path.unlink()
    return {f"peak MiB at {small}": peaks[0], f"peak MiB at {large}": peaks[1], "large / small": peaks[1] / peaks[0]}


if __name__ == "__main__":
    folder, small, large = sys.argv[1:]
    print(json.dumps(measure(Path(folder), int(small), int(large))))
