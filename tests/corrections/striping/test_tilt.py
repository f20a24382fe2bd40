import numpy as np
import pytest

from geoae.corrections.model import fit_model, side_of_block
from geoae.corrections.striping.tilt import find_tilts
from tests.corrections.support import scene, stripe
from tests.support.rasters import noise


@pytest.mark.parametrize(("angle", "detectors"), [(7.3, None), (-12.0, None), (-9.0, 16), (4.0, 6)])
def test_strong_stripes_are_found_at_their_own_tilt(angle, detectors):
    clean = scene((3, 300, 300), sigma=1.0)
    pixels = stripe(clean, 60.0, seed=2, angle=angle, axis="column", detectors=detectors)
    valid = np.ones(pixels.shape, bool)
    model = fit_model(pixels, valid, "column")
    found = [some.slope for some in find_tilts(pixels, valid, "column", model)]
    error = min(abs(slope - np.tan(np.radians(angle))) for slope in found)
    assert error * 300 < 0.3, "lines over the length of the stripes"


@pytest.mark.parametrize("angle", [-12.0, 3.1, 18.1])
def test_the_wider_steps_for_many_bands_find_stripes_at_their_own_tilt(angle):
    side = side_of_block(100)
    mixing = np.random.default_rng(0).uniform(0.2, 1.0, (100, 3)).astype(np.float32)
    clean = np.tensordot(mixing, scene((3, side, side), 0.0), 1)
    clean += noise(clean.shape, 3.0).astype(np.float32)
    pixels = clean.copy()
    pixels[::3] = stripe(clean[::3], 6.0, seed=2, angle=angle, axis="column")
    valid = np.ones(pixels.shape, bool)
    model = fit_model(pixels, valid, "column")
    found = [some.slope for some in find_tilts(pixels, valid, "column", model)]
    error = min(abs(slope - np.tan(np.radians(angle))) for slope in found)
    assert error * side < 0.3, "lines over the length of the stripes"
