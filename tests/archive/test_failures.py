import json
import os
from pathlib import Path

import pytest

from geoae.archive import failures as archive_failures
from geoae.archive.failures import Failures
from geoae.catalog.sources import SceneRef
from geoae.errors import OutputError


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "s.tif"
    path.write_bytes(b"scene")
    return path


def test_failures_are_forgotten_when_the_scene_changes_or_works(scene, tmp_path):
    failures, found = Failures.below(str(tmp_path / "out")), SceneRef(str(scene), "s.tif")
    assert failures.find(found, "order") is None
    failures.note(found, "order", "why")
    assert failures.find(found, "order").reason == "why"
    assert failures.find(found, "another") is None
    os.utime(scene, (1, 1))
    assert failures.find(found, "order") is None
    failures.note(found, "order", "why")
    failures.forget(found)
    assert failures.find(found, "order") is None


def test_a_failure_that_may_pass_is_tried_again_after_a_while(scene, tmp_path):
    failures, found = Failures.below(str(tmp_path)), SceneRef(str(scene), "s.tif")
    failures.note(found, "order", "why", seconds=60)
    assert failures.find(found, "order")
    failures.note(found, "order", "why", seconds=-1)
    assert failures.find(found, "order") is None


def test_failures_are_kept_on_this_machine_or_in_s3():
    with pytest.raises(OutputError, match="no folder of this machine and none of s3"):
        Failures.below("gs://bucket/out")


def test_a_failure_is_put_off_until_its_time(scene, tmp_path, monkeypatch):
    failures, found = Failures.below(str(tmp_path)), SceneRef(str(scene), "s.tif")
    monkeypatch.setattr(archive_failures.time, "time", lambda: 1000.0)
    failures.note(found, "order", "why", seconds=60)
    assert failures.find(found, "order").until == 1060
    monkeypatch.setattr(archive_failures.time, "time", lambda: 1061.0)
    assert failures.find(found, "order") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"surprise": 1}'])
def test_a_note_that_does_not_read_counts_for_nothing(scene, tmp_path, content):
    failures, found = Failures.below(str(tmp_path)), SceneRef(str(scene), "s.tif")
    failures.note(found, "order", "why")
    [note] = Path(failures.folder).glob("*.json")
    assert json.loads(note.read_text())["reason"] == "why"
    note.write_text(content)
    assert failures.find(found, "order") is None


def test_a_note_that_cannot_be_written_is_one_line(scene, tmp_path):
    (tmp_path / ".geoae-failed").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"\.geoae-failed: cannot be written") as caught:
        Failures.below(str(tmp_path)).note(SceneRef(str(scene), "s.tif"), "order", "why")
    assert "\n" not in str(caught.value)
    Failures.below(str(tmp_path / "elsewhere")).forget(SceneRef(str(scene), "s.tif"))
