"""What is not its source but for the noise never gets the target's name."""

import re
import tempfile

import numpy as np
import pytest
import rasterio

import geoae
from geoae.errors import OutputError, RejectedError
from geoae.models.restorer import Identity
from geoae.pipeline import publication
from geoae.pipeline.preparation import prepare
from tests.support.rasters import noise, read, texture, write


@pytest.fixture
def source(tmp_path):
    pixels = (texture(2, 150, 160) + noise((2, 150, 160), 20)).astype(np.uint16)
    pixels[:, :9] = 0
    return write(tmp_path / "in.tif", pixels, nodata=0)


def identity(source, target, **options):
    return geoae.restore(
        source, target, **{"model": "identity", "profile": "gtiff", "tile": 64} | options
    )


def spoil(monkeypatch, change):
    """Let ``change`` happen to each file that is assembled."""
    assemble = publication.assemble

    def spoiled(source, parts, bands, target, **more):
        assemble(source, parts, bands, target, **more)
        with rasterio.open(target, "r+") as dataset:
            change(dataset)

    monkeypatch.setattr(publication, "assemble", spoiled)


def move(dataset):
    dataset.transform = dataset.transform @ dataset.transform


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


class Biased(Identity):
    """Takes half of the noise's deviation from every pixel."""

    def __call__(self, pixels, sigma, shape=None):
        return np.full_like(pixels, 0.5) * sigma[:, :, None, None]


def test_noise_is_reported_only_where_it_was_known_before(source, tmp_path):
    report = identity(source, tmp_path / "out.tif", sigma=[12.0, 0.0])
    assert report.sigma_before == [12.0, 0.0]
    assert report.sigma_after[0] > 10
    assert report.sigma_after[1] == 0


def test_what_fails_the_check_never_gets_the_name(source, tmp_path, monkeypatch):
    spoil(monkeypatch, move)
    target = tmp_path / "out.tif"
    with pytest.raises(
        RejectedError, match=r"out\.tif: differs from its source in transform \(.*report it"
    ) as caught:
        identity(source, target)
    assert f"(kept as {target}.rejected)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left_in(tmp_path) == ["in.tif", "out.tif.rejected"]
    assert np.array_equal(read(f"{target}.rejected"), read(source))


def test_an_older_output_keeps_its_name(source, tmp_path, monkeypatch):
    identity(source, tmp_path / "out.tif")
    before = (tmp_path / "out.tif").read_bytes()
    spoil(monkeypatch, move)
    with pytest.raises(RejectedError):
        identity(source, tmp_path / "out.tif", sigma=3.0, overwrite=True)
    assert (tmp_path / "out.tif").read_bytes() == before
    assert left_in(tmp_path) == ["in.tif", "out.tif", "out.tif.rejected"]


def test_a_model_that_moves_the_mean_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "load_restorer", lambda spec: Biased())
    with pytest.raises(
        RejectedError, match=r"the mean of band 1 moved by -?\d.* DN, .* choose another --model"
    ):
        geoae.restore(source, tmp_path / "out.tif", sigma=100.0)
    assert left_in(tmp_path) == ["in.tif", "out.tif.rejected"]


def test_a_lost_fingerprint_is_noticed(source, tmp_path, monkeypatch):
    spoil(monkeypatch, lambda dataset: dataset.update_tags(ns="GEOAE", FINGERPRINT="another"))
    with pytest.raises(RejectedError, match="does not hold the fingerprint of this run"):
        identity(source, tmp_path / "out.tif")


def test_what_fails_is_not_uploaded(source, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    spoil(monkeypatch, move)
    with pytest.raises(RejectedError) as caught:
        identity(source, "/vsimem/rejected.tif")
    with pytest.raises(rasterio.errors.RasterioIOError):
        rasterio.open("/vsimem/rejected.tif")
    [kept] = (tmp_path / "temporary").iterdir()
    assert str(caught.value).endswith(f"(kept as {kept})")
    assert np.array_equal(read(kept), read(source))


def test_the_report_says_how_means_moved(source, tmp_path, monkeypatch):
    assert identity(source, tmp_path / "same.tif").bias == [0.0, 0.0]
    monkeypatch.setattr(prepare, "load_restorer", lambda spec: Biased())
    report = geoae.restore(source, tmp_path / "out.tif", sigma=5.0)
    valid = read(source)[0] > 0
    moved = read(tmp_path / "out.tif")[:, valid].mean(axis=1) - read(source)[:, valid].mean(axis=1)
    assert report.bias == pytest.approx(moved.tolist())
    assert min(map(abs, moved)) > 0.5
    assert geoae.restore(source, tmp_path / "out.tif", sigma=5.0).bias == report.bias, (
        "where it is skipped too"
    )


def test_an_output_that_was_edited_is_another_result(source, tmp_path):
    target = tmp_path / "out.tif"
    identity(source, target)
    with rasterio.open(target, "r+") as dataset:
        dataset.nodata = 7
    with pytest.raises(
        OutputError,
        match=r"exists and no longer passes its check \(differs .* nodata .*\); give --over",
    ):
        identity(source, target)
    with rasterio.open(target) as dataset:
        assert dataset.nodata == 7
    assert identity(source, target, overwrite=True).status == "restored"
    with rasterio.open(target) as dataset:
        assert dataset.nodata == 0


def test_an_output_that_does_not_read_is_made_again(source, tmp_path):
    target = tmp_path / "out.tif"
    identity(source, target)
    with rasterio.open(target) as dataset:
        at = int(re.sub(r"\D", "", dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1)))
    with target.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * 50)
    assert identity(source, target).status == "restored"
    assert np.array_equal(read(target), read(source))
