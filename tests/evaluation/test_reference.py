import numpy as np
import pytest
import rasterio

from geoae.errors import InputError
from geoae.evaluation.reference import Reference
from tests.support.rasters import read, texture, write


@pytest.fixture
def truth(tmp_path):
    pixels = texture(3, 70, 90).astype(np.uint16)
    pixels[1, :10, :10] = 0
    return Reference.read(write(tmp_path / "in.tif", pixels, nodata=0), "in.tif", 64)


def test_the_middle_is_read_with_what_is_valid_in_all_bands(truth, tmp_path):
    assert truth.pixels.shape == (3, 64, 64)
    assert np.array_equal(truth.pixels, read(tmp_path / "in.tif")[:, 3:67, 13:77])
    assert truth.valid.all()
    whole = Reference.read(tmp_path / "in.tif", "in.tif", 512)
    assert (~whole.valid).sum() == 100
    assert whole.transform == rasterio.open(tmp_path / "in.tif").transform


def test_noise_is_in_255ths_of_each_bands_span(truth):
    excess = (truth.noisy(25) - truth.pixels) / truth.span[:, None, None]
    assert 255 * excess.std(axis=(1, 2)) == pytest.approx([25, 25, 25], rel=0.05)
    assert np.array_equal(truth.noisy(25), truth.noisy(25))


def test_no_noise_is_the_scene_itself(truth):
    assert np.array_equal(truth.noisy(0), truth.pixels)


def test_eight_bits_are_the_span(truth, tmp_path):
    levels = truth.eight_bits()
    assert (levels.pixels.min(), levels.pixels.max()) == (0, 255)
    unit = 255 * (truth.pixels - truth.low[:, None, None]) / truth.span[:, None, None]
    assert np.abs(levels.pixels - np.clip(unit, 0, 255)).max() <= 0.5
    levels.write(tmp_path / "out.tif", levels.pixels + 0.4)
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.dtypes == ("uint8", "uint8", "uint8")
        assert np.array_equal(dataset.read(), levels.pixels)


def test_clean_is_means_of_blocks(truth):
    clean = truth.clean()
    assert clean.pixels[:, 2, 3] == pytest.approx(truth.pixels[:, 8:12, 12:16].mean(axis=(1, 2)))
    assert clean.transform.a == 4 * truth.transform.a


def test_units_go_there_and_back(truth):
    noisy = truth.noisy(15)
    assert truth.to_dn(truth.to_unit(noisy)) == pytest.approx(noisy, rel=1e-5)


def test_what_is_invalid_is_declared(tmp_path):
    pixels = texture(2, 40, 40).astype(np.uint16)
    pixels[:, 5, 5] = 0
    truth = Reference.read(write(tmp_path / "in.tif", pixels, nodata=0), "in.tif", 512)
    truth.write(tmp_path / "noisy.tif", truth.noisy(10))
    with rasterio.open(tmp_path / "noisy.tif") as dataset:
        assert np.array_equal(dataset.read_masks(1) != 0, truth.valid)
        assert dataset.dtypes == ("float32", "float32")
    levels = truth.eight_bits()
    levels.write(tmp_path / "levels.tif", levels.pixels)
    with rasterio.open(tmp_path / "levels.tif") as dataset:
        assert np.array_equal(dataset.read_masks(1) != 0, truth.valid)


def test_a_scene_without_a_valid_pixel_is_said(tmp_path):
    path = write(tmp_path / "in.tif", np.zeros((1, 40, 40), np.uint16), nodata=0)
    with pytest.raises(InputError, match="no pixel valid"):
        Reference.read(path, "in.tif", 512)


@pytest.mark.parametrize(
    "pixels", [np.full((1, 40, 40), 9, np.uint16), texture(1, 5, 40).astype(np.uint16)]
)
def test_a_scene_that_shows_nothing_is_said(tmp_path, pixels):
    with pytest.raises(InputError, match="leave it out"):
        Reference.read(write(tmp_path / "in.tif", pixels), "in.tif", 512)


def test_a_scene_too_small_or_too_holed_for_block_means_is_said(tmp_path):
    small = Reference.read(
        write(tmp_path / "a.tif", texture(1, 20, 20).astype(np.uint16)), "a.tif", 512
    )
    pixels = texture(1, 60, 60).astype(np.uint16)
    pixels[:, ::3, ::3] = 0
    holed = Reference.read(write(tmp_path / "b.tif", pixels, nodata=0), "b.tif", 512)
    for truth in (small, holed):
        with pytest.raises(InputError, match="leave it or noise 0 out"):
            truth.clean()


def test_a_scene_without_a_measured_band_is_said(tmp_path):
    path = write(tmp_path / "in.tif", texture(1, 40, 40).astype(np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(1, "SCL")
    with pytest.raises(InputError, match="no measured band"):
        Reference.read(path, "in.tif", 512)


def test_a_value_that_the_scene_does_not_declare_is_invalid(tmp_path):
    pixels = (1000 + texture(1, 60, 70)).astype(np.uint16)
    pixels[:, :10] = 7
    path = write(tmp_path / "in.tif", pixels)
    assert Reference.read(path, "in.tif", 512).valid.all()
    assert np.array_equal(Reference.read(path, "in.tif", 512, 7).valid, pixels[0] != 7)
