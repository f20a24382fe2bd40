import os

import numpy as np
import pytest

from geoae.errors import OutputError
from geoae.raster.target import refuse_target
from tests.support.rasters import write


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return str(write(tmp_path / "in.tif", np.zeros((1, 8, 8), np.uint8)))


@pytest.mark.parametrize("name", ["out.tif", "out.TIFF", "out", "out.2024", "/vsis3/a/out.tif"])
def test_a_file_that_can_be_written_passes(source, name):
    refuse_target(source, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("in.tif", "is the input itself"),
        ("link.tif", "is the input itself"),
        ("folder", "is a folder"),
        ("pipe.tif", "is a pipe"),
        ("out.png", "not PNG"),
        ("zip://a.zip!out.tif", "does not write into zip://"),
        ("/vsizip/a.zip/out.tif", "does not write into /vsizip"),
        ("out\udcff.tif", "not UTF-8"),
        (f"{'long' * 100}.tif", "cannot be written"),
    ],
)
def test_any_other_is_refused_in_one_line(source, tmp_path, name, said):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "link.tif").hardlink_to(source)
    with pytest.raises(OutputError, match=said) as caught:
        refuse_target(source, name)
    assert "\n" not in str(caught.value)
