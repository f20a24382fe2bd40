import numpy as np
import pytest

from geoae.corrections.bursts import find_bursts
from geoae.simulation import Bursts
from geoae.tiling.window import Window
from tests.corrections.support import scene, strips_of


@pytest.mark.parametrize("axis", ["row", "column"])
def test_noisy_lines_have_their_level(axis):
    clean = scene()
    noisy = Bursts(0.04, 60.0, axis)(clean.astype(np.float64), np.random.default_rng(1))
    (found,) = find_bursts(strips_of(noisy), *clean.shape[1:])
    truth = (noisy != clean).any(axis=1 if axis == "column" else 2)
    assert found.axis == axis
    seen = found.sigma > 0
    assert not (seen & ~truth).any()
    assert (seen & truth).sum() >= 0.7 * truth.sum()
    np.testing.assert_allclose(found.sigma[seen], 60, rtol=0.25)
    level = found.level(Window(20, 30, 40, 50))
    assert level.shape == (3, 40, 50)
    part = seen[:, 30:80] if axis == "column" else seen[:, 20:60]
    assert np.array_equal(level.any(axis=1 if axis == "column" else 2), part)


def test_even_noise_has_no_bursts():
    pixels = scene(sigma=30.0)
    assert find_bursts(strips_of(pixels), *pixels.shape[1:]) == ()
