import json
import os

import numpy as np
import pytest
import rasterio

from geoae.raster.tags import already_restored_warning, read_history, read_tags, with_history
from geoae.system.files import file_name
from tests.support.rasters import write

STEP = {"FINGERPRINT": "f", "VERSION": "0.1.0", "MODEL": "res-cae", "SOURCE": "scene.tif"}


@pytest.fixture
def scene(tmp_path):
    return write(tmp_path / "in.tif", np.ones((1, 8, 8), np.uint8))


def tagged(path, **tags: str) -> str:
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(ns="GEOAE", **tags)
    return str(path)


def test_what_no_run_wrote_has_no_history(scene, tmp_path):
    assert read_history(str(scene)) == []
    assert read_history(tagged(scene, NOTE="mine")) == []
    assert read_history(str(tmp_path / "missing.tif")) == []


def test_what_is_noted_in_a_raster_and_in_none(scene, tmp_path):
    assert read_tags(str(scene)) == {}
    assert read_tags(tagged(scene, **STEP)) == STEP
    (tmp_path / "no.tif").write_bytes(b"no raster")
    os.mkfifo(tmp_path / "pipe.tif")  # which GDAL would wait for
    assert [
        read_tags(str(tmp_path / name)) for name in ("missing.tif", "no.tif", "pipe.tif", "")
    ] == [None] * 4


def test_a_history_travels_in_the_tags_oldest_first(scene):
    steps = [STEP | {"SOURCE": name} for name in ("a.tif", "b.tif")]
    assert read_history(tagged(scene, **with_history(STEP, steps))) == [*steps, STEP]
    assert with_history(STEP, []) == STEP


@pytest.mark.parametrize("text", ["", "{", "3", '{"a": 1}', '[1, "x", null]'])
def test_a_history_that_was_tampered_with_is_left_out(scene, text):
    assert read_history(tagged(scene, **STEP, HISTORY=text)) == [STEP]
    assert read_history(tagged(scene, **STEP, HISTORY=json.dumps([{"MODEL": 7}, 1]))) == [
        {"MODEL": "7"},
        STEP,
    ]


def test_a_remark_names_the_first_source():
    assert already_restored_warning("r.tif", []) is None
    assert (
        "r.tif: is already restored by geoae 0.1.0 with model res-cae; "
        in already_restored_warning("r.tif", [STEP])
    )
    twice = already_restored_warning("r.tif", [STEP, STEP | {"SOURCE": "r1.tif", "MODEL": "other"}])
    assert "2 times, last by geoae 0.1.0 with model other" in twice
    assert twice.endswith("restore scene.tif instead")
    assert already_restored_warning("r.tif", [{"FINGERPRINT": "f"}]).endswith(
        "restore its source instead"
    )


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("/home/someone/scene.tif", "scene.tif"),
        ("scene.tif", "scene.tif"),
        ("", ""),
        ("s3://bucket/key/s.tif", "s.tif"),
        ("/vsicurl/https://host/s.tif?sig=secret", "s.tif"),
        ("C:\\data\\s.tif", "s.tif"),
        ("folder/", "folder"),
    ],
)
def test_neither_folders_nor_signatures_are_kept(name, kept):
    assert file_name(name) == kept
