"""Twenty scenes in an inbox, and what becomes of them from look to look."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import rasterio

from tests.flows.scenes import artifacts, crop, flow_runs, task_runs
from tests.support.rasters import read

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server"), pytest.mark.timeout(900)]

GROWING = "day2/growing.tif"
CORRUPT = "day1/corrupt.tif"


@pytest.fixture(scope="module")
def inbox(tmp_path_factory):
    """18 real scenes, of which two share a name, a corrupt one, and half of one that is still being
    written.
    """
    folder = tmp_path_factory.mktemp("arrivals") / "inbox"
    for index in range(16):
        crop(
            folder / f"day{index % 2 + 1}" / f"scene{index:02d}.tif", row=15 * index, col=12 * index
        )
    crop(folder / "day1" / "twin.tif", row=100)
    crop(folder / "day2" / "twin.tif", row=150)
    whole = crop(folder.parent / "growing.tif", row=200).read_bytes()
    (folder / GROWING).write_bytes(whole[: len(whole) // 2])
    (folder / CORRUPT).write_bytes(b"II*\0" + bytes(range(256)) * 20)
    return folder


def look(inbox: Path, **options):
    from flows.watch import watch_inbox

    before = len(flow_runs("restore-scene"))
    given = {"settle": 2.0, "model": "identity"} | options
    state = watch_inbox(
        source=str(inbox), target=str(inbox.parent / "outbox"), **given, return_state=True
    )
    return state, len(flow_runs("restore-scene")) - before


def outputs(inbox: Path) -> dict[str, tuple[int, str]]:
    """Outputs by name: when they were written, and with which model."""
    outbox = inbox.parent / "outbox"
    found = {}
    for path in sorted(outbox.rglob("*.tif")):
        with rasterio.open(path) as dataset:
            found[str(path.relative_to(outbox))] = (
                path.stat().st_mtime_ns,
                dataset.tags(ns="GEOAE")["MODEL"],
            )
    return found


def test_an_inbox_from_look_to_look(inbox):
    stop = threading.Event()

    def grow():
        with (inbox / GROWING).open("ab") as file:
            while not stop.wait(0.2):
                file.write(b"\0")
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        state, ran = look(inbox)
    finally:
        stop.set()
        writer.join()
    assert state.is_failed()
    assert "1 failed, 1 growing, 18 restored" in state.message
    assert ran == 19
    first = outputs(inbox)
    assert len(first) == 18
    assert {"day1/twin.tif", "day2/twin.tif"} <= set(first)
    assert (
        read(inbox / "day1" / "twin.tif") == read(inbox.parent / "outbox" / "day1" / "twin.tif")
    ).all()
    run_id = state.state_details.flow_run_id
    table = artifacts(run_id)["geoae-scenes"]
    assert table.description == "inbox: 1 failed, 1 growing, 18 restored"
    assert "cannot be opened as a raster" in table.data
    assert "is still being written; the next look takes it" in table.data
    assert len(task_runs(run_id)) == 19  # one for each scene, whose own run has four more

    (inbox / GROWING).write_bytes((inbox.parent / "growing.tif").read_bytes())
    state, ran = look(inbox)
    assert (state.is_completed(), ran) == (True, 1)
    second = outputs(inbox)
    assert set(second) - set(first) == {GROWING}

    state, ran = look(inbox)
    assert (state.is_completed(), ran) == (True, 0)
    assert outputs(inbox) == second
    assert "not tried again" in artifacts(state.state_details.flow_run_id)["geoae-scenes"].data

    (inbox.parent / "outbox" / "day1" / "scene04.tif").unlink()
    state, ran = look(inbox)
    assert (state.is_completed(), ran) == (True, 1)
    third = outputs(inbox)
    assert {name for name in third if third[name] != second[name]} == {"day1/scene04.tif"}


def test_another_model_redoes_all_while_the_old_ones_stay(inbox):
    """Follows the test above, whose outputs it needs."""
    before = outputs(inbox)
    assert len(before) == 19
    stop, missing = threading.Event(), []

    def guard():
        while not stop.wait(0.02):
            missing.extend(name for name in before if not (inbox.parent / "outbox" / name).exists())

    watcher = threading.Thread(target=guard)
    watcher.start()
    try:
        state, ran = look(inbox, model="res-cae", most_failed=0.5)
    finally:
        stop.set()
        watcher.join()
    assert (state.is_completed(), ran) == (True, 20)  # the corrupt one is tried with the new model
    assert missing == []
    after = outputs(inbox)
    assert {model for _, model in after.values()} == {"res-cae"}
    assert all(after[name][0] > before[name][0] for name in before)


def test_two_watchers_restore_nothing_twice(tmp_path):
    from prefect.settings import get_current_settings

    for index in range(3):
        crop(tmp_path / "inbox" / f"s{index}.tif", row=20 * index)
    before = len(flow_runs("restore-scene"))
    given = {
        "source": str(tmp_path / "inbox"),
        "target": str(tmp_path / "out"),
        "settle": 1.0,
        "model": "identity",
    }
    words = f"from flows.watch import watch_inbox; watch_inbox(**{given!r})"
    environment = os.environ | get_current_settings().to_environment_variables(exclude_unset=True)
    command = [sys.executable, "-c", words]
    root = Path(__file__).parents[2]
    both = [
        subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert len(list((tmp_path / "out").glob("*.tif"))) == 3
    assert len(flow_runs("restore-scene")) - before == 3
