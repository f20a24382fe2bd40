"""The simulation of an archive does with few scenes what it does with many."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate_archive.py"


@pytest.mark.slow
def test_an_archive_is_restored_in_halves_and_skipped(tmp_path):
    command = [sys.executable, str(SCRIPT), str(tmp_path / "a"), "--scenes", "20", "--step", "5"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split("\t")[1] for line in said if line.endswith("to restore")] == [
        "0 done, 20 to restore",
        "10 done, 10 to restore",
        "20 done, 0 to restore",
    ]
    assert len([line for line in said if line.startswith("skip: look\t ")]) == 4
