import numpy as np
import pytest

from geoae.diagnosis.findings.quantisation import find_quantisation
from tests.diagnosis.findings.looks import look_at, noisy, one_noise


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
@pytest.mark.parametrize("step", [16.0, 41.7])
def test_step_is_recovered(dtype, step):
    if dtype == "float32":
        step *= 2
    pixels = (np.round(noisy(1, 160) / step) * step).astype(dtype)
    (found,) = find_quantisation(look_at(pixels))
    assert found.strength == pytest.approx(step, abs=0.8)


def test_noise_far_above_the_step_is_said_to_be_visible():
    pixels = noisy(1, 160) // 4 * 4
    (seen,) = find_quantisation(look_at(pixels, noise=one_noise(1, 9.0)))
    (hidden,) = find_quantisation(look_at(pixels, noise=one_noise(1, 1.0)))
    assert "can be estimated" in seen.action
    assert "cannot be seen" in hidden.action


def test_full_use_of_the_type_has_no_finding():
    assert find_quantisation(look_at(noisy(2, 160))) == []
    assert find_quantisation(look_at(noisy(2, 160).astype(np.float32))) == []
