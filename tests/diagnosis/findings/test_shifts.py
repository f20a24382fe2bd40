import numpy as np
import pytest
from scipy import ndimage

from geoae.diagnosis.findings.planes import cut_planes
from geoae.diagnosis.findings.shifts import Shift, measure_shift
from tests.diagnosis.findings.looks import look_at
from tests.support.rasters import noise


def measure(pixels: np.ndarray) -> Shift | None:
    return measure_shift(*cut_planes(look_at(pixels.astype(np.float32))))


@pytest.mark.parametrize("moved", [(0, 3), (-2, 1)])
def test_whole_pixels_are_exact(moved):
    ground = 1000 + ndimage.gaussian_filter(noise((220, 220), 400.0, seed=6), 0.7)
    down, across = moved
    pixels = np.stack([ground[10:-10, 10:-10], np.roll(ground, moved, (0, 1))[10:-10, 10:-10]])
    found = measure(pixels[::-1])
    assert (found.down, found.across) == pytest.approx((down, across), abs=0.02)
    assert found.is_significant
    assert found.length == pytest.approx(np.hypot(down, across), abs=0.02)


def test_small_or_empty_bands_have_no_shift():
    assert measure(noise((2, 20, 200), 9.0)) is None
    assert measure(np.zeros((2, 200, 200))) is None


@pytest.mark.parametrize(("spread", "coherence"), [(0.5, 0.9), (0.01, 0.1)])
def test_what_halves_or_bands_do_not_share_is_not_significant(spread, coherence):
    assert not Shift(0.6, 0.8, spread, coherence).is_significant
