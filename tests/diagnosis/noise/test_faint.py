import numpy as np
import pytest

from geoae.diagnosis.noise.faint import find_faint_texture, measure_contrast
from geoae.diagnosis.noise.gate import CORRELATED, TEXTURE, Calmness, Evidence

WAVE = 255 * np.indices((1, 60, 60))[2] / 60
SAMPLES = [(WAVE, np.ones(WAVE.shape, bool))]
EVEN = Evidence(Calmness(900, (1.0, 1.0), 3.0), 900, "white", 1.0, 1.0, 0.0, 1.0, 0.0, 1.0)


def test_contrast_and_mean_are_of_valid_pixels():
    contrast, mean = measure_contrast([(WAVE, WAVE > 100)])
    assert 100 < contrast[0] + 100 < 255
    assert mean[0] == pytest.approx(WAVE[WAVE > 100].mean())
    assert measure_contrast([(WAVE, np.zeros(WAVE.shape, bool))])[0].tolist() == [0.0]


def test_contrast_is_that_of_the_bands_that_are_asked_for():
    pixels = np.concatenate([WAVE, 2 * WAVE, 3 * WAVE])
    samples = [(pixels, np.ones(pixels.shape, bool))]
    some = measure_contrast(samples, np.array([2, 0]))
    np.testing.assert_array_equal(some, np.array(measure_contrast(samples))[:, [2, 0]])
    assert np.shape(measure_contrast(samples, np.zeros(0, np.intp))) == (2, 0)


def test_only_the_uneven_bands_of_a_scene_are_texture():
    pixels = np.repeat(WAVE, 3, axis=0)
    samples = [(pixels, np.ones(pixels.shape, bool))]
    seen = [EVEN, Evidence.none(), EVEN]
    found = find_faint_texture(samples, np.full(3, 2.0), np.zeros(3), [TEXTURE] * 3, seen)
    assert found.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("sigma", "kind", "seen", "expected"),
    [
        (2.0, TEXTURE, Evidence.none(), True),
        (9.0, TEXTURE, Evidence.none(), False),
        (2.0, CORRELATED, Evidence.none(), False),
        (2.0, TEXTURE, EVEN, False),
    ],
)
def test_faint_and_uneven_is_texture(sigma, kind, seen, expected):
    found = find_faint_texture(SAMPLES, np.array([sigma]), np.zeros(1), [kind], [seen])
    assert found.tolist() == [expected]
