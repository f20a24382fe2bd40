import numpy as np
import pytest

from geoae.simulation import Bursts, ClippedGaussian, TiltedStripes


@pytest.mark.parametrize(("axis", "detectors"), [("row", 16), ("column", None), ("row", 2)])
def test_tilted_stripes_follow_their_slope_and_repeat(axis, detectors):
    pixels = np.full((1, 60, 80), 100.0)
    found = TiltedStripes(5.0, 8.0, axis=axis, detectors=detectors)(
        pixels, np.random.default_rng(0)
    )[0]
    upright = found if axis == "column" else found.T
    for place, line in enumerate(upright[:40]):
        shift = round(np.tan(np.radians(8.0)) * place)
        assert np.array_equal(line[shift:], upright[0][: len(line) - shift])
    assert len(np.unique(upright[0])) == (detectors or len(upright[0]))


@pytest.mark.parametrize(("axis", "along"), [("row", 2), ("column", 1)])
def test_bursts_are_noisy_lines_of_single_bands(axis, along):
    noisy = Bursts(0.3, 5.0, axis)(np.zeros((2, 50, 60)), np.random.default_rng(0)) != 0
    assert np.array_equal(noisy.any(axis=along), noisy.all(axis=along)), "as a whole or not at all"
    lines = noisy.all(axis=along)
    assert 0.1 < lines.mean() < 0.5
    assert (lines[0] != lines[1]).any()


def test_noise_is_clipped_at_both_ends():
    found = ClippedGaussian(20.0, 0.0, 50.0)(np.full((1, 90, 90), 25.0), np.random.default_rng(0))
    assert (found.min(), found.max()) == (0.0, 50.0)
    assert 0.05 < (found == 0).mean() < 0.2
