import shutil
import subprocess
import sys
import time

import pytest

from scripts.gpu_day.day import ROOT, SMALL, Day, read_figures, update_figures
from scripts.gpu_day.main import STEPS, main, run_steps


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["dance", "--out", "x"], "dance: no step; give prepare"),
        ([], "give steps, pack, or --rehearse"),
        (["pack", "a", "b"], "give one folder"),
        (["tests"], "give --out"),
    ],
)
def test_a_wrong_use_is_told_in_one_line(arguments, cure, capsys, monkeypatch):
    monkeypatch.delenv("OUT", raising=False)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert cure in capsys.readouterr().err.splitlines()[-1]


def test_the_command_needs_no_package():
    """A bare machine has none until the wheels are unpacked."""
    script = str(ROOT / "scripts/gpu-day")
    told = subprocess.run([sys.executable, "-S", script, "-h"], capture_output=True, text=True)
    assert all(step in told.stdout for step in STEPS)


@pytest.fixture
def day(tmp_path):
    folders = (tmp_path / name for name in ("packed", "work", "out"))
    return Day(*folders, "cpu", SMALL, (), time.monotonic() + 30)


def test_a_step_that_breaks_or_is_complete_does_not_stop_the_next(day, tmp_path, monkeypatch):
    monkeypatch.setitem(STEPS, "broken", "scripts.gpu_day.missing")
    (tmp_path / "packed/back").mkdir(parents=True)
    update_figures(tmp_path / "packed/back", "agree", {"complete": True})
    assert not run_steps(["broken", "agree", "broken"], day)
    figures = read_figures(day.out)
    assert figures["agree"] == {"complete": True}
    assert figures["broken"]["told"] == "exit 1"
    assert "No module named 'scripts.gpu_day.missing'" in (day.out / "gpu-day.log").read_text()


def test_a_step_that_hangs_ends_in_time(day, monkeypatch, capsys):
    site = day.work / "site"
    site.mkdir(parents=True)
    (site / "hanging.py").write_text("import time\n\ndef list_tasks(day):\n    time.sleep(120)\n")
    monkeypatch.setitem(STEPS, "slow", "hanging")
    late = Day(day.packed, day.work, day.out, "cpu", SMALL, (), time.monotonic() + 2)
    began = time.monotonic()
    assert not run_steps(["slow"], late)
    assert time.monotonic() - began < 60
    assert "slow: not done in time" in capsys.readouterr().out
    assert read_figures(day.out)["slow"]["told"] == "exit -9"


def test_a_command_goes_on_from_the_one_before_on_this_machine(day):
    day.out.mkdir()
    update_figures(day.out, "agree", {"complete": True})
    run_steps([], day)
    shutil.rmtree(day.out)
    assert run_steps(["agree"], day)
    assert read_figures(day.out) == {"agree": {"complete": True}}


def test_what_would_not_come_back_is_told(day, capsys):
    day.out.mkdir()
    for number in range(9):
        (day.out / f"{number}").touch()
    with (day.out / "large").open("wb") as file:
        file.truncate(17 << 20)
    assert run_steps([], day)
    assert "10 files, at most 8 come back; too large: ['large']" in capsys.readouterr().out
