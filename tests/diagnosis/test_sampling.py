from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.diagnosis.sampling import sample
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import RecipeError
from geoae.radiometry.scale import Scale
from geoae.radiometry.spectrum import KERNELS, correlation_of, to_shape
from geoae.raster.memory import ArraySource
from geoae.tiling.window import windows
from tests.support.rasters import noise, texture


@given(height=st.integers(1, 3000), width=st.integers(1, 3000))
def test_windows_are_few_inside_and_apart(height, width):
    found = windows(height, width)
    assert 1 <= len(found) <= 16
    seen = set()
    for window in found:
        assert window.clip(height, width) == window
        assert window.height * window.width > 0
        seen.add((window.row, window.col))
    assert len(seen) == len(found)
    if height <= 192 and width <= 192:
        assert found[0].height == height
        assert found[0].width == width


def facts(
    pixels: np.ndarray, mask: np.ndarray | None = None, sigma: float | None = None
) -> SceneStatistics:
    return SceneStatistics.of(sample(ArraySource(pixels, mask).read, *pixels.shape[1:]), sigma)


def test_moments_are_those_of_the_valid_pixels():
    pixels = texture(3, 150, 160) + noise((3, 150, 160), 10)
    mask = np.random.default_rng(0).random(pixels.shape) > 0.2
    joint = mask.all(axis=0)
    found = facts(np.where(mask, pixels, 1e9), mask)
    np.testing.assert_allclose(found.mean, pixels[:, joint].mean(axis=1))
    np.testing.assert_allclose(found.covariance, np.cov(pixels[:, joint], bias=True))
    assert abs(found.valid - mask.mean()) < 1e-9


def test_the_digest_sees_valid_pixels_and_mask_only():
    pixels, mask = texture(1, 100, 100), np.ones((1, 100, 100), bool)
    mask[0, :10] = False
    one, other = np.where(mask, pixels, 0.0), np.where(mask, pixels, 65535.0)
    assert facts(one, mask).digest == facts(other, mask).digest
    assert facts(one).digest != facts(one, mask).digest
    one[0, 50, 50] += 1
    assert facts(one, mask).digest != facts(other, mask).digest


def test_given_noise_replaces_the_estimate():
    assert facts(texture(2, 60, 60), sigma=[12.5, 3]).sigma.tolist() == [12.5, 3]


def test_a_corner_of_valid_pixels_is_found():
    pixels, mask = texture(1, 2000, 2000), np.zeros((1, 2000, 2000), bool)
    mask[:, 900:1010, 900:1010] = True
    assert facts(pixels, mask).valid > 0


def test_without_a_valid_pixel_there_is_nothing_but_zeros():
    found = facts(texture(2, 50, 50), np.zeros((2, 50, 50), bool))
    assert not found.mean.any()
    assert not found.covariance.any()
    assert not found.sigma.any()


def test_noise_louder_than_the_scene_is_refused():
    pixels = np.random.default_rng(0).normal(500, 40, (2, 60, 60))
    samples = [(pixels, np.ones(pixels.shape, bool))]
    assert SceneStatistics.of(samples, [40, 90]).sigma.tolist() == [40, 90]
    with pytest.raises(
        RecipeError, match=r"^sigma = 4000 DN: the scene varies by \d+(\.\d+)? DN in all"
    ):
        SceneStatistics.of(samples, [40, 4000])
    flat = [(np.full((1, 60, 60), 7.0), np.ones((1, 60, 60), bool))]
    assert SceneStatistics.of(flat, [5]).sigma.tolist() == [5], "a sample of one value says nothing"


@pytest.mark.parametrize(
    "place",
    [np.s_[:, 700:730], np.s_[1500:1540, :], np.s_[610:690, 1290:1370], np.s_[-60:, -60:]],
    ids=["columns", "rows", "island", "corner"],
)
def test_strips_and_islands_are_found(place):
    pixels = texture(1, 2000, 2200) + noise((1, 2000, 2200), 40)
    mask = np.zeros(pixels.shape, bool)
    mask[0][place] = True
    found = facts(np.where(mask, pixels, 0), mask)
    assert found.sigma == pytest.approx(40, rel=0.12)


def test_a_band_that_is_valid_elsewhere_is_found():
    pixels = texture(2, 1600, 1600) + noise((2, 1600, 1600), 40)
    mask = np.zeros(pixels.shape, bool)
    mask[0, :800] = True
    mask[1, 1210:1270, 1000:1060] = True
    assert facts(pixels, mask).sigma == pytest.approx([40, 40], rel=0.12)


def test_a_search_keeps_a_bounded_sample():
    pixels, mask = texture(1, 2500, 2500), np.zeros((1, 2500, 2500), bool)
    mask[:, ::7, ::7] = True
    found = sample(ArraySource(pixels, mask).read, 2500, 2500)
    assert sum(part.size for part, _ in found) <= 16 * 192**2


@pytest.mark.parametrize("shared", [0.0, 0.001, 1.0])
def test_the_covariance_of_bands_with_holes_is_one(shared):
    """Positive semidefinite, with each band's own variance."""
    rng = np.random.default_rng(0)
    pixels = texture(4, 120, 120) + noise((4, 120, 120), 20)
    mask = np.zeros(pixels.shape, bool)
    for band in range(4):
        mask[band, 30 * band : 30 * band + 30] = True
    mask |= rng.random((120, 120)) < shared
    found = facts(pixels, mask)
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-6 * np.trace(found.covariance)
    own = [band[valid].var() for band, valid in zip(pixels, mask, strict=True)]
    np.testing.assert_allclose(np.diag(found.covariance), own, rtol=1e-6)


def test_the_map_of_a_scene_has_the_spectrum_of_its_noise():
    found = facts(texture(2, 100, 100) + noise((2, 100, 100), 10), sigma=[10.0, 10.0])
    assert found.scale(1).shape is None
    kernels = ("bilinear", "white")
    correlation = np.array([correlation_of(*KERNELS[name]) for name in kernels])
    told = replace(found, correlation=correlation).scale(1)
    shapes = to_shape(correlation)
    expected = Scale.principal(found.mean, found.covariance, found.sigma, 1, shapes=shapes)
    assert np.array_equal(told.shape, expected.shape)
    assert np.ptp(told.shape) > 0.5
