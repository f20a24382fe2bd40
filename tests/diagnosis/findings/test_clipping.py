import numpy as np

from geoae.diagnosis.findings.clipping import find_clipping
from tests.diagnosis.findings.looks import look_at, noisy


def test_share_of_clipped_pixels_is_recovered():
    pixels = noisy(1, 160)
    highest = np.percentile(pixels, 95)
    (found,) = find_clipping(look_at(np.minimum(pixels, np.uint16(highest))))
    assert abs(found.strength - 5) < 0.7
    assert f"{int(highest)} DN" in found.place


def test_missing_pixels_are_not_clipped():
    pixels = noisy(1, 160)
    pixels[:, :, :30] = 0
    assert find_clipping(look_at(pixels)) == []


def test_a_scene_that_is_not_clipped_has_no_finding():
    assert find_clipping(look_at(noisy(3, 160))) == []
