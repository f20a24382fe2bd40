from dataclasses import replace

import numpy as np

from geoae.diagnosis.findings.noise import find_noise
from geoae.diagnosis.gate import CORRELATED, TEXTURE, Evidence
from tests.diagnosis.findings.looks import look_at, noisy, one_noise


def test_visible_noise_is_found_and_faint_noise_is_not():
    pixels = noisy(1)
    (found,) = find_noise(look_at(pixels, noise=one_noise(1, 12.0)))
    assert found.strength == 12.0
    assert found.evidence.startswith("white")
    assert find_noise(look_at(pixels, noise=one_noise(1, 0.2))) == []


def test_growth_is_named():
    grown = replace(one_noise(1, 12.0), slope=np.array([0.5]))
    (found,) = find_noise(look_at(noisy(1), noise=grown))
    assert "0.5 DN for each DN" in found.evidence


def test_correlation_and_kernel_are_named():
    known = one_noise(1, 12.0)
    known.correlation[0, 5, 4] = 0.31
    seen = replace(Evidence.none(), kernel="bilinear shift 0.5, 0 px")
    known = replace(known, verdict=(CORRELATED,), evidence=(seen,))
    (found,) = find_noise(look_at(noisy(1), noise=known))
    assert "bilinear shift 0.5, 0 px, lag 1 down 0.31, across 0.00" in found.evidence


def test_what_cannot_be_told_from_texture_asks_for_the_spectrum():
    seen = replace(Evidence.none(), kernel="cubic resampling by 3.33", floor=0.1, gain=4.0)
    known = replace(one_noise(1, 2.0), verdict=(TEXTURE,), evidence=(seen,))
    (found,) = find_noise(look_at(noisy(1), noise=known))
    assert found.strength == 2.0
    assert found.action.startswith("only its white floor of 2 DN is taken as noise; give --psd")
    assert "calm ground shows 20 DN" in found.evidence
