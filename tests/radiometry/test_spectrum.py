import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.radiometry.resampling import LAG, Resampling
from geoae.radiometry.spectrum import (
    KERNELS,
    correlation_of,
    known_shape,
    mix,
    to_shape,
    transpose,
    white,
)
from tests.support.noise import shape_of

SIDE = 2 * LAG + 1


def of_kernel(kernel: np.ndarray) -> np.ndarray:
    """Autocovariance ``(9, 9)`` of white noise that a kernel of at most 5 x 5 has filtered."""
    power = np.abs(np.fft.fft2(kernel, (16, 16))) ** 2
    covariance = np.fft.fftshift(np.fft.ifft2(power).real)[8 - LAG : 9 + LAG, 8 - LAG : 9 + LAG]
    return covariance / covariance[LAG, LAG]


def test_white_noise_has_ones():
    lone = np.zeros((2, SIDE, SIDE))
    lone[:, LAG, LAG] = 1
    assert np.array_equal(to_shape(lone), white(2))
    assert np.array_equal(correlation_of(*KERNELS["white"]), lone[0])


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9).filter(lambda k: np.ptp(k) > 0.1))
def test_the_shape_is_the_kernel_at_nine_frequencies(values):
    kernel = np.reshape(values, (3, 3))
    power = np.abs(np.fft.fft2(kernel, (4, 4))) ** 2 / (kernel**2).sum()
    power[1, 1] = (power[1, 1] + power[1, 3]) / 2  # (1/4, 1/4) and (1/4, -1/4)
    found = to_shape(of_kernel(kernel)[None])[0]
    np.testing.assert_allclose(found**2, power[:3, :3].ravel(), atol=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9).filter(lambda k: np.ptp(k) > 0.1))
def test_flips_change_no_shape_and_quarter_turns_transpose_it(values):
    correlation = of_kernel(np.reshape(values, (3, 3)))
    shape = to_shape(correlation[None])[0]
    np.testing.assert_allclose(to_shape(correlation[None, ::-1])[0], shape, atol=1e-6)
    turned = to_shape(np.rot90(correlation)[None])[0]
    np.testing.assert_allclose(turned.reshape(3, 3), shape.reshape(3, 3).T, atol=1e-6)
    np.testing.assert_allclose(transpose(shape[None])[0], turned, atol=1e-6)


def test_no_power_is_negative():
    correlation = np.full((1, SIDE, SIDE), -0.9)
    correlation[:, LAG, LAG] = 1
    assert (to_shape(correlation) >= 0).all()


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_named_kernels_have_the_shape_of_their_noise(name):
    rng = np.random.default_rng(0)
    rows, cols = KERNELS[name]
    source = rng.standard_normal((rows.points(1000), cols.points(1000)))
    noise = cols(rows(source, 1000, 0), 1000, 1)
    expected = to_shape(correlation_of(rows, cols)[None])[0]
    np.testing.assert_allclose(shape_of(noise) ** 2, expected**2, atol=0.05, rtol=0.05)
    assert np.array_equal(known_shape(name), expected)


def test_down_comes_before_across():
    shape = to_shape(correlation_of(Resampling(taps=(1.0, 1.0)), Resampling())[None])[0]
    np.testing.assert_allclose(shape.reshape(3, 3)[:, 0], np.sqrt([2, 1, 0]), atol=1e-7)
    np.testing.assert_allclose(np.ptp(shape.reshape(3, 3), axis=1), 0, atol=1e-7)


def test_a_sum_of_noises_has_their_mean_power():
    shapes = np.stack([np.full(9, 2.0), np.zeros(9), np.arange(9.0)])
    found = mix(shapes, np.array([[1.0, 3.0, 0.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(found, [np.ones(9), np.arange(9.0), np.ones(9)])


def test_a_component_has_the_spectrum_that_its_bands_give_it():
    """Noise of two bands with two spectra, rotated: measured against ``mix``."""
    rng = np.random.default_rng(0)
    noise = []
    for sigma, name in ((2.0, "bilinear"), (3.0, "white")):
        rows, cols = KERNELS[name]
        source = rng.standard_normal((rows.points(600), cols.points(600)))
        noise.append(sigma * cols(rows(source, 600, 0), 600, 1))
    shapes = to_shape(np.array([correlation_of(*KERNELS[n]) for n in ("bilinear", "white")]))
    weights = np.array([[0.8, 0.6], [-0.6, 0.8]])
    found = mix(shapes, weights**2 * np.array([4.0, 9.0]))
    for component, expected in zip(weights, found, strict=True):
        measured = shape_of(component[0] * noise[0] + component[1] * noise[1])
        np.testing.assert_allclose(measured**2, expected**2, atol=0.06, rtol=0.05)
