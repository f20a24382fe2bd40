import numpy as np
import pytest

from geoae.corrections.bursts import Bursts as Found
from geoae.corrections.bursts import BurstSums
from geoae.simulation import Bursts
from tests.corrections.support import scene, strips_of


def find(pixels: np.ndarray) -> tuple[Found, ...]:
    sums = BurstSums(*pixels.shape[1:])
    for strip in strips_of(pixels)():
        sums.add(strip)
    return sums.find()


@pytest.mark.parametrize("axis", ["row", "column"])
def test_noisy_lines_have_their_level(axis):
    clean = scene()
    noisy = Bursts(0.04, 60.0, axis)(clean.astype(np.float64), np.random.default_rng(1))
    (found,) = find(noisy)
    truth = (noisy != clean).any(axis=1 if axis == "column" else 2)
    assert found.axis == axis
    seen = found.sigma > 0
    assert not (seen & ~truth).any()
    assert (seen & truth).sum() >= 0.7 * truth.sum()
    np.testing.assert_allclose(found.sigma[seen], 60, rtol=0.25)
    level = found.level(np.arange(20, 60), np.arange(30, 80))
    assert level.shape == (3, 40, 50)
    part = seen[:, 30:80] if axis == "column" else seen[:, 20:60]
    assert np.array_equal(level.any(axis=1 if axis == "column" else 2), part)


def test_even_noise_has_no_bursts():
    pixels = scene(sigma=30.0)
    assert find(pixels) == ()
