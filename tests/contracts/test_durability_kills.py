"""However a run is killed or interrupted, its target is whole or absent, and the next run goes on
from what is finished.
"""

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.faults import (
    RESUMES,
    Doomed,
    Fault,
    SlowCopy,
    die,
    die_soon,
    goes_on,
    hit,
    names_of_parts,
    parts_of,
    words,
)
from tests.support.rasters import SHARED, noise, read, write

SLABS = 13
MOMENTS = [
    ("read", 40, die, False),
    ("compute", 60, die, True),
    ("write", 50, die, True),
    ("rename", 1, die, False),
    ("rename", SLABS, die, True),
    ("copy", 1, partial(die_soon, 0.01), False),
    ("read back", 1, die, False),
    ("rename", SLABS + 1, die, False),
    ("rename", SLABS + 1, die, True),
    ("unlink", SLABS + 4, die, True),
]
MORE_MOMENTS = [
    ("read", 1, die, False),
    ("compute", 1, die, False),
    ("write", 1, die, False),
    ("flush", 1, die, False),
    ("flush", 5, die, True),
    ("rename", 1, die, True),
    ("copy", 1, die, False),
    ("copy", 1, partial(die_soon, 0.002), False),
    ("flush", SLABS + 1, die, True),
    ("flush", SLABS + 2, die, True),
    ("remove", 1, die, False),
]


def killed_at(moment: tuple, folder: Path, source: Path) -> None:
    """Kill a run at ``moment``, then let another end it."""
    assert hit(folder, source, Fault(*moment)).ended() == -signal.SIGKILL
    if (folder / "out.tif").exists():
        assert np.array_equal(read(folder / "out.tif"), read(source)), "complete or absent"
    goes_on(folder, words(source), read(source))


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: f"{moment[0]}-{moment[1]}")
def test_killed_at_a_chosen_moment(tmp_path, source, moment):
    killed_at(moment, tmp_path, source)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MORE_MOMENTS, ids=lambda moment: f"{moment[0]}-{moment[1]}")
def test_killed_at_more_moments(tmp_path, source, moment):
    killed_at(moment, tmp_path, source)


def killed_again_and_again(folder: Path, order: list[str], kills: int, seed: int) -> dict[str, int]:
    """Kill a run and its successors ``kills`` times, at any moment from the first to the last; what
    was seen.
    """
    assert Doomed(folder, *order).ended() == 0, "so that the next is timed without loading anything"
    truth = read(folder / "out.tif")
    (folder / "out.tif").unlink()
    began = time.monotonic()
    assert Doomed(folder, *order).ended() == 0
    lasts = time.monotonic() - began
    (folder / "out.tif").unlink()
    rng = np.random.default_rng(seed)
    seen = {
        "kills": 0,
        "with_parts": 0,
        "parts_taken_over": 0,
        "after_publishing": 0,
        "completed": 0,
    }
    before: dict[str, tuple[int, int]] = {}
    while seen["kills"] < kills:
        run = Doomed(folder, *order)
        if seen["kills"] % 2:
            # However slow the machine has become: once a part more is there, or the run has ended.
            while run.process.is_alive() and names_of_parts(folder) <= before.keys():
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.1 * lasts))
        else:
            time.sleep(rng.uniform(0.05, 0.8 * lasts))
        run.signal(signal.SIGKILL)
        killed, published = run.ended() == -signal.SIGKILL, (folder / "out.tif").exists()
        now = parts_of(folder)
        seen["kills"] += killed
        seen["with_parts"] += killed and bool(now)
        if published:
            assert np.array_equal(read(folder / "out.tif"), truth)
            seen["after_publishing"] += killed
            seen["completed"] += not killed
            assert killed or run.report["slabs_resumed"] == len(before)
            if killed:
                goes_on(folder, order, truth)
            (folder / "out.tif").unlink()
            now = {}
        else:
            assert killed, run.said
            assert before.items() <= now.items(), "a finished part was made again"
            seen["parts_taken_over"] += len(before)
        before = now
    goes_on(folder, order, truth)
    return seen


