import os
from datetime import UTC, datetime, timedelta

import pytest

from geoae.catalog.sources import SORT_KEYS, SceneRef, scenes, scenes_below, sort_scenes
from geoae.errors import InputError


@pytest.fixture
def inbox(tmp_path):
    """Three scenes of different ages and sizes, one of them in a subfolder, and what is none."""
    for age, (name, size) in enumerate([("a.tif", 30), ("day/b.jp2", 10), ("c.TIF", 20)]):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        os.utime(path, (1e9 - 86400 * age,) * 2)
    for name in ("notes.txt", ".hidden.tif", ".a.tif.geoae/slab-00000.tif", "a.tif.part"):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path / "in"


def names(found):
    return [one.name for one in found]


def test_a_folder_with_its_subfolders(inbox):
    found = scenes(str(inbox))
    assert names(found) == ["a.tif", "c.tif", "day/b.tif"]
    assert found[2].source == str(inbox / "day" / "b.jp2")


def test_a_glob_keeps_the_folders_below_its_fixed_part(inbox):
    assert names(scenes(f"{inbox}/*.tif")) == ["a.tif"]
    assert names(scenes(f"{inbox}/**/*.[jt]?[2f]")) == ["a.tif", "day/b.tif"]


def test_a_list_keeps_the_folders_below_what_they_share(inbox):
    assert names(scenes([str(inbox / "a.tif"), str(inbox / "day" / "b.jp2")])) == [
        "a.tif",
        "day/b.tif",
    ]
    assert names(scenes(str(inbox / "a.tif"))) == ["a.tif"]
    assert names(scenes(["/vsis3/bucket/x.tif"])) == ["x.tif"]


def test_outputs_beside_the_scenes_are_no_scenes(inbox):
    (inbox / "out").mkdir()
    (inbox / "out" / "a.tif").touch()
    assert "out/a.tif" in names(scenes(str(inbox)))
    assert "out/a.tif" not in names(scenes(str(inbox), beside=str(inbox / "out")))


def test_only_what_is_newer(inbox):
    start = datetime.fromtimestamp(1e9 - 3600, UTC)
    assert names(scenes(str(inbox), since=start)) == ["a.tif"]
    assert scenes(str(inbox), since=timedelta(days=1)) == []
    assert len(scenes(str(inbox), since=timedelta(days=36500))) == 3


@pytest.mark.parametrize(
    ("order", "expected"),
    [("name", "a c b"), ("newest", "a b c"), ("oldest", "c b a"), ("smallest", "b c a")],
)
def test_order_and_limit(inbox, order, expected):
    found = [name.split("/")[-1][0] for name in names(sort_scenes(scenes(str(inbox)), order, None))]
    assert " ".join(found) == expected
    assert len(sort_scenes(scenes(str(inbox)), order, 2)) == 2
    assert order in SORT_KEYS


def test_two_scenes_of_one_stem_get_names_of_their_own(inbox):
    (inbox / "a.jp2").touch()
    assert names(scenes(str(inbox)))[:2] == ["a.jp2.tif", "a.tif.tif"]


def test_two_scenes_of_one_name_are_refused():
    with pytest.raises(InputError, match="same name"):
        scenes(["/vsis3/one/x.tif", "/vsis3/two/x.tif"])


@pytest.mark.parametrize("where", ["missing", ["missing.tif"], "missing.tif"])
def test_what_is_not_there(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="missing"):
        scenes(where)


def test_a_stamp_tells_of_growth(inbox):
    one = SceneRef(str(inbox / "a.tif"), "a.tif")
    before = one.stamp
    assert before == one.stamp
    (inbox / "a.tif").write_bytes(b"more")
    assert one.stamp != before
    (inbox / "a.tif").unlink()
    assert one.stamp == "gone"
    assert SceneRef("/vsis3/bucket/x.tif", "x.tif").stamp == ""


def test_outputs_among_scenes_are_left_out_the_reverse_is_said(inbox):
    assert names(scenes(str(inbox), beside=str(inbox / "day"))) == ["a.tif", "c.tif"]
    for target in (inbox, inbox.parent):
        with pytest.raises(InputError, match="holds the scenes themselves"):
            scenes(str(inbox), beside=str(target))


@pytest.fixture
def folder(tmp_path):
    """Two rasters, one of them in a subfolder, and what is none."""
    for name in ("scenes/deep/two.tif", "scenes/one.TIF", "scenes/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "scenes"


def test_rasters_are_found_below_folders_and_by_name(folder):
    assert [name for name, _ in scenes_below([folder])] == ["deep/two.tif", "one.TIF"]
    assert scenes_below([folder / "one.TIF"]) == [("one.TIF", folder / "one.TIF")]
    with pytest.raises(InputError, match="does not exist"):
        scenes_below([folder / "absent"])
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="holds no raster"):
        scenes_below([folder / "empty"])


def test_two_rasters_of_one_name_are_refused(folder):
    with pytest.raises(InputError, match="two of the places"):
        scenes_below([folder, folder / "one.TIF"])
