"""Parts that an interrupted run left are used again where they are as it wrote them, and two runs
never write the same output.
"""

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.faults import Doomed, Fault, die, goes_on, hit, parts_of, words
from tests.support.rasters import read, write


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def resize(path: Path) -> None:
    write(path, np.zeros((2, 3, 5), np.uint16))


def retype(path: Path) -> None:
    write(path, read(path).astype(np.int16))


def swap(path: Path) -> None:
    other = sorted(path.parent.glob("slab-*.tif"))[1]
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


def rename(path: Path) -> None:
    path.rename(path.with_name(path.name.replace("slab-00000", "slab-00009")))


def folder(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def link(path: Path) -> None:
    path.symlink_to(path.rename(path.parents[1] / "stdout"))


def old_name(path: Path) -> None:
    path.rename(path.with_name("slab-00000.tif"))


@pytest.mark.parametrize(
    "harm", [flip, truncate, resize, retype, rename, folder, link, old_name, swap, os.remove]
)
def test_a_part_that_is_not_as_it_was_written_is_made_again(tmp_path, source, harm):
    assert hit(tmp_path, source, Fault("compute", 60, die)).ended() == -signal.SIGKILL
    finished = sorted(tmp_path.glob(".out.tif.geoae/slab-*.*.tif"))
    assert len(finished) > 2
    harm(finished[0])
    goes_on(
        tmp_path, words(source), read(source), resumed=len(finished) - (2 if harm is swap else 1)
    )


@pytest.mark.parametrize(
    "content", [b"\xff\xfe garbage", b'{"fingerprint": "another"}', None, "folder"]
)
def test_parts_without_their_note_are_not_trusted(tmp_path, source, content):
    assert hit(tmp_path, source, Fault("compute", 60, die)).ended() == -signal.SIGKILL
    note = tmp_path / ".out.tif.geoae" / "order.json"
    note.unlink()
    if content == "folder":
        note.mkdir()
    elif content is not None:
        note.write_bytes(content)
    goes_on(tmp_path, words(source), read(source), resumed=0)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_in_place_of_the_folder_is_one_line(tmp_path, source, kind):
    place = tmp_path / ".out.tif.geoae"
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path)
    run = hit(tmp_path, source)
    assert run.ended() == 1
    assert len(run.said) == 1
    assert "is in the way" in run.said[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".out.tif.geoae",
        "stderr",
        "stdout",
    ]


def test_parts_survive_a_run_of_another_order(tmp_path, source):
    assert Doomed(tmp_path, *words(source)).ended() == 0
    order = words(source, "--sigma", "3", "--overwrite")
    assert Doomed(tmp_path, *order, faults=[Fault("compute", 60, die)]).ended() == -signal.SIGKILL
    finished = parts_of(tmp_path)
    again = Doomed(tmp_path, *words(source))
    assert again.ended() == 0
    assert again.report["status"] == "skipped"
    assert parts_of(tmp_path) == finished != {}


def wait(here: Path, until: Path) -> None:
    """Say by the file ``here`` that this run has come so far, and go on when ``until`` is there."""
    here.touch()
    while not until.exists():
        time.sleep(0.01)


def test_a_second_run_is_refused_and_the_first_ends_well(tmp_path, source):
    first = hit(
        tmp_path, source, Fault("compute", 60, partial(wait, tmp_path / "here", tmp_path / "on"))
    )
    while not (tmp_path / "here").exists():
        assert first.process.is_alive(), first.said
        time.sleep(0.01)
    other = tmp_path / "other"
    other.mkdir()
    order = words(source, "-o", str(tmp_path / "out.tif"))
    second = Doomed(other, *order)
    assert second.ended() == 1
    assert len(second.said) == 1
    assert "another run is writing here" in second.said[0]
    (tmp_path / "on").touch()
    assert first.ended() == 0
    assert np.array_equal(read(tmp_path / "out.tif"), read(source))


def test_the_lock_of_a_killed_run_is_free(tmp_path, source):
    first = hit(tmp_path, source, Fault("compute", 60, partial(time.sleep, 60)))
    while not parts_of(tmp_path):
        time.sleep(0.01)
    first.signal(signal.SIGKILL)
    first.ended()
    goes_on(tmp_path, words(source), read(source))


@pytest.mark.parametrize("more", [[], ["--sigma", "3"]])
def test_a_run_that_was_overtaken_does_not_write(tmp_path, source, more):
    """It had found no target; when it comes to hold the parts, another has been there."""
    fast = tmp_path / "fast"
    fast.mkdir()
    act = partial(wait, tmp_path / "here", fast / "report.json")
    slow = Doomed(tmp_path, *words(source, *more), faults=[Fault("hold", 1, act)])
    while not (tmp_path / "here").exists():
        assert slow.process.is_alive(), slow.said
        time.sleep(0.01)
    assert Doomed(fast, *words(source, "-o", str(tmp_path / "out.tif"))).ended() == 0
    before = (tmp_path / "out.tif").stat().st_mtime_ns
    assert slow.ended() == (1 if more else 0)
    assert not more or "exists and is not this result" in slow.said[0]
    assert (tmp_path / "out.tif").stat().st_mtime_ns == before
    assert not (tmp_path / ".out.tif.geoae").exists()


def test_many_runs_at_once(tmp_path, source):
    folders = [tmp_path / str(index) for index in range(6)]
    for folder in folders:
        folder.mkdir()
    runs = [Doomed(folder, *words(source, "-o", str(tmp_path / "out.tif"))) for folder in folders]
    codes = [run.ended() for run in runs]
    assert 0 in codes
    for run, code in zip(runs, codes, strict=True):
        assert code == 0 or (
            code == 1 and "another run is writing" in run.said[0] and len(run.said) == 1
        )
    assert np.array_equal(read(tmp_path / "out.tif"), read(source))
    assert not (tmp_path / ".out.tif.geoae").exists()
