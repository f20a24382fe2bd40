import numpy as np
import pytest

from geoae.diagnosis.findings.periodicity import average_spectrum, find_peak
from geoae.diagnosis.findings.planes import cut_planes
from tests.diagnosis.findings.looks import look_at
from tests.support.rasters import noise


@pytest.mark.parametrize("axis", [0, 1])
def test_a_period_of_the_detail_is_found_along_its_axis(axis):
    wave = 1 + 0.5 * np.cos(2 * np.pi * np.arange(192) * 0.3)
    pixels = 100 + noise((192, 192), 10.0) * (wave[:, None] if axis == 0 else wave)
    (plane,) = cut_planes(look_at(pixels[None]))
    spectrum, pieces = average_spectrum(plane, axis)
    frequency, power = find_peak(spectrum, np.zeros(len(spectrum), bool))
    assert pieces == 1
    assert frequency == pytest.approx(0.3, abs=0.003)
    other = find_peak(average_spectrum(plane, 1 - axis)[0], np.zeros(len(spectrum), bool))[1]
    assert power > 10 * other
