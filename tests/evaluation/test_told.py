from importlib.util import find_spec

import numpy as np
import pytest
from rasterio.transform import Affine

from geoae.evaluation.damage import DAMAGES, apply_damage
from geoae.evaluation.reference import Reference
from geoae.evaluation.told import NEEDED, TOLD
from tests.support.rasters import noise, texture

# Root mean square error after a method, as a part of that before.
LEAST = {"neighbours": 0.35, "best-band": 0.2, "fill-sld": 0.3}
CASES = [(damage, peer) for damage, known in DAMAGES.items() for peer in known.peers]


def hills(bands: int, height: int, width: int) -> np.ndarray:
    """What the methods assume of a scene, around 1000, and noise of 3.

    All lines have the same mean, as moments need it; neighbours differ little, and those below as
    often as above, as for offsets and interpolation; all bands share the detail, as for filling.
    """
    rows, cols = np.arange(height) / height, np.arange(width) / width
    detail = np.outer(np.sin(10 * np.pi * rows), np.sin(8 * np.pi * cols))
    contrast = np.linspace(140, 260, bands)[:, None, None]
    return 1000 + contrast * detail + noise((bands, height, width), 3)


def test_every_method_is_of_use_somewhere():
    assert {peer for _, peer in CASES} == set(TOLD)


@pytest.mark.parametrize(("damage", "peer"), CASES)
def test_a_method_that_is_told_the_damage_takes_some_away(damage, peer):
    needed = [NEEDED[step] for step in TOLD[peer] if step in NEEDED]
    if missing := [name for name in needed if find_spec(name) is None]:
        pytest.skip(f"{missing[0]} is not installed: it is in the extra peers")
    pixels = hills(3, 64, 80)
    valid = np.ones(pixels.shape[1:], bool)
    valid[:3, :3] = False
    damaged = apply_damage(damage, Reference.of("a", pixels, valid, None, Affine.identity()))
    restored = damaged.pixels
    for method in TOLD[peer]:
        restored = method(restored, damaged.known)
        assert np.isfinite(restored).all()
        assert restored.shape == damaged.pixels.shape
    before, after = (
        np.sqrt(np.square(one - damaged.truth.pixels)[:, valid].mean())
        for one in (damaged.pixels, restored)
    )
    assert after < LEAST.get(peer, 0.9) * before


def test_methods_leave_their_input():
    for damage in ("stripes15", "dead"):
        pixels = texture(2, 40, 40)
        scene = Reference.of("a", pixels, np.ones((40, 40), bool), None, Affine.identity())
        damaged = apply_damage(damage, scene)
        kept = damaged.pixels.copy()
        for peer in DAMAGES[damage].peers:
            if not any(step in NEEDED for step in TOLD[peer]):
                TOLD[peer][0](damaged.pixels, damaged.known)
        assert (damaged.pixels == kept).all()


def test_another_band_fills_better_than_neighbours():
    pixels = texture(3, 64, 72) + noise((1, 64, 72), 40)
    scene = Reference.of("a", pixels, np.ones((64, 72), bool), None, Affine.identity())
    damaged = apply_damage("dead", scene)
    lost = damaged.known.lost
    errors = [
        np.square(TOLD[peer][0](damaged.pixels, damaged.known) - pixels)[lost].mean()
        for peer in ("best-band", "neighbours")
    ]
    assert errors[0] < 0.2 * errors[1]
