import os
import sqlite3

import pytest

from geoae.archive.cache import NAME, DoneCache
from geoae.catalog.sources import SceneRef


@pytest.fixture
def scene(tmp_path):
    """A scene and its output, ``out/s.tif``."""
    path = tmp_path / "s.tif"
    path.write_bytes(b"scene")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "s.tif").write_bytes(b"restored")
    return SceneRef(str(path), "s.tif")


def opened(tmp_path, key="model and options"):
    return DoneCache(str(tmp_path / "out"), key)


@pytest.fixture
def known(scene, tmp_path):
    """That scene, which is known to be done."""
    with opened(tmp_path) as cache:
        cache.add(scene, scene.stamp)
    return scene


def holds(tmp_path, found, **key):
    with opened(tmp_path, **key) as cache:
        return cache.holds(found)


def test_what_is_done_is_known_in_the_next_run(known, tmp_path):
    assert holds(tmp_path, known)
    assert not holds(tmp_path, known, key="another model")
    assert not holds(tmp_path, SceneRef(known.source, "t.tif"))


@pytest.mark.parametrize("changed", ["s.tif", "out/s.tif"])
@pytest.mark.parametrize("what", ["size", "time", "gone"])
def test_an_entry_counts_while_source_and_output_agree(known, tmp_path, changed, what):
    path = tmp_path / changed
    if what == "size":
        before = path.stat()
        path.write_bytes(b"longer than before")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif what == "time":
        os.utime(path, (1, 1))
    else:
        path.unlink()
    assert not holds(tmp_path, known)


@pytest.mark.parametrize("name", ["s.tif.msk", "s.tif.aux.xml", "s.tfw", "s.wld", "s_RPC.TXT"])
def test_a_sidecar_of_the_source_counts_too(known, tmp_path, name):
    (tmp_path / name).write_bytes(b"more")
    assert not holds(tmp_path, known)


def test_a_source_that_changed_during_the_work_is_not_known(scene, tmp_path):
    with opened(tmp_path) as cache:
        stamp = scene.stamp
        os.utime(scene.source, (1, 1))
        cache.add(scene, stamp)
    assert not holds(tmp_path, scene)


def test_what_may_change_unseen_is_never_known(tmp_path, scene):
    (tmp_path / "s.vrt").write_text("<VRTDataset/>")
    unseen = [
        SceneRef("/vsis3/bucket/s.tif", "s.tif"),
        SceneRef(str(tmp_path / "s.vrt"), "s.tif"),
        SceneRef(str(tmp_path / "missing.tif"), "s.tif"),
    ]
    with opened(tmp_path) as cache:
        for found in unseen:
            cache.add(found, found.stamp)
    assert [holds(tmp_path, found) for found in unseen] == [False] * 3


def test_without_a_folder_of_outputs_nothing_is_written(scene, tmp_path):
    cache = DoneCache(str(tmp_path / "elsewhere"), "key")
    with cache:
        cache.add(scene, scene.stamp)
        assert not cache.holds(scene)
    assert not (tmp_path / "elsewhere").exists()
    with DoneCache("gs://bucket/out", "key") as remote:
        assert not remote.holds(scene)


@pytest.mark.parametrize("content", [b"no database", b""])
def test_a_damaged_file_begins_anew(known, tmp_path, content):
    (tmp_path / "out" / NAME).write_bytes(content)
    assert not holds(tmp_path, known)
    with opened(tmp_path) as cache:
        cache.add(known, known.stamp)
    assert holds(tmp_path, known)


def test_a_file_that_another_process_holds_is_done_without(known, tmp_path, monkeypatch):
    monkeypatch.setattr("geoae.archive.cache.WAIT", 0.01)
    other = sqlite3.connect(tmp_path / "out" / NAME)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with opened(tmp_path) as cache:
            assert not cache.holds(known)
            cache.add(known, known.stamp)
    finally:
        other.close()
    assert holds(tmp_path, known)


def test_many_entries_are_written_in_short_transactions(scene, tmp_path, monkeypatch):
    monkeypatch.setattr("geoae.archive.cache.AT_ONCE", 2)
    with opened(tmp_path) as cache:
        cache.add(scene, scene.stamp)
        assert not holds(tmp_path, scene)
        cache.add(scene, scene.stamp)
        assert holds(tmp_path, scene)


def test_an_output_that_is_not_there_is_told_without_opening_it(scene, tmp_path):
    with opened(tmp_path) as cache:
        assert not cache.misses(scene)
        assert cache.misses(SceneRef(scene.source, "other.tif"))
    with DoneCache("gs://bucket/out", "key") as unknown:
        assert not unknown.misses(scene)
