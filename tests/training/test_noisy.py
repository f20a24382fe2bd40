import itertools

import numpy as np
import pytest
import torch

from geoae.errors import TrainingError
from geoae.pipeline.job import Job
from geoae.pipeline.preparation.prepare import prepare
from geoae.simulation import Gaussian
from geoae.training.noisy import CHIP, NoisyChips, NoisyScene
from tests.support.rasters import noise, texture, write
from tests.training.support import write_noisy


@pytest.mark.parametrize("kernel", ["white", "bilinear"])
def test_scale_and_noise_are_those_of_a_restoration(tmp_path, kernel):
    source = write_noisy(tmp_path / "s.tif", kernel, side=300)
    prepared = prepare(Job.checked(source=source, model="res-cae", device="cpu"))
    restorer = prepared.work.restorer
    found = NoisyScene.read(source, restorer.channels, shares_gain=restorer.shares_gain)
    np.testing.assert_array_equal(found.scale.forward, prepared.work.scale.forward)
    np.testing.assert_array_equal(found.scale.sigma, prepared.work.scale.sigma)
    assert found.is_correlated is (kernel == "bilinear")
    assert [one.shape for one in found.windows] == [(2, 150, 150)] * 4
    assert [len(one.windows) for one in found.split()] == [1] * 4


@pytest.mark.parametrize("kernel", ["white", "bilinear"])
def test_more_noise_has_the_level_and_the_correlation_of_the_scene(tmp_path, kernel):
    found = NoisyScene.read(write_noisy(tmp_path / "s.tif", kernel), 1)
    _, more, level, shape = found.cut(found.windows[0], np.random.default_rng(0))
    np.testing.assert_allclose(more.std(axis=(1, 2)), level.mean(axis=(1, 2)), rtol=0.05)
    beside = (more[:, :, 1:] * more[:, :, :-1]).mean(axis=(1, 2)) / more.var(axis=(1, 2))
    np.testing.assert_allclose(beside, 0.5 if kernel == "bilinear" else 0.0, atol=0.05)
    assert shape.shape == (2, 9)
    assert (shape == 1).all() == (kernel == "white")


def test_chips_are_those_of_their_seed(tmp_path):
    found = NoisyScene.read(write_noisy(tmp_path / "s.tif"), 1)
    one, two, other = (list(itertools.islice(NoisyChips([found], seed), 3)) for seed in (0, 0, 1))
    for first, second in zip(one, two, strict=True):
        for a, b in zip(first, second, strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(one[0][0], one[1][0])
    assert not torch.equal(one[0][0], other[0][0])
    assert [tuple(a.shape) for a in one[0]] == [(1, CHIP, CHIP)] * 3 + [(1, 9)]


def test_a_group_of_components_is_one_sample(tmp_path):
    found = NoisyScene.read(write_noisy(tmp_path / "s.tif"), 2)
    chip = next(found.chips(np.random.default_rng(0)))
    assert [tuple(a.shape) for a in chip] == [(1, 2, CHIP, CHIP)] * 3 + [(1, 2, 9)]


def test_scenes_without_known_noise_are_refused_in_one_line(tmp_path):
    flat = str(write(tmp_path / "flat.tif", np.full((2, 256, 256), 7.0, np.float32)))
    with pytest.raises(TrainingError, match=r"flat\.tif: no noise is found"):
        NoisyScene.read(flat, 1)
    clean = str(write(tmp_path / "clean.tif", texture(2, 256, 256).astype(np.float32)))
    with pytest.raises(TrainingError, match=r"clean\.tif: its noise cannot be told from texture"):
        NoisyScene.read(clean, 1)
    small = texture(2, 100, 256) + noise((2, 100, 256), 30)
    with pytest.raises(TrainingError, match="no window of 128 px"):
        NoisyScene.read(str(write(tmp_path / "small.tif", small.astype(np.float32))), 1)
    (tmp_path / "no.tif").write_text("no raster")
    with pytest.raises(TrainingError, match=r"no\.tif"):
        NoisyScene.read(str(tmp_path / "no.tif"), 1)


def test_windows_with_nodata_are_left_out(tmp_path):
    pixels = (texture(2, 256, 512) + noise((2, 256, 512), 30)).astype(np.float32)
    pixels[:, 10, 10] = -1
    found = NoisyScene.read(str(write(tmp_path / "holes.tif", pixels, nodata=-1)), 1)
    assert len(found.windows) == 1
    assert (found.windows[0] != -1).all()


def test_more_noise_is_shared_as_that_of_the_scene_is(tmp_path):
    clean = np.repeat(texture(1, 300, 300) * 1.0, 3, axis=0)
    noisy = Gaussian(30.0, between=0.8)(clean, np.random.default_rng(1))
    found = NoisyScene.read(str(write(tmp_path / "s.tif", noisy.astype(np.float32))), 4)
    assert found.scale.between is not None
    _, more, level, _ = found.cut(found.windows[0], np.random.default_rng(0))
    np.testing.assert_allclose(more[:3].std(axis=(1, 2)), level[:3].mean(axis=(1, 2)), rtol=0.05)
    assert np.abs(np.corrcoef(more[:3].reshape(3, -1)) - np.eye(3)).max() < 0.05
