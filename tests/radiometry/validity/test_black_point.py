"""The black point of radar products that were stretched."""

import numpy as np
import pytest

from geoae.radiometry.speckle import Speckle
from geoae.radiometry.validity.black_point import find_offset

SIDE = 240


def speckled(black: float, looks: float = 3.0, mean: tuple[float, float] = (50, 110)) -> np.ndarray:
    """Amplitude ``(1, row, col)`` of ground that gets brighter, less a black point, of 8 bits."""
    ground = np.linspace(*mean, SIDE)[None, None, :] * np.ones((1, SIDE, 1))
    power = np.random.default_rng(3).gamma(looks, 1 / looks, ground.shape)
    return np.clip(ground * np.sqrt(power) - black, 0, 255).astype(np.uint8)


def whole(pixels: np.ndarray) -> list:
    return [(pixels, np.ones(pixels.shape, bool))]


@pytest.mark.parametrize("black", [50.0, 60.0])
def test_noise_is_alike_in_dark_and_bright_ground_after_the_offset(black):
    pixels = speckled(black, mean=(60, 200))
    offset = find_offset(whole(pixels), 0)
    assert 0.5 * black < offset <= black

    def spread(added: float) -> list[float]:
        log = np.log(pixels + added)
        return [float(log[..., part].std()) for part in (slice(None, 60), slice(-60, None))]

    dark, bright = spread(offset)
    assert dark == pytest.approx(bright, rel=0.35)
    assert spread(1.0)[0] > 2 * spread(1.0)[1]


def test_products_that_are_not_clipped_get_none():
    assert find_offset(whole(speckled(0.0)), 0) == 0
    assert find_offset([(np.zeros((1, 40, 40), np.uint8), np.ones((1, 40, 40), bool))], 0) == 0
    assert find_offset([], 0) == 0


def test_noise_that_does_not_grow_gets_an_offset_that_keeps_it_nearly_additive():
    rng = np.random.default_rng(5)
    ground = np.linspace(30, 60, SIDE)[None, None, :]
    pixels = np.clip(ground + rng.normal(0, 20, (1, SIDE, SIDE)), 0, 255).astype(np.uint8)
    assert find_offset(whole(pixels), 0) >= np.median(pixels)


def test_masked_pixels_do_not_count():
    pixels = speckled(50.0)
    assert find_offset(whole(pixels), 0) > 0
    assert find_offset([(pixels, pixels > 0)], 0) == 0


@pytest.mark.parametrize("kind", ["amplitude", "intensity"])
def test_speckle_with_an_offset_goes_to_the_logarithm_and_back(kind):
    pixels = speckled(50.0)
    one = Speckle.of(kind, whole(pixels), "uint8")
    assert one.floor == (0.0,)
    assert one.offset[0] > 0
    log = one.to_log(pixels, None)
    assert log.min() == pytest.approx(np.log(one.offset[0]), rel=1e-5)
    mean = np.full(log.shape, log.mean(), np.float32)
    restored = pixels - one.from_residual(pixels, log - mean, None)
    expected = np.exp(float(log.mean())) - one.offset[0]
    np.testing.assert_allclose(restored[log != mean], expected, rtol=1e-3)
    assert f"{one.offset[0]:.3g} DN were added" in one.describe()
    other = one.embed([1], 3)
    assert other.offset == (0.0, one.offset[0], 0.0)


def test_decibels_and_floating_point_get_no_offset():
    assert Speckle.of("db", whole(speckled(50.0)), "uint8").offset == ()
    assert Speckle.of("amplitude", whole(speckled(50.0)), "float32").offset == ()


def test_zeros_of_rounding_are_no_black_point():
    dark = speckled(0.0, looks=1.0, mean=(3, 8))
    assert (dark == 0).mean() > 0.02
    found = Speckle.of("amplitude", whole(dark), "uint8")
    assert found.offset == ()
    assert found.floor[0] > 0.5
