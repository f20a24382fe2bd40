import numpy as np
import pytest

from geoae.diagnosis.blocks import cut_blocks, leave_bands, subtract_bands
from tests.support.rasters import noise

SHAPE = (2, 160, 160)
NONE = (np.ones(2), np.zeros(2))


def whole(pixels: np.ndarray, mask: np.ndarray | None = None) -> list:
    return [(pixels, np.ones(pixels.shape, bool) if mask is None else mask)]


def cut(pixels, mask=None, band=0, noise_of=NONE):
    samples = whole(pixels, mask)
    return cut_blocks(samples, subtract_bands(samples, noise_of[0]), band, 16, noise_of)


def test_texture_that_bands_share_is_subtracted():
    texture = noise((1, *SHAPE[1:]), 50.0)
    samples = whole(np.array([1.0, 3.0])[:, None, None] * texture + noise(SHAPE, 1.0, seed=2))
    weights = subtract_bands(samples, np.ones(2)).weights
    assert weights == pytest.approx(np.array([[1, -1 / 3], [-3, 1]]), rel=0.02)


def test_bands_that_share_nothing_are_left_alone():
    weights = subtract_bands(whole(noise(SHAPE, 1.0)), np.ones(2)).weights
    assert weights == pytest.approx(np.eye(2), abs=0.05)


def test_a_quadratic_plane_leaves_nothing():
    rows, cols = np.mgrid[:160, :160] / 10.0
    plane = 1e4 + rows**2 - 3 * rows * cols + 7 * cols
    blocks = cut(np.stack([plane + noise((160, 160), 1.0), plane * 0]))
    assert blocks.variance.mean() == pytest.approx(1.0, rel=0.05)


def test_blocks_with_invalid_pixels_are_left_out():
    pixels, mask = noise(SHAPE, 1.0), np.ones(SHAPE, bool)
    mask[0, 40:44, 40:44] = False
    pixels[~mask] = 1e6
    blocks = cut(pixels, mask)
    assert len(blocks.variance) < len(cut(noise(SHAPE, 1.0)).variance)
    assert blocks.variance.max() < 2


def test_blocks_at_a_limit_are_left_out():
    pixels = noise(SHAPE, 1.0)
    pixels[:, :, :80] = np.maximum(pixels[:, :, :80], 0.0)
    pixels[:, :, 80:] += 10.0
    assert cut(pixels).variance.min() > 0.5


@pytest.mark.parametrize("bands", [1, 3])
def test_flat_blocks_of_floats_are_left_out(bands):
    """A value that is no sum of few powers of two, as reflectance has it."""
    noisy = (0.31 + noise((bands, 160, 160), 0.002)).astype(np.float32)
    noisy[:, :, :64] = 0.341
    blocks = cut(noisy, noise_of=(np.full(bands, 0.002), np.zeros(bands)))
    assert blocks.variance.min() > 0.1 * np.median(blocks.variance)


def test_the_blocks_around_tell_nothing_of_a_block_of_noise():
    blocks = cut(noise((2, 640, 640), 1.0))
    calmest = np.argsort(blocks.around)[: len(blocks.around) // 20]
    assert blocks.variance[calmest].mean() == pytest.approx(1.0, rel=0.03)


def test_growing_noise_is_scaled_to_the_mean_signal():
    level = np.repeat([[100.0], [300.0]], 80, axis=0) * np.ones((1, 160))
    grown = level + np.sqrt(level / 200) * noise((160, 160), 1.0)
    pixels = np.stack([grown, noise((160, 160), 1.0, seed=2)])
    plain, scaled = cut(pixels), cut(pixels, noise_of=(np.ones(2), np.array([1 / 200, 0.0])))
    assert np.quantile(plain.variance, 0.9) / np.quantile(plain.variance, 0.1) > 2
    assert np.quantile(scaled.variance, [0.1, 0.9]) == pytest.approx(1.0, abs=0.2)


def test_windows_smaller_than_a_block_give_none():
    assert not len(cut(noise((2, 12, 200), 1.0)).variance)


def test_bands_that_are_left_alone_keep_all_of_themselves():
    pixels, mask = noise((3, 40, 40), 1.0), np.ones((3, 40, 40), bool)
    mask[1, :5] = False
    found = leave_bands([(pixels, mask)])
    assert (found.weights == np.eye(3)).all()
    assert (found.valid[0] == mask[1]).all()
