import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from geoae.radiometry.resampling import LAG
from geoae.radiometry.sharpness import (
    HIGHEST_MTF,
    LOWEST_MTF,
    MOST_GAIN,
    RADIUS,
    design_kernel,
    filter_noise,
    largest_gain,
)
from geoae.radiometry.spectrum import KERNELS, correlation_of
from geoae.simulation.optics import Blur
from tests.support.noise import correlation_of_pixels

MTF = st.floats(LOWEST_MTF, HIGHEST_MTF)


def transfer(kernel: np.ndarray, row: float, col: float) -> complex:
    """Gain of a wave of some cycles per pixel."""
    lags = np.arange(-RADIUS, RADIUS + 1)
    return np.exp(2j * np.pi * row * lags) @ kernel @ np.exp(2j * np.pi * col * lags)


@given(MTF)
def test_any_kernel_keeps_the_mean_and_is_symmetric(mtf):
    kernel = design_kernel(mtf)
    assert kernel.shape == (2 * RADIUS + 1, 2 * RADIUS + 1)
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    for other in (kernel.T, kernel[::-1], kernel[:, ::-1]):
        np.testing.assert_allclose(other, kernel, rtol=0, atol=1e-15)


@given(MTF, st.floats(0, 0.5), st.floats(0, 0.5))
def test_no_wave_is_moved_weakened_much_or_amplified_beyond_the_bound(mtf, row, col):
    found = transfer(design_kernel(mtf), row, col)
    assert abs(found.imag) < 1e-12
    assert 0 < found.real <= MOST_GAIN + 0.02


@pytest.mark.parametrize("mtf", [0.15, 0.25, 0.4])
@pytest.mark.parametrize("frequency", [0.1, 0.2, 0.3])
def test_the_blur_is_undone_where_it_has_left_enough(mtf, frequency):
    blur = mtf ** (4 * frequency**2)
    assert blur * transfer(design_kernel(mtf), frequency, 0).real == pytest.approx(1, abs=0.2)
    kernel = design_kernel(mtf)
    assert transfer(kernel, frequency, 0) == pytest.approx(transfer(kernel, 0, frequency))


def test_a_blurred_scene_comes_close_to_what_it_was():
    rng = np.random.default_rng(0)
    scene = ndimage.zoom(rng.uniform(100, 900, (20, 20)), 8, order=0)
    blurred = Blur(0.25)(scene[None], rng)[0]
    sharp = ndimage.correlate(blurred, design_kernel(0.25), mode="mirror")
    error = [np.sqrt(np.mean((one - scene) ** 2)) for one in (blurred, sharp)]
    assert error[1] < 0.5 * error[0]


def test_the_largest_gain_is_that_of_the_strongest_wave():
    laplacian = np.array([[0.0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    assert largest_gain(laplacian) == pytest.approx(9)


@pytest.mark.parametrize("name", ["white", "bilinear", "binned"])
def test_noise_after_the_filter_is_as_computed(name):
    rows, cols = KERNELS[name]
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((rows.points(700), cols.points(700)))
    noise = cols(rows(noise, 700, 0), 700, 1)
    kernel = design_kernel(0.2)
    (growth,), (correlation,) = filter_noise(correlation_of(rows, cols)[None], kernel)
    sharp = ndimage.correlate(noise, kernel)[RADIUS:-RADIUS, RADIUS:-RADIUS]
    assert sharp.var() == pytest.approx(growth, rel=0.03)
    np.testing.assert_allclose(correlation_of_pixels(sharp), correlation, atol=0.02)


def test_a_kernel_that_changes_nothing_changes_no_noise():
    kernel = np.zeros((3, 3))
    kernel[1, 1] = 1
    given_ = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 2 * LAG + 1, 2 * LAG + 1))
    given_[:, LAG, LAG] = 1
    growth, found = filter_noise(given_, kernel)
    np.testing.assert_allclose(growth, 1)
    np.testing.assert_allclose(found, given_)
