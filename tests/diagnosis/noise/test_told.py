import numpy as np
import pytest

from geoae.diagnosis.noise.told import find_contradicted
from geoae.radiometry.spectrum import KERNELS, correlation_of
from tests.support.rasters import noise, texture


def told(name: str) -> np.ndarray:
    return correlation_of(*KERNELS[name])[None]


def sample(pixels: np.ndarray) -> list:
    return [(pixels, np.ones(pixels.shape, bool))]


@pytest.mark.parametrize(("name", "wrong"), [("white", []), ("bilinear", [0])])
def test_white_noise_contradicts_every_other_spectrum(name, wrong):
    pixels = texture(1, 400, 400) + noise((1, 400, 400), 25)
    found = find_contradicted(sample(pixels), told(name), np.array([25.0]))
    assert found.tolist() == wrong


@pytest.mark.parametrize(("name", "wrong"), [("white", [0]), ("bilinear", [])])
def test_noise_after_a_shift_contradicts_white_noise(name, wrong):
    white = noise((1, 401, 401), 25)
    rows = white[:, 1:] + white[:, :-1]
    pixels = texture(1, 400, 400) + (rows[:, :, 1:] + rows[:, :, :-1]) / 2
    found = find_contradicted(sample(pixels), told(name), np.array([25.0]))
    assert found.tolist() == wrong


def test_texture_that_lacks_fine_noise_contradicts_a_spectrum_that_has_some():
    fine = noise((1, 400, 400), 40)
    for axis in (1, 2):
        for _ in range(20):
            fine = (np.roll(fine, 1, axis) + 2 * fine + np.roll(fine, -1, axis)) / 4
    patches = np.kron(np.abs(noise((1, 25, 25), 1)), np.ones((1, 16, 16)))
    pixels = 500 + 20 * patches * fine
    assert find_contradicted(sample(pixels), told("bilinear"), np.array([30.0])).tolist() == [0]
    assert not find_contradicted(sample(pixels), told("cubic-100/30"), np.array([30.0])).size
