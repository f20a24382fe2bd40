import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from geoae.diagnosis.statistics import SceneStatistics, find_untold
from geoae.radiometry.spectrum import KERNELS, correlation_of
from geoae.simulation import Gaussian
from tests.support.rasters import SHARED, noise, texture

TRAIN = SHARED / "scenes/train"


def of(pixels: np.ndarray, mask: np.ndarray) -> SceneStatistics:
    return SceneStatistics.of([(np.where(mask, pixels, np.nan), mask)])


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 6), st.sampled_from([0.02, 0.3, 0.9]))
def test_covariances_of_any_masks_are_those_of_a_scene(seed, bands, share):
    """Positive semidefinite and finite, whatever two bands share; the way there and back is too."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal(size=(bands, 2)) @ rng.normal(size=(2, 900)) + 0.1 * rng.normal(
        size=(bands, 900)
    )
    mask = (rng.random((bands, 900)) < share) & (
        np.arange(900) % bands != np.arange(bands)[:, None]
    )
    mask[0] &= rng.random() < 0.5
    found = of(pixels.reshape(bands, 30, 30), mask.reshape(bands, 30, 30))
    assert np.isfinite(found.covariance).all()
    assert np.linalg.eigvalsh(found.covariance)[0] >= -1e-9 * np.trace(found.covariance)
    scale = found.scale(1)
    assert np.isfinite(scale.forward).all()
    assert np.isfinite(scale.inverse).all()


def test_nothing_is_taken_from_a_band_without_noise():
    pixels = texture(2, 60, 60) + noise((2, 60, 60), 10) * np.array([1, 0])[:, None, None]
    scale = SceneStatistics.of([(pixels, np.ones(pixels.shape, bool))], [10.0, 0.0]).scale(1)
    taken = scale.to_native(np.ones((2, 4, 4), np.float32))
    assert taken[0].all()
    assert not taken[1].any()


def test_bands_with_few_patches_are_untold_and_empty_or_constant_ones_are_not():
    pixels = noise((4, 40, 40), 10)
    pixels[3] = 7
    mask = np.ones(pixels.shape, bool)
    mask[1, 12:, 12:] = False
    mask[1] &= np.random.default_rng(0).random((40, 40)) > 0.5
    mask[2] = False
    samples = [(pixels, mask)]
    assert find_untold(samples, SceneStatistics.of(samples).sigma).tolist() == [1]


def test_bands_that_were_left_out_come_back_as_zeros():
    found = SceneStatistics.of([(texture(2, 40, 40), np.ones((2, 40, 40), bool))], [3.0, 5.0])
    embedded = found.embed([0, 2], 3)
    assert embedded.sigma.tolist() == [3, 0, 5]
    assert embedded.mean.tolist() == [found.mean[0], 0, found.mean[1]]
    assert embedded.covariance[0, 2] == found.covariance[0, 1]
    assert not embedded.covariance[1].any()


def test_noise_of_bands_that_were_left_out_is_white():
    given = np.array([correlation_of(*KERNELS[name]) for name in ("bilinear", "cubic")])
    samples = [(texture(2, 40, 40), np.ones((2, 40, 40), bool))]
    embedded = SceneStatistics.of(samples, [3.0, 5.0], given).embed([0, 2], 3)
    np.testing.assert_array_equal(embedded.correlation[[0, 2]], given)
    np.testing.assert_array_equal(embedded.correlation[1], correlation_of(*KERNELS["white"]))
    assert SceneStatistics.of(samples, [3.0, 5.0]).embed([0, 2], 3).correlation is None


def test_no_band_at_all_is_no_obstacle():
    assert SceneStatistics.none().embed([], 2).sigma.tolist() == [0, 0]


def shared_noise(between: float) -> np.ndarray:
    clean = np.repeat(texture(1, 200, 200) * 1.0, 3, axis=0)
    return Gaussian(30.0, between)(clean, np.random.default_rng(1))


def test_noise_that_bands_share_is_found_and_its_level_with_it():
    pixels = shared_noise(0.8)
    for seeks_spectrum in (False, True):
        samples = [(pixels, np.ones(pixels.shape, bool))]
        found = SceneStatistics.of(samples, seeks_spectrum=seeks_spectrum)
        assert found.sigma == pytest.approx(30, rel=0.1)
        assert found.between[0, 1:] == pytest.approx(0.8, abs=0.06)
    assert found.noise.verdict == ("white",) * 3
    assert found.scale(4).between is found.between


def test_a_level_that_is_given_stays_where_bands_share_noise():
    pixels = shared_noise(0.8)
    found = SceneStatistics.of([(pixels, np.ones(pixels.shape, bool))], [33.0] * 3)
    assert found.sigma.tolist() == [33.0] * 3
    assert found.between[0, 1:] == pytest.approx(0.8, abs=0.06)


def test_independent_noise_is_not_shared():
    pixels = shared_noise(0.0)
    assert SceneStatistics.of([(pixels, np.ones(pixels.shape, bool))]).between is None


def test_bands_that_are_embedded_share_no_noise():
    pixels = shared_noise(0.8)
    found = SceneStatistics.of([(pixels, np.ones(pixels.shape, bool))]).embed([0, 2, 3], 5)
    assert found.between[0, 2] == pytest.approx(0.8, abs=0.06)
    assert not found.between[[1, 4]][:, [0, 2, 3]].any()
    assert np.isfinite(found.scale(4).forward).all()


def test_noise_that_is_correlated_from_pixel_to_pixel_is_not_taken_for_shared():
    noise = Gaussian(60.0, 0.8)(np.zeros((3, 201, 201)), np.random.default_rng(1))
    half = (noise[:, 1:, 1:] + noise[:, :-1, 1:] + noise[:, 1:, :-1] + noise[:, :-1, :-1]) / 4
    pixels = 1000 + 0.1 * (texture(1, 200, 200) - 1000) + half
    found = SceneStatistics.of([(pixels, np.ones(pixels.shape, bool))], seeks_spectrum=True)
    assert found.noise.verdict == ("correlated noise",) * 3
    assert found.between is None


def middle(name: str) -> np.ndarray:
    """The middle 512 px of a real scene."""
    with rasterio.open(TRAIN / name) as dataset:
        row, col = (dataset.height - 512) // 2, (dataset.width - 512) // 2
        return dataset.read(window=Window(col, row, 512, 512)) * 1.0


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize("alone", ["uav_australia_rgb.tif", "wv2_rotterdam_pan1.tif"])
def test_a_real_band_of_texture_alone_changes_no_verdict_on_the_others(alone):
    rgb = Gaussian(6.0, 0.8)(middle("s2_rgb8_baviaanskloof_10m.tif"), np.random.default_rng(1))
    every = np.concatenate([rgb, middle(alone)[:1]])
    without, found = (
        SceneStatistics.of([(pixels, np.ones(pixels.shape, bool))], seeks_spectrum=True)
        for pixels in (rgb, every)
    )
    assert found.noise.verdict == ("white",) * 3 + ("cannot be told from texture",)
    assert found.noise.verdict[:3] == without.noise.verdict
    assert found.sigma == pytest.approx([*without.sigma, 0.0], rel=0.02)
    assert found.sigma[:3] == pytest.approx(6.0, rel=0.1)
    assert found.between[:3, :3] == pytest.approx(without.between, abs=0.01)
    assert not found.between[3, :3].any()
