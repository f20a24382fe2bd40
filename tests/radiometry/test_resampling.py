import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from geoae.radiometry.resampling import LAG, Resampling
from tests.support.noise import correlation_of_pixels

SHIFTED = Resampling(phase=0.5)


def noise_of(resampling: Resampling, length: int, lines: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return resampling(rng.standard_normal((resampling.points(length), lines)), length, 0)


def test_the_default_leaves_noise_as_it_is():
    noise = np.random.default_rng(0).standard_normal((Resampling().points(50), 3))
    assert np.array_equal(Resampling()(noise, 50, 0), noise[1:51])
    assert Resampling().correlation().tolist() == [0] * LAG + [1] + [0] * LAG


def test_half_a_pixel_is_the_mean_of_two_neighbours():
    noise = np.random.default_rng(0).standard_normal((3, SHIFTED.points(40)))
    expected = np.sqrt(2) * (noise[:, 1:41] + noise[:, 2:42]) / 2
    np.testing.assert_allclose(SHIFTED(noise, 40, 1), expected)
    assert SHIFTED.correlation()[LAG + 1] == pytest.approx(0.5)


@pytest.mark.parametrize("cubic", [False, True])
def test_a_straight_line_is_interpolated_exactly(cubic):
    """Both kernels reproduce polynomials of degree 1 (Keys: of degree 2)."""
    resampling = Resampling(2.5, 0.3, cubic)
    line = np.arange(resampling.points(60)) - 1.0
    found = resampling(line, 60, 0)
    np.testing.assert_allclose(np.diff(found) / np.diff(found)[0], 1.0, rtol=1e-9)
    assert found[0] / np.diff(found)[0] == pytest.approx(0.3 * 2.5)


def test_filters_weigh_neighbours():
    taps = (1.0, 2.0, -0.5)
    resampling = Resampling(taps=taps)
    noise = np.random.default_rng(0).standard_normal(resampling.points(30))
    expected = ndimage.correlate1d(noise[1:33], taps)[1:31] / np.linalg.norm(taps)
    np.testing.assert_allclose(resampling(noise, 30, 0), expected)


@given(
    st.floats(1, 4),
    st.floats(0, 1),
    st.booleans(),
    st.sampled_from([(1.0,), (1.0, 1.0), (-0.1, 1.0, -0.1), (1.0, 0.6, 0.36)]),
)
def test_the_stated_correlation_is_that_of_the_noise(pitch, phase, cubic, taps):
    resampling = Resampling(pitch, phase, cubic, taps)
    noise = noise_of(resampling, 256)
    assert noise.shape == (256, 400)
    assert noise.var() == pytest.approx(1, abs=0.1)
    found = correlation_of_pixels(noise)[:, LAG]
    np.testing.assert_allclose(found, resampling.correlation(), atol=0.06)


def test_thermal_bands_have_the_correlation_that_was_measured():
    """0.88 at lag 1: 100 m seen every 30 m by cubic convolution."""
    assert Resampling(100 / 30, cubic=True).correlation()[LAG + 1] == pytest.approx(0.88, abs=0.005)
