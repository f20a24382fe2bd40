import json
import math
import subprocess
import sys

import pytest

from scripts.gpu_day.day import FIGURES, ROOT
from scripts.gpu_day.main import STEPS
from scripts.gpu_day.rehearse import find_empty


def test_what_is_empty_is_found():
    figures = {"a": {"b": 0, "c": "", "d": []}, "e": {}, "f": {"g": None, "h": math.nan}}
    assert find_empty(figures) == ["/e", "/f/g", "/f/h"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_step_is_rehearsed(tmp_path):
    command = [sys.executable, str(ROOT / "scripts/gpu-day"), "--rehearse", "--out", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr
    figures = json.loads((tmp_path / FIGURES).read_text())
    assert list(figures) == list(STEPS)
    assert all(step["complete"] for name, step in figures.items() if name != "train")
    assert figures["agree"]["batch"]["agrees"]
    assert figures["agree"]["two processes"]["same pixels"]
    assert figures["agree"]["out of memory"]["halved"]
    assert 0 < figures["throughput"]["10 bands, bf16"]["busy %"] <= 100
    slices = [figures["train"][f"small, slice {number}"] for number in (1, 2)]
    assert 0 < slices[0]["step"] == slices[1]["steps before"] < slices[1]["step"]
    assert len(slices[1]["gain dB"]) >= 1
    assert (tmp_path / slices[1]["weights"]).exists()
    assert (tmp_path / "restored.png").exists()
    assert len(list(tmp_path.iterdir())) <= 8
