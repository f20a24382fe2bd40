"""Noise that is correlated from band to band."""

import numpy as np
import pytest

from geoae.diagnosis.noise.between import LEAST_OWN, estimate_between, is_certain
from geoae.diagnosis.noise.covariance import NoiseCovariance
from geoae.diagnosis.noise.gate import Calmness, Evidence
from geoae.diagnosis.noise.level import noise_model
from geoae.simulation import Gaussian
from tests.corrections.support import scene as shapes
from tests.support.rasters import texture

SIDE, SIGMA = 200, 30.0


def scene(bands: int, between: float, sigma: float = SIGMA, seed: int = 1) -> np.ndarray:
    """Bands of one texture under noise."""
    rng = np.random.default_rng(seed)
    one = texture(1, SIDE, SIDE, seed)
    return Gaussian(sigma, between)(np.repeat(one, bands, axis=0) * 1.0, rng)


def find(pixels: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray | None:
    samples = [(pixels, np.ones(pixels.shape, bool) if mask is None else mask)]
    return estimate_between(samples, noise_model(samples)[0])


@pytest.mark.parametrize("bands", [2, 4, 8])
@pytest.mark.parametrize("between", [0.5, 0.8])
def test_correlation_of_the_noise_is_found_under_texture_that_bands_share(bands, between):
    found = find(scene(bands, between))
    assert np.diag(found) == pytest.approx(1)
    assert found[~np.eye(bands, dtype=bool)] == pytest.approx(between, abs=0.06)


@pytest.mark.parametrize("bands", [1, 2, 4, 40])
@pytest.mark.parametrize("sigma", [5.0, SIGMA])
@pytest.mark.parametrize("seed", [1, 2])
def test_independent_noise_is_none(bands, sigma, seed):
    assert find(scene(bands, 0.0, sigma, seed)) is None


def test_texture_alone_and_flat_bands_are_none():
    assert find(np.repeat(texture(1, SIDE, SIDE), 3, axis=0)) is None
    assert find(np.full((2, SIDE, SIDE), 7.0)) is None
    assert find(scene(3, 0.8)[:, :15, :15]) is None


def test_bands_without_noise_are_left_out():
    pixels = scene(3, 0.8)
    found = estimate_between([(pixels, np.ones(pixels.shape, bool))], np.array([SIGMA, 0.0, SIGMA]))
    assert found[0, 2] == pytest.approx(0.8, abs=0.06)
    assert not found[1, [0, 2]].any()


def without_noise(bands: int, some: list[int]) -> np.ndarray:
    """Noise that bands share, but for some of them, which hold sharp shapes alone."""
    pixels = scene(bands, 0.8)
    pixels[some] = shapes((len(some), SIDE, SIDE), 0.0)
    return pixels


@pytest.mark.parametrize("bands", [4, 40])
def test_a_band_that_shows_texture_alone_hides_nothing_of_the_others(bands):
    found = find(without_noise(bands, [1]))
    others = np.delete(np.arange(bands), 1)
    pairs = found[np.ix_(others, others)][np.triu_indices(bands - 1, 1)]
    assert pairs == pytest.approx(0.8, abs=0.06)
    assert not found[1, others].any()


def test_where_half_of_the_bands_show_texture_alone_nothing_is_found():
    assert find(without_noise(4, [0, 1])) is None


def test_bands_that_are_valid_in_other_places_share_nothing():
    pixels, mask = scene(4, 0.8), np.ones((4, SIDE, SIDE), bool)
    mask[:2, : SIDE // 2], mask[2:, SIDE // 2 :] = False, False
    found = find(np.where(mask, pixels, np.nan), mask)
    assert found[0, 1] == pytest.approx(0.8, abs=0.06)
    assert not found[:2, 2:].any()


def test_many_bands_have_a_correlation_that_chance_does_not_shape():
    found = find(scene(60, 0.5))
    values = np.linalg.eigvalsh(found)
    assert values[-1] == pytest.approx(1 + 59 * 0.5, rel=0.06)
    assert values[:-1] == pytest.approx(0.5, abs=0.08)


def test_copies_have_noise_of_their_own():
    assert np.linalg.eigvalsh(find(scene(3, 1.0)))[0] >= 0.9 * LEAST_OWN


@pytest.mark.parametrize("bands", [3, 40])
def test_the_level_is_right_once_the_correlation_is_known(bands):
    pixels = scene(bands, 0.8)
    samples = [(pixels, np.ones(pixels.shape, bool))]
    assert np.median(noise_model(samples)[0]) < 0.7 * SIGMA
    told = noise_model(samples, find(pixels))[0]
    assert told == pytest.approx(SIGMA, rel=0.1)


@pytest.mark.parametrize(("sigma", "expected"), [(40.0, True), (10.0, False)])
def test_faint_noise_that_bands_share_is_texture_unless_calm_ground_shows_it(sigma, expected):
    wave = 255 * np.indices((3, 60, 60))[2] / 60  # of a contrast of about 245
    samples = [(wave, np.ones(wave.shape, bool))]
    between = 0.2 * np.eye(3) + 0.8
    assert is_certain(between, samples, np.full(3, sigma), None) == expected
    calm = Evidence(Calmness(900, (1.0, 1.0), 3.0), 900, "white", 1.0, 1.0, 0.0, 1.0, 0.0, 1.0)
    same = (np.zeros(3), np.zeros(3), np.zeros((3, 9, 9)), ("white",) * 3)
    for last, even in ((calm, True), (Evidence.none(), expected)):
        found = NoiseCovariance(*same, (calm, calm, last))
        assert is_certain(between, samples, np.full(3, sigma), found) == even
