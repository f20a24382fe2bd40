import numpy as np
import pytest
import rasterio

from geoae.comparison import compare
from geoae.errors import OutputError
from geoae.job import Job, run
from tests.rasters import noise, texture, write


@pytest.fixture
def report(tmp_path):
    pixels = (texture(2, 80, 90) + noise((2, 80, 90), 15)).astype(np.uint16)
    pixels[:, :5] = 0
    source = write(tmp_path / "s.tif", pixels, nodata=0)
    with rasterio.open(source, "r+") as dataset:
        dataset.update_tags(SENSOR="made")
    return run(Job(source=str(source), target=str(tmp_path / "t.tif"), profile="gtiff"))


def test_what_geoae_writes_is_its_source(report):
    bias = compare(report).bias
    assert len(bias) == 2
    assert max(map(abs, bias)) < 1


def test_identity_moves_nothing(report, tmp_path):
    made = run(Job(source=report.source, target=str(tmp_path / "i.tif"), model="identity"))
    assert compare(made).bias == [0.0, 0.0]


def changed(report, change):
    with rasterio.open(report.target, "r+") as dataset:
        change(dataset)
    return report


def _shift(dataset):
    pixels = dataset.read()
    dataset.write(np.where(pixels > 0, pixels + 40, 0).astype(pixels.dtype))


def _blank(dataset):
    pixels = dataset.read()
    pixels[:, 40:60] = 0
    dataset.write(pixels)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: setattr(d, "transform", d.transform @ d.transform), "in transform"),
        (lambda d: setattr(d, "nodata", 7), "in nodata"),
        (lambda d: d.set_band_description(1, "red"), "in band names"),
        (lambda d: d.update_tags(ns="GEOAE", FINGERPRINT="x"), "holds the fingerprint x"),
        (lambda d: d.update_tags(ns="GEOAE", FINGERPRINT="x"), "another run"),
        (_shift, "the mean of band 1 moved by 40"),
        (_blank, "valid sampled pixels"),
    ],
)
def test_what_differs_is_told(report, change, said):
    with pytest.raises(OutputError, match=said):
        compare(changed(report, change))


def test_a_lost_tag_is_told(report):
    with rasterio.open(report.source, "r+") as dataset:
        dataset.update_tags(LATER="added")
    with pytest.raises(OutputError, match="lost the tag LATER"):
        compare(report)
