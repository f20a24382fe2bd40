from dataclasses import replace

import pytest
from scipy import ndimage

from geoae.diagnosis.findings.resampling import find_resampling
from geoae.diagnosis.noise.gate import CORRELATED, Evidence
from tests.diagnosis.findings.looks import ground, look_at, one_noise
from tests.support.rasters import noise


@pytest.mark.parametrize("factor", [2.0, 10 / 3])
def test_a_finer_grid_lacks_high_frequencies(factor):
    side = int(192 / factor) + 1
    grounds = [ground(seed, side) + noise((1, side, side), 15.0, seed) for seed in range(4)]
    fine = [ndimage.zoom(g, (1, factor, factor), order=3)[:, :192, :192] for g in grounds]
    (found,) = find_resampling(look_at(*fine))
    assert found.strength == pytest.approx(2 * factor, rel=0.45)
    assert found.strength > 2.3


def test_a_scene_on_its_own_grid_has_no_finding():
    assert (
        find_resampling(
            look_at(*[ground(seed) + noise((1, 192, 192), 15.0, seed) for seed in range(4)])
        )
        == []
    )


@pytest.mark.parametrize(("expected", "told"), [(0.77, False), (0.0, True)])
def test_only_noise_of_a_long_correlation_shows_resampling(expected, told):
    seen = replace(Evidence.none(), kernel="bilinear shift", expected=expected)
    correlated = replace(one_noise(1), verdict=(CORRELATED,), evidence=(seen,))
    windows = [ground(seed) + noise((1, 192, 192), 15.0, seed) for seed in range(4)]
    assert len(find_resampling(look_at(*windows, noise=correlated))) == told
