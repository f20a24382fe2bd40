"""Peak memory of the command on a large scene compared with a small one: ``... memory FOLDER SMALL
LARGE``, as JSON.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.scenes import mosaic

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "geoae"]


def peak_mib(scene: Path, model: str) -> float:
    """Peak resident memory of ``geoae restore`` in MiB."""
    process = subprocess.Popen(
        [*COMMAND, "restore", str(scene), "--model", model, "--overwrite", "--fresh", "--quiet"],
        cwd=ROOT,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"geoae ended with status {status}")
    return usage.ru_maxrss / 1024


def forecast_mib(scene: Path, model: str) -> float:
    """Peak memory in MiB that ``geoae inspect`` forecasts."""
    command = [*COMMAND, "inspect", str(scene), "--model", model]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = re.search(r"about (\d+)\s+MiB\s+of\s+memory", shown)
    if found is None:
        raise RuntimeError(f"no forecast of memory in {shown!r}")
    return float(found[1])


def measure(folder: Path, small: int, large: int) -> dict[str, float | str]:
    """Peaks, their ratio, and the forecast compared with the peak, of the identity and the default
    model.

    The noise is constant, and then grows with the signal.
    """
    figures: dict[str, float | str] = {}
    for growing in (False, True):
        peaks: dict[tuple[str, int], float] = {}
        for side in (small, large):
            scene = mosaic(folder / f"scene{side}.tif", side, growing=growing)
            for model in ("identity", "res-cae"):
                case = f"{model}, {'growing' if growing else 'constant'} noise"
                peaks[case, side] = figures[f"{case}: peak MiB at {side}"] = peak_mib(scene, model)
                figures[f"{case}: forecast / peak at {side}"] = (
                    forecast_mib(scene, model) / peaks[case, side]
                )
                if side == large:
                    figures[f"{case}: large / small"] = peaks[case, large] / peaks[case, small]
            for path in folder.glob("scene*"):
                path.unlink()
    return figures


if __name__ == "__main__":
    folder, small, large = sys.argv[1:]
    print(json.dumps(measure(Path(folder), int(small), int(large))))
