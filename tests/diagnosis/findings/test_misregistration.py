import numpy as np
import pytest
from scipy import ndimage

from geoae.diagnosis.findings.misregistration import find_misregistration
from geoae.diagnosis.findings.resampling import find_resampling
from tests.diagnosis.findings.looks import look_at, one_noise
from tests.support.rasters import noise


def scene(
    bands: int, moved: tuple[float, float], sign: float = 1.0, blur: float = 0.7
) -> np.ndarray:
    ground = ndimage.gaussian_filter(noise((200, 200), 400.0, seed=6), blur)
    pixels = np.stack([1000 + ground * (1 + band / 4) for band in range(bands)])
    pixels[1] = 1000 + sign * (ndimage.shift(pixels[1], moved, order=3, mode="nearest") - 1000)
    return (pixels + noise(pixels.shape, 5.0)).astype(np.float32)


@pytest.mark.parametrize("bands", [2, 3])
@pytest.mark.parametrize("moved", [(0.3, 0.0), (-0.2, 0.2), (1.4, 2.3)])
def test_shift_is_recovered(bands, moved):
    (found,) = find_misregistration(look_at(scene(bands, moved)))
    assert found.band == 5
    assert found.strength == pytest.approx(np.hypot(*moved), abs=0.05)
    down, across = (float(word) for word in found.evidence.split() if word[0] in "+-")
    assert (down, across) == pytest.approx(moved, abs=0.05)


def test_bands_of_opposite_contrast_are_compared():
    (found,) = find_misregistration(look_at(scene(2, (0.3, 0.0), -1.0)))
    assert found.strength == pytest.approx(0.3, abs=0.05)


def test_registered_bands_have_no_finding():
    assert find_misregistration(look_at(scene(3, (0.0, 0.0)))) == []


def test_bands_that_have_nothing_in_common_have_no_finding():
    assert find_misregistration(look_at(noise((2, 200, 200), 9.0))) == []


def test_resampled_bands_are_not_compared():
    look = look_at(scene(2, (1.4, 2.3), blur=1.2))
    assert {found.band for found in find_resampling(look)} == {3, 5}
    assert find_misregistration(look) == []


def test_bands_that_are_mostly_noise_are_not_compared():
    pixels = scene(2, (1.4, 2.3))
    assert find_misregistration(look_at(pixels, noise=one_noise(2, 20.0)))
    assert find_misregistration(look_at(pixels, noise=one_noise(2, 200.0))) == []
