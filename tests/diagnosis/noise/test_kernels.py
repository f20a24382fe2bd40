import numpy as np
import pytest

from geoae.diagnosis.noise.kernels import (
    FAR,
    average_products,
    expect_kernel,
    expect_kernels,
    expect_texture,
    find_floors,
    known_kernels,
    measure_finest,
    polynomials,
)
from geoae.radiometry.psd import read_psd
from tests.support.rasters import noise


def test_correlations_are_one_at_the_centre_and_the_same_for_opposite_lags():
    names, kernels = known_kernels()
    assert len(set(names)) == len(names) == len(kernels)
    assert kernels[:, FAR, FAR] == pytest.approx(1.0)
    np.testing.assert_allclose(kernels, kernels[:, ::-1, ::-1], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "lags"),
    [
        ("white", (0.0, 0.0)),
        ("bilinear shift 0.5, 0.5 px", (0.5, 0.5)),
        ("bilinear shift 0.25, 0 px", (0.3, 0.0)),
        ("cubic resampling by 3.33", (0.88, 0.88)),
        ("detector memory 0.3 down", (0.3, 0.0)),
        ("detector memory 0.6 across", (0.0, 0.6)),
    ],
)
def test_kernels_have_the_correlation_of_their_products(name, lags):
    names, kernels = known_kernels()
    kernel = kernels[names.index(name)]
    assert (kernel[FAR + 1, FAR], kernel[FAR, FAR + 1]) == pytest.approx(lags, abs=0.01)


def test_no_kernel_has_a_negative_spectrum_but_for_lags_cut_off():
    for kernel in known_kernels()[1]:
        spectrum = np.fft.fft2(np.fft.ifftshift(kernel)).real
        assert spectrum.min() > -0.03 * spectrum.max()


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("white", 1.0),
        ("bilinear shift 0.5, 0.5 px", 0.0),
        ("bilinear shift 0.25, 0 px", 0.63),
        ("detector memory 0.3 down", 0.73),
    ],
)
def test_floors_are_what_a_white_estimate_finds(name, floor):
    assert find_floors()[known_kernels()[0].index(name)] == pytest.approx(floor, abs=0.03)


@pytest.mark.parametrize("side", [16, 24])
def test_products_of_detrended_noise_are_as_expected(side):
    names, _ = known_kernels()
    white = noise((3000, side + 1, side + 1), 1.0)
    pixels = (white[:, 1:, 1:] + white[:, :-1, 1:] + white[:, 1:, :-1] + white[:, :-1, :-1]) / 2
    base = polynomials(side)
    flat = pixels - np.einsum("bij,pij,pkl->bkl", pixels, base, base, optimize=True)
    expected = expect_kernels(side)[names.index("bilinear shift 0.5, 0.5 px")]
    np.testing.assert_allclose(average_products(flat), expected, atol=0.02)


def test_shifts_are_so_close_that_no_correlation_is_far_from_a_known_one():
    names, kernels = known_kernels()
    down = [kernel for name, kernel in zip(names, kernels, strict=True) if name.endswith(" 0 px")]
    lags = [0.0, *(kernel[FAR + 1, FAR] for kernel in down)]
    assert np.diff(lags).max() < 0.04
    assert lags[-1] == pytest.approx(0.5)


def test_products_of_all_kernels_are_those_of_each():
    names, kernels = known_kernels()
    inside = slice(FAR - 4, FAR + 5)
    for name in ("white", "bilinear shift 0.35, 0.1 px", "Gaussian blur 0.3 px"):
        one = names.index(name)
        alone = expect_kernel(kernels[one, inside, inside], 16)[0]
        np.testing.assert_allclose(expect_kernels(16)[one], alone, atol=1e-6)


def test_texture_has_variance_and_reaches_farther_than_noise():
    texture = expect_texture(16)
    assert texture[0] == pytest.approx(1.0)
    # Two pixels away, where a bilinear shift leaves nothing but what the plane has taken.
    assert texture[2] > 0.25
    assert expect_kernels(16)[0][2] < 0


def test_planes_have_no_products():
    base = polynomials(16)
    flat = base - np.einsum("bij,pij,pkl->bkl", base, base, base)
    np.testing.assert_allclose(average_products(flat), 0.0, atol=1e-12)


@pytest.mark.parametrize("side", [16, 24])
def test_products_are_means_over_places_and_weighted_blocks(side):
    blocks, weight = noise((5, side, side), 1.0), np.array([1.0, 0.5, 0.0, 2.0, 1.0])
    products = average_products(blocks, weight)
    down, across = (2, -3)
    pairs = blocks[:, down:, :across] * blocks[:, :-down, -across:]
    lag = [(i, j) for i in range(-FAR, FAR + 1) for j in range(-FAR, FAR + 1) if (i, j) >= (0, 0)]
    expected = (weight * pairs.mean(axis=(1, 2))).sum() / 5
    assert products[lag.index((down, across))] == pytest.approx(expected)
    assert products[0] == pytest.approx((weight * np.square(blocks).mean(axis=(1, 2))).sum() / 5)
    ones = average_products(blocks, np.ones(5))
    np.testing.assert_allclose(average_products(blocks), ones, rtol=1e-12)


def test_the_finest_part_of_noise():
    white = np.zeros((9, 9))
    white[4, 4] = 1
    assert measure_finest(white) == pytest.approx(1)
    told = read_psd("bilinear", 1)[0]
    assert measure_finest(told) == pytest.approx(1 - np.cos(np.pi / 6), abs=1e-6)
