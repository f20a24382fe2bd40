import zipfile

import pytest

from scripts.gpu_day import pack as module
from scripts.gpu_day.day import ROOT
from scripts.gpu_day.pack import TRAVELS, check_size, count_tree, pack


def test_the_tree_leaves_room_for_wheels_and_scenes():
    assert 1 << 20 < count_tree() < TRAVELS / 4


def test_more_than_may_travel_is_refused(tmp_path, monkeypatch):
    (tmp_path / "large").write_bytes(bytes(1000))
    assert check_size(tmp_path) == count_tree() + 1000
    monkeypatch.setattr(module, "TRAVELS", count_tree() + 999)
    with pytest.raises(ValueError, match="may travel"):
        check_size(tmp_path)


def test_a_folder_that_git_would_commit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not ignored by git; give a folder in build/"):
        pack(ROOT / "docs/packed", tmp_path, tmp_path / "c.toml", "3.12", ())


def test_a_wheel_is_the_same_in_fewer_bytes(tmp_path):
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a/b.py", "x = 1\n" * 5000)
    before = wheel.stat().st_size
    module._recompress(wheel)
    assert wheel.stat().st_size < before / 10
    assert zipfile.ZipFile(wheel).read("a/b.py") == b"x = 1\n" * 5000
