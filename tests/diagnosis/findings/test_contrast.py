import numpy as np

from geoae.diagnosis.findings.contrast import find_contrast
from tests.diagnosis.findings.looks import look_at, noisy, one_noise


def test_a_narrow_span_is_low_contrast():
    pixels = (10_000 + noisy(1) / 10).astype(np.uint16)
    (found,) = find_contrast(look_at(pixels))
    assert found.kind == "low contrast"
    assert 0 < found.strength < 12
    assert "display only" in found.action


def test_noise_as_large_as_the_contrast_is_low_contrast():
    (found,) = find_contrast(look_at(noisy(1), noise=one_noise(1, 100.0)))
    assert "noise deviations" in found.evidence


def test_a_veil_over_all_visible_bands_is_haze():
    pixels = noisy(3) - np.uint16(650)
    assert find_contrast(look_at(pixels)) == []
    (found,) = find_contrast(look_at(pixels + np.uint16(800)))
    assert (found.kind, found.band) == ("haze", None)
    assert found.strength > 60


def test_bands_of_mostly_one_value_have_no_veil():
    pixels = np.full((3, 96, 96), 10_000, np.uint16)
    pixels[:, :30] = noisy(3)[:, :30, :96] + np.uint16(11_000)
    assert not [one for one in find_contrast(look_at(pixels)) if one.kind == "haze"]


def test_a_veil_over_one_band_is_none():
    pixels = noisy(3) - np.uint16(650)
    pixels[0] += 800
    assert find_contrast(look_at(pixels)) == []
