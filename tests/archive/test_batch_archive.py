"""An archive as a whole, by this process or on a cluster."""

import os
import signal
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import geoae
from geoae.archive import triage as archive_triage
from geoae.archive.batch import BatchOptions, restore_archive
from geoae.archive.cache import NAME
from geoae.catalog.sources import scenes
from geoae.errors import (
    BusyError,
    ClusterError,
    GeoaeError,
    InputError,
    RecipeError,
)
from tests.support.clusters import scheduler, wait_until, worker
from tests.support.rasters import noise, read, texture, write

PLAIN = {"model": "identity"}


@pytest.fixture
def archive(tmp_path):
    """Three scenes, one of them in a subfolder."""
    for index, name in enumerate(("a.tif", "b.tif", "sub/c.tif")):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = texture(1, 64, 64 + index) + noise((1, 64, 64 + index), 5)
        write(path, pixels.astype(np.uint16))
    return tmp_path / "in"


def batch(archive, **options):
    return geoae.batch(archive, archive.with_name("out"), **PLAIN | options)


def names(report, status):
    return [Path(one.target).name for one in report.outcomes if one.status == status]


def test_an_archive_is_restored_once(archive):
    seen = []
    first = batch(archive, on_progress=seen.append)
    assert first.counts == {"restored": 3}
    assert (read(archive.with_name("out") / "sub" / "c.tif") == read(archive / "sub/c.tif")).all()
    assert [(now.done, now.total, now.failed, now.workers) for now in seen] == [
        (1, 3, 0, 1),
        (2, 3, 0, 1),
        (3, 3, 0, 1),
    ]
    assert seen[-1].megapixels == pytest.approx(64 * (64 + 65 + 66) / 1e6)
    assert first.megapixels_per_second > 0
    second = batch(archive, on_progress=seen.append)
    assert second.counts == {"skipped": 3}
    assert len(seen) == 3


def test_a_failure_stops_nothing_and_is_told(archive):
    (archive / "a.tif").write_bytes(b"bad")
    report = batch(archive)
    assert report.counts == {"failed": 1, "restored": 2}
    with pytest.raises(GeoaeError, match="1 of 3 scenes failed"):
        report.require()
    again = batch(archive)
    assert again.counts == {"failed": 1, "skipped": 2}
    assert "not tried again: unchanged" in again.outcomes[0].reason
    batch(archive / "b.tif").require()


def test_a_dry_run_writes_nothing(archive):
    report = batch(archive, dry_run=True, limit=2)
    assert report.counts == {"planned": 2}
    assert not archive.with_name("out").exists()


@pytest.mark.parametrize(
    ("order", "first"), [("name", "a.tif"), ("newest", "c.tif"), ("oldest", "b.tif")]
)
def test_order_and_limit(archive, order, first):
    for age, name in enumerate(("sub/c.tif", "a.tif", "b.tif")):
        os.utime(archive / name, (1e9 - age,) * 2)
    report = batch(archive, order=order, limit=1)
    assert names(report, "restored") == [first]
    assert batch(archive, order=order).counts == {"restored": 2, "skipped": 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": "size"}, "order: 'size' is none of name, newest, oldest, smallest"),
        ({"limit": 0}, "limit: 0 restores nothing"),
        ({"retries": -1}, "retries: -1 is below 0"),
        ({"scheduler": "local"}, "scheduler"),
    ],
)
def test_a_wrong_option_is_one_line(archive, options, said):
    with pytest.raises(RecipeError, match=said) as caught:
        batch(archive, **options)
    assert "\n" not in str(caught.value)
    assert not archive.with_name("out").exists()


def test_a_place_without_scenes_is_one_line(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="in: holds no scene"):
        batch(tmp_path / "in")


def test_what_is_done_is_remembered_and_found_again_in_the_outputs(archive, monkeypatch):
    looked, is_done = [], archive_triage.is_done

    def look(job, options, restorer):
        looked.append(job.source)
        return is_done(job, options, restorer)

    monkeypatch.setattr(archive_triage, "is_done", look)
    batch(archive)
    looked.clear()
    assert batch(archive).counts == {"skipped": 3}
    assert looked == []
    (archive.with_name("out") / NAME).unlink()
    assert batch(archive).counts == {"skipped": 3}
    assert len(looked) == 3
    assert batch(archive).counts == {"skipped": 3}
    assert len(looked) == 3
    assert batch(archive, sigma=2.0).counts == {"restored": 3}
    assert batch(archive, fresh=True).counts == {"restored": 3}


def test_what_another_version_restored_is_looked_at(archive, monkeypatch):
    batch(archive)
    monkeypatch.setattr(archive_triage, "version", lambda name: "9.9")
    looked = []
    monkeypatch.setattr(archive_triage, "is_done", lambda *given: looked.append(given) or True)
    batch(archive)
    assert len(looked) == 3


def test_what_failed_or_is_held_is_not_remembered(archive):
    found = scenes(str(archive))

    def restore(job):
        if job.source == found[0].source:
            raise BusyError("held")
        raise InputError("is bad")

    restore_archive(
        str(archive), str(archive.with_name("out")), BatchOptions(), PLAIN, restore=restore
    )
    base = sqlite3.connect(archive.with_name("out") / NAME)
    assert base.execute("SELECT count(*) FROM done").fetchone() == (0,)
    base.close()


