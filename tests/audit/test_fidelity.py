import re

import numpy as np
import pytest
import rasterio

from geoae.audit.fidelity import compare
from geoae.errors import OutputError, RejectedError
from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from geoae.raster.scene import Scene
from tests.support.rasters import noise, texture, write

# Larger than what is sampled, so that windows are looked at.
SIDE = 900


@pytest.fixture
def source(tmp_path):
    pixels = (texture(3, 80, 90) + noise((3, 80, 90), 15)).astype(np.uint16)
    pixels[:, :5] = 0
    return write(tmp_path / "s.tif", pixels, nodata=0)


@pytest.fixture
def output(source, tmp_path):
    """The source with bands 1 and 3 restored, and band 2 copied."""
    run(Job(source=str(source), target=str(tmp_path / "t.tif"), profile="gtiff", bands=[1, 3]))
    return tmp_path / "t.tif"


def compared(source, output, bands=(1, 3)):
    return compare(Scene.open(str(source), bands), str(output), "named.tif")


def test_what_geoae_writes_is_its_source(source, output):
    found = compared(source, output)
    assert found.count.tolist() == [75 * 90] * 2
    assert np.abs(found.bias).max() < 1
    found.refuse_bias(np.array([15.0, 15.0]))
    given, written = (
        rasterio.open(path).read([1, 3]).astype(float)[:, 5:] for path in (source, output)
    )
    np.testing.assert_allclose(
        found.bias, written.mean(axis=(1, 2)) - given.mean(axis=(1, 2)), atol=1e-9
    )
    np.testing.assert_allclose(found.spread, given.std(axis=(1, 2)))


def test_identity_moves_nothing(source, tmp_path):
    run(Job(source=str(source), target=str(tmp_path / "i.tif"), model="identity"))
    assert compared(source, tmp_path / "i.tif", None).bias.tolist() == [0.0, 0.0, 0.0]


def test_samples_are_those_of_the_output(source, output):
    pixels, mask = compared(source, output).samples[0]
    assert (pixels == rasterio.open(output).read([1, 3])).all()
    assert (mask == (pixels != 0)).all()


def shift(dataset):
    pixels = dataset.read(1)
    dataset.write(np.where(pixels > 0, pixels + 40, 0).astype(pixels.dtype), 1)


def blank(dataset):
    dataset.write(np.zeros((20, 90), np.uint16), 3, window=((40, 60), (0, 90)))


def touch_copied(dataset):
    dataset.write(dataset.read(2) + np.uint16(dataset.read(2) == dataset.read(2).max()), 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: setattr(d, "transform", d.transform @ d.transform), "transform"),
        (lambda d: setattr(d, "nodata", 7), "nodata"),
        (blank, "the mask of band 3 (4950 valid sampled pixels for 6750)"),
        (touch_copied, "the copied band 2;"),
    ],
)
def test_what_differs_is_told(source, output, change, said):
    with rasterio.open(output, "r+") as dataset:
        change(dataset)
    with pytest.raises(
        RejectedError, match=re.escape(f"named.tif: differs from its source in {said}")
    ) as caught:
        compared(source, output)
    assert "\n" not in str(caught.value)


def test_a_mean_that_moves_is_told(source, output):
    with rasterio.open(output, "r+") as dataset:
        shift(dataset)
    found = compared(source, output)
    with pytest.raises(
        RejectedError,
        match=r"the mean of band 1 moved by (39|40).* DN, where at most .* pass; correct",
    ):
        found.refuse_bias(np.array([15.0, 15.0]))


def test_few_pixels_may_move_as_far_as_their_noise_does(tmp_path):
    """The mean of the noise of 16 pixels is a quarter of a deviation, which is no bias."""
    noisy = (1000 + noise((1, 4, 4), 100)).astype(np.float32)
    source = write(tmp_path / "s.tif", noisy)
    found = compared(source, write(tmp_path / "t.tif", noisy - np.float32(50)), None)
    found.refuse_bias(np.array([100.0]))
    with pytest.raises(RejectedError):
        found.refuse_bias(np.array([1.0]))


@pytest.mark.parametrize("value", [np.nan, 3.0e38])
def test_invalid_pixels_may_not_change(tmp_path, value):
    """Undeclared values beyond what float32 can reckon with are invalid too."""
    pixels = texture(1, 40, 40).astype(np.float32)
    pixels[:, 3:6, 3:6] = value
    source = write(tmp_path / "s.tif", pixels)
    compared(source, write(tmp_path / "same.tif", pixels), None)
    pixels[0, 4, 4] = -3.0e38
    with pytest.raises(RejectedError, match="in invalid pixels of band 1"):
        compared(source, write(tmp_path / "other.tif", pixels), None)


def test_pixels_of_a_given_value_may_not_change(tmp_path):
    pixels = texture(1, 40, 40).astype(np.float32)
    pixels[:, 3:6] = 7
    source = Scene.open(str(write(tmp_path / "s.tif", pixels)), fill=7)
    found = compare(source, str(write(tmp_path / "same.tif", pixels)), "named.tif")
    assert found.count.tolist() == [37 * 40]
    pixels[0, 4, 4] = 8
    with pytest.raises(RejectedError, match="in the mask of band 1"):
        compare(source, str(write(tmp_path / "other.tif", pixels)), "named.tif")


def test_the_sign_of_zero_is_not_looked_at(tmp_path):
    """GDAL forgets it in a block of zeros."""
    pixels = np.zeros((1, 20, 20), np.float32)
    source = write(tmp_path / "s.tif", -pixels, nodata=0)
    compared(source, write(tmp_path / "t.tif", pixels, nodata=0), None)


def test_a_scene_without_a_measured_band_is_compared_too(tmp_path):
    pixels = texture(1, SIDE, 50).astype(np.uint16)
    source = write(tmp_path / "s.tif", pixels)
    assert compared(source, write(tmp_path / "same.tif", pixels), ()).bias.size == 0
    pixels[0, SIDE // 8, 20] += 1
    with pytest.raises(RejectedError, match="the copied band 1"):
        compared(source, write(tmp_path / "other.tif", pixels), ())


def test_a_mask_where_all_bands_are_copied_is_compared(tmp_path):
    pixels = texture(1, 60, 50).astype(np.uint16)
    for name, rows in (("s.tif", 9), ("same.tif", 9), ("other.tif", 8)):
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(write(tmp_path / name, pixels), "r+") as dataset,
        ):
            mask = np.full((60, 50), 255, np.uint8)
            mask[:rows] = 0
            dataset.write_mask(mask)
    compared(tmp_path / "s.tif", tmp_path / "same.tif", ())
    with pytest.raises(RejectedError, match="in the mask;"):
        compared(tmp_path / "s.tif", tmp_path / "other.tif", ())


def test_an_output_that_does_not_read_is_no_fault_of_the_source(source, output):
    output.write_bytes(output.read_bytes()[:-3000])
    with pytest.raises(
        OutputError, match=r"^named\.tif: does not read as it was written"
    ) as caught:
        compared(source, output)
    assert not isinstance(caught.value, RejectedError)
