import numpy as np
import pytest

from geoae.diagnosis.noise.fitting import choose_kernels, fit_kernels, unmix_variance
from geoae.diagnosis.noise.kernels import expect_kernels, expect_texture, known_kernels

SIDE = 16


@pytest.mark.parametrize("name", ["white", "bilinear shift 0.5, 0.5 px", "Gaussian blur 0.8 px"])
@pytest.mark.parametrize("texture", [0.0, 0.4])
def test_noise_is_told_from_texture(name, texture):
    kernel = known_kernels()[0].index(name)
    products = 9.0 * expect_kernels(SIDE)[kernel] + texture * expect_texture(SIDE)
    fit = fit_kernels(products, None, SIDE)
    assert fit.left.argmin() == kernel
    assert fit.left[kernel] == pytest.approx(0.0, abs=1e-9)
    assert fit.variance[kernel] == pytest.approx(9.0)
    assert fit.texture[kernel] == pytest.approx(texture / products[0], abs=1e-6)


def test_texture_as_in_loud_blocks_is_one_of_the_kinds():
    names, _ = known_kernels()
    loud = expect_kernels(SIDE)[names.index("Gaussian blur 1.3 px")]
    white = names.index("white")
    products = expect_kernels(SIDE)[white] + loud
    assert fit_kernels(products, loud, SIDE).variance[white] == pytest.approx(1.0)
    assert fit_kernels(products, None, SIDE).left[white] > 1e-4


def test_bands_share_a_kernel_unless_their_own_is_far_better():
    names, kernels = known_kernels()[0], expect_kernels(SIDE)
    both, one = (names.index(f"bilinear shift {down}, 0.25 px") for down in ("0.25", "0"))
    true = [both, both, both, both, one]
    noise = np.random.default_rng(1).normal(0, 0.003, (len(true), len(kernels[0])))
    fits = [fit_kernels(kernels[k] + n, None, SIDE) for k, n in zip(true, noise, strict=True)]
    assert choose_kernels([*fits[:4], None]) == [both] * 5
    assert choose_kernels(fits) == true


def test_no_band_gives_white():
    assert choose_kernels([None, None]) == [0, 0]


def test_variances_are_told_from_those_of_residuals():
    squares = np.array([[1.0, 0.3, 0.0], [0.2, 1.0, 0.1], [0.0, 0.4, 1.0]])
    own = np.array([4.0, 1.0, 9.0])
    assert unmix_variance(squares @ own, squares) == pytest.approx(own, rel=1e-3)


def test_bands_that_cannot_be_told_apart_share_the_noise():
    assert unmix_variance(np.array([2.0, 2.0]), np.ones((2, 2))) == pytest.approx([1.0, 1.0])
