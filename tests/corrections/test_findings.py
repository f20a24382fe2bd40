import numpy as np

from geoae.corrections.chain import NONE
from geoae.corrections.findings import find_corrections
from geoae.simulation import Bursts
from tests.corrections.support import plan_all, scene, stripe


def damaged() -> np.ndarray:
    noisy = Bursts(0.03, 60.0, "row")(scene().astype(np.float64), np.random.default_rng(1))
    pixels = stripe(noisy, 30.0, angle=0.0, axis="column")
    pixels[0, 77] = pixels[2, :, 31] = 0
    pixels[1][np.random.default_rng(2).random(pixels.shape[1:]) < 1e-3] = 0
    return pixels


def test_each_fault_is_found_in_its_band():
    found = find_corrections(plan_all(damaged()), (1, 4, 7))
    at = {(one.kind, one.band, one.unit): one for one in found}
    assert at["lost lines", 1, "rows"].place == "rows 77"
    assert at["lost lines", 7, "columns"].place == "columns 31"
    assert ("lost lines", 4, "rows") not in at
    assert at["dead pixels", 4, "DN"].strength == 0
    for band in (1, 4, 7):
        np.testing.assert_allclose(at["stripes", band, "DN"].strength, 30, rtol=0.25)
    assert {one.kind for one in found} == {"lost lines", "dead pixels", "stripes", "bursts"}
    assert all(0 <= one.confidence <= 1 and "\n" not in one.evidence for one in found)


def test_a_clean_scene_has_none():
    assert find_corrections(NONE, (1, 2)) == []
