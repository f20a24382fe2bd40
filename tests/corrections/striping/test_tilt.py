import numpy as np
import pytest

from geoae.corrections.model import fit_model
from geoae.corrections.striping.tilt import find_tilts
from tests.corrections.support import scene, stripe


@pytest.mark.parametrize(("angle", "detectors"), [(7.3, None), (-12.0, None), (-9.0, 16), (4.0, 6)])
def test_strong_stripes_are_found_at_their_own_tilt(angle, detectors):
    clean = scene((3, 300, 300), sigma=1.0)
    pixels = stripe(clean, 60.0, seed=2, angle=angle, axis="column", detectors=detectors)
    valid = np.ones(pixels.shape, bool)
    model = fit_model(pixels, valid, "column")
    found = [some.slope for some in find_tilts(pixels, valid, "column", model)]
    error = min(abs(slope - np.tan(np.radians(angle))) for slope in found)
    assert error * 300 < 0.3, "lines over the length of the stripes"