@pytest.fixture
def large(tmp_path):
    """Six scenes of several slabs each."""
    for index in range(6):
        pixels = texture(1, 900, 96, seed=index) + noise((1, 900, 96), 25, seed=index)
        (tmp_path / "in").mkdir(exist_ok=True)
        write(tmp_path / "in" / f"s{index}.tif", pixels.astype(np.uint16))
    return tmp_path / "in"


SLOW = {"tile": 64, "precision": "fp32", "device": "cpu"}


def parts(folder):
    return list(folder.glob(".*.geoae/slab-*.tif"))


def assert_same(out, alone, number):
    """Every scene is there, whole, once, with the pixels of a run without a cluster."""
    outputs = sorted(path.name for path in out.glob("[!.]*"))
    assert outputs == [f"s{index}.tif" for index in range(number)]
    for name in outputs:
        assert (read(out / name) == read(alone / name)).all()
    assert not list(out.glob(".*.geoae"))
    assert not list(out.rglob("*.tmp"))


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_nothing(large, model, tmp_path):
    from distributed import Client

    alone, out = tmp_path / "alone", tmp_path / "out"
    with (
        scheduler(tmp_path) as (address, _),
        worker(address, tmp_path) as first,
        worker(address, tmp_path) as second,
        Client(address) as client,
    ):
        client.wait_for_workers(2)
        geoae.batch(large, alone, model=model, **SLOW).require()
        killed = []

        def kill(now):
            if not killed:
                # In the middle of a scene: some of its slabs are finished, others are not.
                wait_until(lambda: parts(out))
                os.kill(first.pid, signal.SIGKILL)
                killed.append(now)

        report = geoae.batch(large, out, model=model, on_progress=kill, **SLOW)
        assert second.poll() is None
    assert killed
    # A worker that is killed between publishing and reporting has restored its scene.
    assert {one.reason for one in report.outcomes} <= {"", archive_triage.DONE}
    assert len({one.source for one in report.outcomes}) == 6
    assert_same(out, alone, 6)


@pytest.mark.slow
def test_a_scheduler_that_is_killed_is_one_line_and_the_rest_comes_later(large, model, tmp_path):
    from distributed import Client

    alone, out = tmp_path / "alone", tmp_path / "out"
    with scheduler(tmp_path) as (address, process), worker(address, tmp_path), Client(address):

        def kill(now):
            os.kill(process.pid, signal.SIGKILL)

        with pytest.raises(ClusterError, match="the Dask scheduler was lost; start it") as caught:
            geoae.batch(large, out, model=model, on_progress=kill, **SLOW)
        assert "\n" not in str(caught.value)
    done = [path.name for path in out.glob("*.tif")]
    assert 1 <= len(done) < 6
    with scheduler(tmp_path) as (address, _), worker(address, tmp_path), Client(address):
        report = geoae.batch(large, out, model=model, **SLOW)
        assert report.counts == {"restored": 6 - len(done), "skipped": len(done)}
        geoae.batch(large, alone, model=model, **SLOW).require()
    assert_same(out, alone, 6)


@pytest.mark.slow
def test_one_scene_is_spread_and_many_are_tasks(large, model, tmp_path):
    from distributed import Client

    with (
        scheduler(tmp_path) as (address, _),
        worker(address, tmp_path),
        worker(address, tmp_path),
        Client(address) as client,
    ):
        client.wait_for_workers(2)
        whole = geoae.batch(large, tmp_path / "whole", model=model, **SLOW)
        assert whole.workers == 2
        before = sum(client.run(lambda dask_worker: dask_worker.state.executed_count).values())
        assert before == 6
        split = geoae.batch(large / "s0.tif", tmp_path / "split", model=model, **SLOW)
        after = client.run(lambda dask_worker: dask_worker.state.executed_count)
        assert sum(after.values()) - before > 1
    split.require()
    assert (read(tmp_path / "split" / "s0.tif") == read(tmp_path / "whole" / "s0.tif")).all()


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_workers_find_scenes_and_model_that_are_named_from_this_folder(
    archive, model, tmp_path, monkeypatch, number
):
    """Whole scenes, and the slabs of one that is alone."""
    from distributed import Client

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    names = sorted(str(path.relative_to(tmp_path)) for path in archive.rglob("*.tif"))[:number]
    folder = os.path.relpath(model, tmp_path)
    with (
        scheduler(elsewhere) as (address, _),
        worker(address, elsewhere),
        Client(address) as client,
    ):
        client.wait_for_workers(1)
        report = geoae.batch(names, "there", model=folder, steps="noise", sigma=5.0)
    report.require()
    assert [one.source for one in sorted(report.outcomes, key=lambda one: one.source)] == names
    assert {one.target for one in report.outcomes} == {f"there/{Path(name).name}" for name in names}
    assert len(list((tmp_path / "there").glob("*.tif"))) == number
    assert not list(elsewhere.rglob("*.tif"))
