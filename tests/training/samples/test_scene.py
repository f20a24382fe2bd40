import numpy as np
import pytest
import rasterio

from geoae.errors import TrainingError
from geoae.training.config import RandomDegradation
from geoae.training.samples.batches import Batches
from geoae.training.samples.scene import TrainingScene
from tests.support.rasters import texture, write


def scene(bands: int) -> TrainingScene:
    pixels = texture(bands, 80, 90).astype(np.float32)
    return TrainingScene.from_pixels(pixels, np.ones((80, 90), bool))


def test_values_are_grey_levels_of_the_percentile_range():
    pixels = texture(2, 80, 90).astype(np.float32)
    valid = np.ones((80, 90), bool)
    valid[:10] = False
    read = TrainingScene.from_pixels(pixels, valid)
    found = np.percentile(read.pixels[:, valid], [0.5, 99.5], axis=1)
    np.testing.assert_allclose(found, [[0, 0], [255, 255]], atol=1e-3)
    np.testing.assert_allclose(read.covariance, np.cov(read.pixels[:, valid]), rtol=1e-5)
    again = TrainingScene.from_pixels(3 * pixels + 7, valid)
    np.testing.assert_allclose(again.pixels, read.pixels, atol=1e-3)


def test_a_constant_band_is_zero():
    flat = TrainingScene.from_pixels(np.full((1, 40, 40), 7.0), np.ones((40, 40), bool))
    assert not flat.pixels.any()
    assert not flat.covariance.any()


def test_holes_are_filled_and_avoided(tmp_path):
    pixels = texture(2, 100, 100).astype(np.uint16)
    pixels[:, :, :50] = 0
    read = TrainingScene.read(write(tmp_path / "in.tif", pixels, nodata=0), 32)
    assert not read.valid[:, :50].any()
    assert read.valid[:, 50:].all()
    np.testing.assert_allclose(
        read.pixels[:, :, :50], read.mean[:, None, None] + np.zeros((100, 50)), rtol=1e-5
    )
    white = [RandomDegradation(kind="gaussian", sigma=9)]
    batches = Batches([read], [1], white, 32, 1, 1, seed=0)
    windows = [batches._window(read, np.random.default_rng(seed)) for seed in range(30)]
    assert np.mean([read.valid[window].all() for window in windows]) > 0.5


def test_halving_averages_two_by_two():
    whole = scene(2)
    half = whole.halve()
    assert half.pixels.shape == (2, 40, 45)
    means = whole.pixels.reshape(2, 40, 2, 45, 2).mean(axis=(2, 4))
    same = TrainingScene.from_pixels(means, np.ones((40, 45), bool))
    np.testing.assert_allclose(half.pixels, same.pixels, atol=1e-3)


def test_a_damaged_scene_is_said(tmp_path):
    (tmp_path / "in.tif").write_bytes(b"II*\0 and no more")
    with pytest.raises(TrainingError, match="cannot be opened"):
        TrainingScene.read(tmp_path / "in.tif", 32)


def test_a_scene_too_small_is_said(tmp_path):
    path = write(tmp_path / "in.tif", texture(1, 20, 200).astype(np.uint16))
    with pytest.raises(TrainingError, match="too small for chips of 32 px"):
        TrainingScene.read(path, 32)


def test_bands_that_are_no_measurement_teach_nothing(tmp_path):
    path = write(tmp_path / "in.tif", texture(2, 80, 90).astype(np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(2, "SCL")
    assert len(TrainingScene.read(path, 32).pixels) == 1
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(1, "QA_PIXEL")
    with pytest.raises(TrainingError, match="no measured band"):
        TrainingScene.read(path, 32)


def test_scattered_holes_leave_nothing_to_halve():
    valid = np.ones((80, 90), bool)
    valid[::2, ::2] = False
    sparse = TrainingScene.from_pixels(texture(1, 80, 90).astype(np.float32), valid)
    assert not sparse.can_be_halved(32)
    assert scene(1).can_be_halved(32)
    assert not scene(1).can_be_halved(64)
