import time

import pytest

from scripts.gpu_day.day import FULL, SMALL, Day, Task, read_figures, run_tasks, start


@pytest.fixture
def day(tmp_path):
    for name in ("work", "out"):
        (tmp_path / name).mkdir()
    folders = (tmp_path / name for name in ("packed", "work", "out"))
    return Day(*folders, "cpu", FULL, (tmp_path / "a.toml",), time.monotonic() + 60)


def fail():
    raise ValueError("no such thing\nsecond line")


def test_a_day_is_the_same_in_the_process_of_a_step(day):
    assert Day.read(day.write()) == day


def test_a_task_that_fails_is_noted_and_tried_again(day):
    calls = []
    tasks = [Task("bad", 1, fail), Task("good", 1, lambda: calls.append(1) or {"answer": 1})]
    assert not run_tasks(day, "step", tasks)
    step = read_figures(day.out)["step"]
    assert step["bad"]["error"] == "ValueError: no such thing"
    assert step["good"]["answer"] == 1
    assert run_tasks(day, "step", [Task("bad", 1, lambda: {"answer": 2}), tasks[1]])
    assert read_figures(day.out)["step"]["bad"]["answer"] == 2
    assert len(calls) == 1


def test_a_task_that_is_always_needed_runs_again(day):
    calls = []
    task = Task("good", 1, lambda: calls.append(1) or {"answer": 1}, always=True)
    for _ in range(2):
        assert run_tasks(day, "step", [task])
    assert len(calls) == 2


def test_a_task_without_time_is_left(day):
    assert not run_tasks(day, "step", [Task("long", 90, fail), Task("short", 1, lambda: {"a": 1})])
    assert list(read_figures(day.out)["step"]) == ["short"]


def test_what_is_unfinished_does_not_complete_a_step(day):
    assert not run_tasks(day, "step", [Task("slice", 1, lambda: {"unfinished": True})])


def test_a_command_that_fails_or_hangs_is_an_error(day, monkeypatch):
    assert start(day, "-c", "import geoae; print('here')").strip() == "here"
    with pytest.raises(RuntimeError, match="exit 1: SystemError: broken"):
        start(day, "-c", "raise SystemError('broken')")
    late = Day(day.packed, day.work, day.out, "cpu", SMALL, (), time.monotonic())
    with pytest.raises(RuntimeError, match="not done in time"):
        start(late, "-c", "import time; time.sleep(60)")
