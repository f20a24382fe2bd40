import numpy as np
import pytest

from geoae.diagnosis.noise.weak_texture import LEAST, estimate_weak_texture
from geoae.diagnosis.patches import cut_patches, gradient_energy
from tests.support.rasters import noise, texture


def estimated(pixels: np.ndarray) -> tuple[float, float]:
    patches = cut_patches([(pixels, np.ones(pixels.shape, bool))])
    own = patches.values[0]
    return estimate_weak_texture(patches, 0, own, gradient_energy(own), LEAST)


def test_only_the_weak_texture_counts():
    """Half of the scene has strong texture, and is brighter."""
    pixels = 1000 + noise((1, 200, 300), 10)
    pixels[:, :, 150:] = 3000 + 20 * (texture(1, 200, 150) - 1000)
    sigma, seen_at = estimated(pixels)
    assert sigma == pytest.approx(10, rel=0.1)
    assert seen_at < 1300 < 1900 < pixels.mean()


@pytest.mark.parametrize("pixels", [np.full((1, 100, 100), 7.0), noise((1, 9, 9), 10)])
def test_flat_or_tiny_bands_have_no_noise(pixels):
    assert estimated(pixels) == (0.0, 0.0)
