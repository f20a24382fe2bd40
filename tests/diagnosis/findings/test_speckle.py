import numpy as np
import pytest

from geoae.diagnosis.findings.planes import cut_planes
from geoae.diagnosis.findings.speckle import (
    Growth,
    find_speckle,
    is_speckle,
    measure_growth,
)
from geoae.diagnosis.noise.gate import CORRELATED, TEXTURE, WHITE
from tests.diagnosis.findings.looks import look_at
from tests.support.rasters import texture


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def scene() -> np.ndarray:
    return np.maximum(texture(1, 192, 192) - 500, 50.0)


@pytest.mark.parametrize("looks", [1, 4, 16])
def test_number_of_looks_is_recovered(rng, looks):
    pixels = scene() * rng.gamma(looks, 1 / looks, (1, 192, 192))
    (found,) = find_speckle(look_at(pixels.astype(np.float32)))
    assert found.strength == pytest.approx(looks, rel=0.25)


def test_shot_noise_is_no_speckle(rng):
    pixels = rng.poisson(scene()).astype(np.uint16)
    assert find_speckle(look_at(pixels)) == []
    (plane,) = cut_planes(look_at(pixels))
    assert measure_growth(plane).exponent < 0.7


def test_constant_noise_is_no_speckle(rng):
    assert find_speckle(look_at(scene() + rng.normal(0, 60, (1, 192, 192)))) == []


@pytest.mark.parametrize(
    ("exponent", "verdict", "speckle"),
    [(0.31, WHITE, False), (0.31, CORRELATED, True), (0.31, TEXTURE, True), (1.0, WHITE, True)],
)
def test_strong_white_noise_on_dark_ground_is_no_speckle(exponent, verdict, speckle):
    # As rough as Landsat with white noise of 20 DN, and as radar stretched to 8 bits.
    assert is_speckle(Growth(exponent, looks=7.2, uneven=1.49), verdict) == speckle