def test_killed_at_any_moment(tmp_path, source):
    assert killed_again_and_again(tmp_path, words(source), 5, seed=1)["kills"] == 5


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize(
    ("scene", "model", "tile"),
    [
        ("train/l8_224078_20200518_rgb_30m.tif", "identity", 96),
        ("real_noise/l8_020039_20150804_tirs_B10_B11.tif", "res-cae", 272),
    ],
)
def test_fifty_kills_of_a_real_scene(tmp_path, capsys, scene, model, tile):
    order = words(SHARED / "scenes" / scene, model=model, tile=tile)
    seen = killed_again_and_again(tmp_path, order, 50, seed=2)
    assert seen["with_parts"] >= 10
    with capsys.disabled():
        print(f"\n{model}: {seen}")


# --- interrupted --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code", "why", "call"),
    [
        (signal.SIGINT, 130, "interrupted", "compute"),
        (signal.SIGINT, 130, "interrupted", "read"),
        (signal.SIGTERM, 143, "terminated", "write"),
        (signal.SIGTERM, 143, "terminated", "compute"),
        (signal.SIGHUP, 129, "terminated", "compute"),
    ],
)
def test_a_signal_ends_a_run_in_one_line(tmp_path, source, number, code, why, call):
    run = hit(tmp_path, source, Fault(call, 60, partial(os.killpg, 0, number)))
    assert run.ended() == code
    assert run.said == [f"geoae: {why}{RESUMES}"]
    assert not (tmp_path / "out.tif").exists()
    left = {path.suffix for path in (tmp_path / ".out.tif.geoae").iterdir()}
    assert left <= {"", ".json", ".tif"}, "nothing half written"
    goes_on(tmp_path, words(source), read(source))


@pytest.mark.slow
def test_signals_at_any_moment(tmp_path, source):
    rng = np.random.default_rng(3)
    for number in [signal.SIGINT, signal.SIGTERM] * 15:
        run = hit(tmp_path, source)
        assert run.begun.wait(60)
        time.sleep(rng.uniform(0.1, 0.6))
        run.signal(number)
        if run.ended() == 0:
            (tmp_path / "out.tif").unlink()
            continue
        assert run.process.exitcode == 128 + number
        assert len(run.said) == 1
        assert run.said[0].endswith(RESUMES)
    goes_on(tmp_path, words(source), read(source))


def test_ctrl_c_need_not_wait_for_gdals_copy(tmp_path):
    pixels = noise((3, 1500, 1500), 2000).astype(np.int16)
    source = write(tmp_path / "in.tif", pixels)
    folder = tmp_path / "run"
    folder.mkdir()
    order = words(source, tile=1024)
    run = Doomed(folder, *order, faults=[SlowCopy()])
    while not list(folder.glob(".out.tif.geoae/*.part")):
        assert run.process.is_alive(), run.said
        time.sleep(0.01)
    time.sleep(0.3)
    assert run.process.is_alive()
    began = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.ended() == 130
    assert time.monotonic() - began < 1.5, "the copy takes several seconds"
    assert run.said == [f"geoae: interrupted{RESUMES}"]
    goes_on(folder, order, pixels)


def test_a_second_ctrl_c_ends_it_at_once(tmp_path, source):
    run = hit(tmp_path, source, Fault("write", 60, partial(time.sleep, 60)))
    while not parts_of(tmp_path):
        time.sleep(0.01)
    time.sleep(0.5)
    run.signal(signal.SIGINT)
    time.sleep(0.3)
    assert run.process.is_alive(), "waits for what is being written"
    run.signal(signal.SIGINT)
    assert run.ended(within=20) == 130
    assert run.said == [f"geoae: interrupted{RESUMES}"]
    goes_on(tmp_path, words(source), read(source))
