import numpy as np
import pytest

from geoae.simulation import Jpeg, Jpeg2000
from tests.support.rasters import noise, texture

RNG = np.random.default_rng(0)


def loss(degrade: Jpeg | Jpeg2000, pixels: np.ndarray) -> float:
    return float(np.sqrt(np.square(degrade(pixels, RNG) - pixels).mean()))


def test_more_quality_loses_less():
    # Faint noise: strong noise is lost at any JPEG quality but the highest.
    pixels = texture(2, 64, 80) + noise((2, 64, 80), 5)
    jpeg = [loss(Jpeg(quality, 0.0, 2550.0), pixels) for quality in (20, 75, 98)]
    waves = [loss(Jpeg2000(percent, 0.0, 2550.0), pixels) for percent in (5.0, 20.0, 60.0)]
    for losses in (jpeg, waves):
        assert losses[0] > 1.3 * losses[1] > 1.69 * losses[2] > 0


def test_bands_are_compressed_alone():
    pixels = texture(3, 40, 48)
    for degrade in (Jpeg(30, 0.0, 2550.0), Jpeg2000(10.0, 0.0, 2550.0)):
        whole, one = degrade(pixels, RNG), degrade(pixels[1:2], RNG)
        assert np.array_equal(whole[1:2], one)


def test_jpeg_works_on_blocks_of_8_pixels():
    pixels = np.full((1, 32, 32), 100.0)
    pixels[0, 8:16, 8:16] += noise((8, 8), 20)
    changed = Jpeg(10)(pixels, RNG) != Jpeg(10)(np.full((1, 32, 32), 100.0), RNG)
    assert changed[0, 8:16, 8:16].any()
    changed[0, 8:16, 8:16] = False
    assert not changed.any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 50), (2, 33, 7)])
def test_scenes_of_any_size_are_taken(shape):
    pixels = np.full(shape, 77.0)
    for degrade in (Jpeg(), Jpeg2000(50.0, 0.0, 255.0)):
        assert degrade(pixels, RNG) == pytest.approx(pixels, abs=1)
