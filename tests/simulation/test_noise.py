import numpy as np
import pytest

from geoae.simulation import (
    Gaussian,
    PoissonGaussian,
    Quantisation,
    Speckle,
)


def test_many_values_lose_a_twelfth_of_a_step_squared():
    values = np.random.default_rng(0).uniform(0, 1000, (1, 200, 200))
    error = Quantisation(6.0)(values, np.random.default_rng(0)) - values
    assert error.var() == pytest.approx(3.0, rel=0.02)


def test_stated_moments_are_the_formulas():
    pixels = np.tile(np.array([-40.0, 0.0, 1e-6, 7.0, 255.0, 9000.0]), (3, 2, 1))
    mean, variance = PoissonGaussian((0.1, 2.0, 0.0), (0.0, 5.0, 1.0)).moments(pixels)
    assert (mean == pixels).all()
    assert variance[1, 0].tolist() == pytest.approx([25.0, 25.0, 25.0 + 2e-6, 39.0, 535.0, 18025.0])
    assert (variance[2] == 1.0).all()
    _, variance = Gaussian((1.0, 20.0, 0.0)).moments(pixels)
    assert variance[:, 0, 0].tolist() == [1.0, 400.0, 0.0]
    _, variance = Speckle(4.0).moments(pixels)
    assert variance[0, 0, 4] == 255.0**2 / 4
    mean, variance = Speckle(1.0, decibel=True).moments(pixels)
    # Single-look speckle in dB: bias -2.507 dB, deviation 5.570 dB.
    assert (mean - pixels)[0, 0, 0] == pytest.approx(-2.507, abs=1e-3)
    assert np.sqrt(variance[0, 0, 0]) == pytest.approx(5.570, abs=1e-3)


def test_speckle_multiplies_and_in_decibels_adds():
    pixels, rng = np.full((1, 60, 60), 50.0), np.random.default_rng
    factor = Speckle(4.0)(pixels, rng(0)) / pixels
    assert (factor > 0).all()
    np.testing.assert_allclose(Speckle(4.0)(3 * pixels, rng(0)), 3 * factor * pixels)
    added = Speckle(4.0, decibel=True)(pixels, rng(0)) - pixels
    np.testing.assert_allclose(added, 10 * np.log10(factor), atol=1e-9)


def test_shot_noise_grows_with_the_signal_alone():
    pixels = np.repeat(np.array([-500.0, 0.0, 100.0, 10_000.0]), 40_000).reshape(1, 4, -1)
    found = PoissonGaussian(2.0, 0.0)(pixels, np.random.default_rng(0)) - pixels
    assert not found[0, :2].any(), "negative signals have no photons"
    np.testing.assert_allclose(found[0, 2:].std(axis=1), np.sqrt([200, 20_000]), rtol=0.02)
