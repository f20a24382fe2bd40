from dataclasses import replace

import numpy as np
import pytest

from geoae.diagnosis.finding import Finding
from geoae.diagnosis.findings.noise import find_noise
from geoae.diagnosis.noise.gate import CORRELATED, TEXTURE, Evidence
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


def verdict_of(floor: float, seen: float, gain: float) -> list[Finding]:
    """Findings where the visible level is 1.9 DN and the verdict is texture."""
    evidence = replace(Evidence.none(), floor=floor / seen, gain=gain)
    known = replace(one_noise(1, floor), verdict=(TEXTURE,), evidence=(evidence,))
    return find_noise(look_at(noisy(1), noise=known))


@pytest.mark.parametrize(
    ("floor", "seen", "gain", "found"),
    [
        (12.0, 13.0, 1.0, True),
        (5.0, 6.0, 1.0, False),
        (0.5, 5.0, 2.5, True),
        (0.5, 5.0, 1.8, False),
        (0.5, 40.0, 1.8, True),
        (0.5, 40.0, 1.2, False),
    ],
)
def test_what_may_be_texture_needs_strong_evidence(floor, seen, gain, found):
    findings = verdict_of(floor, seen, gain)
    assert [one.confidence for one in findings] == ([0.4] if found else [])


def test_what_cannot_be_told_from_texture_asks_for_the_spectrum():
    seen = replace(Evidence.none(), kernel="cubic resampling by 3.33", floor=0.1, gain=4.0)
    known = replace(one_noise(1, 2.0), verdict=(TEXTURE,), evidence=(seen,))
    (found,) = find_noise(look_at(noisy(1), noise=known))
    assert found.strength == 2.0
    assert found.action.startswith("only its white part of 2 DN is taken as noise; if")
    assert "calm ground shows 20 DN" in found.evidence
