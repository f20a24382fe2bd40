import numpy as np
from scipy import ndimage

from geoae.simulation.dead_leaves import dead_leaves


def leaves(seed: int, bands: int = 3, side: int = 160) -> np.ndarray:
    return dead_leaves(np.random.default_rng(seed), bands, side)


def test_a_seed_gives_one_scene():
    assert leaves(1).tobytes() == leaves(1).tobytes() != leaves(2).tobytes()


def test_every_pixel_is_painted():
    for seed in range(4):
        scene = leaves(seed)
        assert scene.shape == (3, 160, 160)
        assert scene.dtype == np.float32
        assert np.isfinite(scene).all()
        assert (np.abs(scene).sum(axis=0) > 0).all()


def test_flat_ground_is_flat_to_the_bit_and_edges_are_sharp():
    flat, steep = [], []
    for seed in range(6):
        band = leaves(seed, bands=1)[0]
        span = ndimage.maximum_filter(band, 3) - ndimage.minimum_filter(band, 3)
        flat.append((span < 1e-6 * band.std()).mean())
        steep.append((span > band.std()).mean())
    assert np.mean(flat) > 0.05
    assert np.mean(steep) > 0.05
