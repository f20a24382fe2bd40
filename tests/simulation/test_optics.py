import numpy as np
import pytest

from geoae.simulation import (
    Blur,
    Haze,
    LowContrast,
)


def test_a_blur_has_its_mtf_at_nyquist_and_keeps_the_mean():
    rows = np.arange(64)
    lines = np.broadcast_to(100 + 50 * (-1.0) ** rows, (1, 64, 64))
    blurred = Blur(0.3)(lines, np.random.default_rng(0))
    assert np.ptp(blurred[0, 20:40, 20:40]) / 100 == pytest.approx(0.3, abs=0.01)
    assert blurred.mean() == pytest.approx(100, abs=1e-6)


def test_low_contrast_keeps_the_mean_and_shrinks_the_spread():
    pixels = np.random.default_rng(0).normal(500, 90, (2, 40, 50))
    dull = LowContrast((0.4, 1.0))(pixels, np.random.default_rng(0))
    np.testing.assert_allclose(dull.mean(axis=(1, 2)), pixels.mean(axis=(1, 2)))
    np.testing.assert_allclose(dull.std(axis=(1, 2)), pixels.std(axis=(1, 2)) * [0.4, 1.0])


def test_haze_is_one_wave_for_all_bands():
    pixels = np.tile(np.array([0.0, 100.0])[:, None, None], (1, 80, 90))
    hazy = Haze((0.8, 0.2), 300.0, wavelength=40.0)(pixels, np.random.default_rng(0))
    share = (hazy - pixels) / (np.array([0.8, 0.2])[:, None, None] * (300 - pixels))
    np.testing.assert_allclose(share[0], share[1])
    assert share.min() == pytest.approx(0, abs=0.02)
    assert share.max() == pytest.approx(1, abs=0.02)


def test_each_band_is_blurred_by_its_own_mtf():
    """And never into another band."""
    pixels = np.zeros((2, 32, 32))
    pixels[0, 16, 16] = 1
    blurred = Blur((0.2, 0.9))(pixels, np.random.default_rng(0))
    assert not blurred[1].any()
    assert blurred[0, 16, 16] < 0.5
