"""What every detector keeps to, whatever the scene."""

from collections.abc import Callable

import numpy as np
import pytest

from geoae.diagnosis.finding import Look
from geoae.diagnosis.findings import FINDINGS
from geoae.diagnosis.noise.covariance import estimate_covariance
from tests.diagnosis.findings.looks import look_at, noisy, one_noise


def with_mask(mask: Callable[[np.ndarray], None]) -> Look:
    valid = np.ones((3, 96, 96), bool)
    mask(valid)
    return look_at(noisy(), valid=valid)


def estimated() -> Look:
    pixels = noisy(2, 160)
    samples = [(pixels, np.ones(pixels.shape, bool))]
    return look_at(pixels, noise=estimate_covariance(samples))


SCENES: dict[str, Callable[[], Look]] = {
    "ordinary": lambda: look_at(noisy(), noisy()),
    "estimated noise": estimated,
    "uint8": lambda: look_at(noisy(dtype="uint8")),
    "one value": lambda: look_at(np.full((2, 96, 96), 7, np.int16)),
    "nothing but 0": lambda: look_at(np.zeros((2, 96, 96), np.float32)),
    "a constant band": lambda: look_at(noisy() * np.array([1, 0, 1], np.uint16)[:, None, None]),
    "two values": lambda: look_at((noisy() > 1000).astype(np.uint8)),
    "all invalid": lambda: with_mask(lambda valid: valid.fill(False)),
    "one band invalid": lambda: with_mask(lambda valid: valid[1].fill(False)),
    "one valid pixel": lambda: with_mask(lambda v: (v.fill(False), v[:, 5, 5:6].fill(True))),
    "half invalid": lambda: with_mask(lambda valid: valid[:, ::2].fill(False)),
    "one column": lambda: look_at(noisy()[:, :, :1]),
    "one row": lambda: look_at(noisy()[:, :1]),
    "one pixel": lambda: look_at(noisy()[:, :1, :1]),
    "no window": lambda: Look([], (3,), np.dtype("uint16"), one_noise(1)),
    "windows of several sizes": lambda: look_at(noisy(), noisy()[:, :40, :70], noisy()[:, :2]),
    "huge values": lambda: look_at(noisy(dtype="float64") * 1e300),
    "tiny values": lambda: look_at(noisy(dtype="float64") * 1e-320),
    "huge and tiny": lambda: look_at(np.where(noisy() % 2, 1e308, -1e308)),
    "largest int64": lambda: look_at(np.where(noisy() % 2, 2**63 - 1, -(2**63))),
    "not finite": lambda: look_at(np.where(noisy() % 7, noisy(dtype="float32"), np.nan)),
    "infinite": lambda: look_at(np.where(noisy() % 7, noisy(dtype="float32"), np.inf)),
    "negative": lambda: look_at(-noisy(dtype="float32")),
    "no noise": lambda: look_at(noisy(), noise=one_noise(3, 0.0)),
    "infinite noise": lambda: look_at(noisy(), noise=one_noise(3, np.inf)),
    "noise not known": lambda: look_at(noisy(), noise=one_noise(3, np.nan)),
    "lossy": lambda: look_at(noisy(), compression="JPEG"),
    "200 bands": lambda: look_at(noisy(200, 48)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", SCENES.values(), ids=SCENES.keys())
@pytest.mark.parametrize("find", FINDINGS.values(), ids=FINDINGS.keys())
def test_findings_of_any_scene_are_whole(find, make):
    look = make()
    found = find(look)
    for one in found:
        assert one.kind
        assert one.band is None or one.band in look.bands
        assert np.isfinite(one.strength)
        assert one.strength >= 0
        assert 0 <= one.confidence <= 1
        assert one.unit
        assert one.place
        assert one.evidence
        assert one.action
        assert "nan" not in one.evidence.split()
        assert "inf" not in one.evidence.split()
    assert find(make()) == found


def test_detectors_stand_in_the_dict_under_their_names():
    assert all(find.__name__ == f"find_{name}" for name, find in FINDINGS.items())
    assert all(find.__module__.endswith(f".{name}") for name, find in FINDINGS.items())
