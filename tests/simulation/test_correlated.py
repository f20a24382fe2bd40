import numpy as np
import pytest

from geoae.radiometry.resampling import LAG
from geoae.radiometry.spectrum import KERNELS, correlation_of, to_shape
from geoae.simulation import Correlated
from geoae.simulation.correlated import draw_kernel, draw_stationary
from tests.support.noise import correlation_of_pixels, shape_of

FLAT = np.full((2, 500, 600), 100.0)


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_noise_has_the_deviation_and_the_correlation_of_its_kernel(name):
    noise = Correlated((5.0, 9.0), name)(FLAT, np.random.default_rng(0)) - FLAT
    np.testing.assert_allclose(noise.std(axis=(1, 2)), [5, 9], rtol=0.03)
    for band in noise:
        found = correlation_of_pixels(band)
        np.testing.assert_allclose(found, correlation_of(*KERNELS[name]), atol=0.03)
    assert abs(np.corrcoef(noise.reshape(2, -1))[0, 1]) < 0.02, "bands are independent"


def test_known_cases_have_the_correlation_of_their_products():
    one = np.random.default_rng(1)
    for name, down, across in (("bilinear", 0.5, 0.5), ("binned", 2 / 3, 0.0)):
        found = correlation_of_pixels((Correlated(9.0, name)(FLAT, one) - FLAT)[0])
        assert found[LAG + 1, LAG] == pytest.approx(down, abs=0.02)
        assert found[LAG, LAG + 1] == pytest.approx(across, abs=0.02)


def test_random_kernels_are_those_of_their_seeds():
    def drawn(seed: float | tuple[float, ...]) -> np.ndarray:
        return Correlated(9.0, "random", seed)(FLAT, np.random.default_rng(0))

    assert np.array_equal(drawn(3.0), drawn(3.0))
    apart = Correlated(9.0, "random", (1.0, 3.0)).shape(len(FLAT))
    for band, seed in enumerate((1.0, 3.0)):
        np.testing.assert_array_equal(
            apart[band], Correlated(9.0, "random", seed).shape(len(FLAT))[band]
        )


def test_the_shape_is_that_of_the_noise_for_every_random_kernel():
    kinds = set()
    for seed in range(40):
        degrade = Correlated(1.0, "random", float(seed))
        found = shape_of(degrade(np.zeros((1, 300, 300)), np.random.default_rng(seed))[0])
        stated = degrade.shape(1)[0]
        np.testing.assert_allclose(found**2, stated**2, atol=0.35, rtol=0.15)
        kinds.add(tuple(stated.round(6)))
    assert len(kinds) > 15


def test_two_in_five_random_kernels_are_white():
    rng = np.random.default_rng(0)
    shapes = to_shape(np.array([correlation_of(*draw_kernel(rng)) for _ in range(500)]))
    assert np.mean(np.abs(shapes - 1).max(axis=1) < 1e-9) == pytest.approx(0.4, abs=0.06)
    assert np.mean(shapes[:, 0] > 1.5) > 0.2, "much of the rest is low frequencies"
    assert np.mean(shapes[:, 8] > 1.05) > 0.02, "and some is sharpened"


def test_noise_grows_with_the_signal_and_stays_correlated():
    bright = np.repeat(np.array([0.0, 400.0]), 300)[None, :, None] * np.ones((1, 1, 300))
    noise = Correlated(2.0, "bilinear", gain=1.0)(bright, np.random.default_rng(0)) - bright
    np.testing.assert_allclose(noise[0, :300].std(), 2.0, rtol=0.05)
    np.testing.assert_allclose(noise[0, 300:].std(), np.sqrt(404), rtol=0.05)
    assert correlation_of_pixels(noise[0, 300:])[LAG, LAG + 1] == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_stationary_noise_has_the_correlation_that_is_asked_for(name):
    asked = np.stack([correlation_of(*KERNELS[name])] * 2)
    noise = draw_stationary(asked, 500, 600, np.random.default_rng(0))
    assert noise.shape == (2, 500, 600)
    np.testing.assert_allclose(noise.std(axis=(1, 2)), 1, rtol=0.03)
    for band in noise:
        np.testing.assert_allclose(correlation_of_pixels(band), asked[0], atol=0.05)
    assert abs(np.corrcoef(noise.reshape(2, -1))[0, 1]) < 0.02, "bands are independent"
    assert abs(np.mean(noise[0, 0] * noise[0, -1])) < 0.15, "opposite borders are independent"
