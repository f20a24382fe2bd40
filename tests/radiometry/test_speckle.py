"""The logarithm of speckled pixels, and the way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.radiometry.speckle import Speckle
from tests.support.doubles import DTYPES, pixels_of

KINDS = ["amplitude", "intensity", "db"]


def speckle(kind="amplitude", floor=2.0, bias=0.0, bands=1) -> Speckle:
    return Speckle(kind, (floor,) * bands, (bias,) * bands)


def whole(pixels: np.ndarray) -> list:
    return [(pixels, np.ones(pixels.shape, bool))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_residual_of_zero_takes_nothing(dtype, kind):
    pixels = pixels_of(dtype, (2, 9, 7))
    taken = speckle(kind, bias=0.3, bands=2).from_residual(
        pixels, np.zeros(pixels.shape, np.float32), None
    )
    assert not taken.any()


@given(
    st.floats(1e-20, 1e20),
    st.floats(-5, 5, width=32).filter(bool),
    st.floats(0, 0.6),
    st.booleans(),
)
def test_the_way_back_is_the_exponential_of_the_logarithm(value, residual, bias, dark):
    floor = 4 * value if dark else value / 4
    one = speckle(floor=floor, bias=bias)
    pixels = np.array([[[value]]])
    taken = one.from_residual(pixels, np.array([[[residual]]], np.float32), None)
    expected = np.exp(one.to_log(pixels, None) - residual + bias)
    scale = max(value, expected.item())
    assert (pixels - taken).item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6 * scale)
    assert np.isfinite(taken).all()


def test_decibels_are_subtracted_and_shifted():
    pixels = np.array([[[-12.0, -8.0]]], np.float32)
    one = speckle("db", bias=0.5)
    assert one.to_log(pixels, None) is pixels
    taken = one.from_residual(pixels, np.array([[[2.0, 0.0]]], np.float32), None)
    assert taken.tolist() == [[[1.5, 0.0]]]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "float64"])
def test_invalid_pixels_are_finite_in_the_logarithm_and_stay(dtype):
    pixels = np.full((1, 3, 3), 9, dtype)
    mask = np.ones(pixels.shape, bool)
    mask[0, 0] = False
    pixels[0, 0] = [0, 7, 100] if dtype == "uint8" else [-9999, 0, 5]
    if pixels.dtype.kind == "f":
        pixels[0, 0] = [np.nan, -np.inf, np.inf]
    one = speckle(bias=0.2)
    assert np.isfinite(one.to_log(pixels, mask)).all()
    taken = one.from_residual(pixels, np.full(pixels.shape, 0.1, np.float32), mask)
    assert not taken[~mask].any()
    assert taken[mask].all()


def test_the_floor_of_integers_is_above_rounding_and_that_of_floats_below_all_but_few():
    values = np.random.default_rng(0).uniform(0, 100, (1, 200, 200))
    (floor,) = Speckle.of("intensity", whole(values), "float32").floor
    assert floor == pytest.approx(0.1, rel=0.5)
    assert Speckle.of("intensity", whole(values), "uint8").floor == (8.0,)
    (dark,) = Speckle.of("intensity", whole(values / 10), "uint8").floor
    assert dark == pytest.approx(1.25, rel=0.05)


@pytest.mark.parametrize(("kind", "ratio"), [("amplitude", 1.2), ("intensity", 1.7), ("db", 1.7)])
def test_the_bias_keeps_the_mean(kind, ratio):
    found = speckle(kind).balance([170.0 if kind != "amplitude" else 120.0], [100.0])
    pixels = np.array([[[10.0]]])
    restored = pixels - found.from_residual(pixels, np.full((1, 1, 1), 1e-9, np.float32), None)
    before, after = found.linear(pixels), found.linear(restored)
    assert (after / before).item() == pytest.approx(ratio, rel=1e-4)
    assert f"{ratio:.3f}" in found.describe()


def test_a_band_without_a_sum_has_no_bias():
    assert speckle(bands=2).balance([0.0, 3.0], [0.0, 0.0]).bias == (0.0, 0.0)


def test_other_bands_have_neither_floor_nor_bias():
    assert speckle(floor=3.0, bias=0.5).embed([1], 3) == Speckle(
        "amplitude", (1.0, 3.0, 1.0), (0.0, 0.5, 0.0)
    )


@pytest.mark.parametrize(
    ("kind", "nodata", "expected"),
    [("amplitude", None, {0}), ("amplitude", -1.0, {-1.0, 0}), ("amplitude", (0, 7), {0, 7})],
)
def test_a_restored_pixel_does_not_become_zero(kind, nodata, expected):
    (found,) = speckle(kind).with_zero([nodata])
    assert set(found) == expected
    assert speckle("db").with_zero([nodata]) == [nodata]


@pytest.mark.parametrize(("kind", "looks"), [("amplitude", 1), ("intensity", 4), ("db", 1)])
def test_strong_scatterers_stay_and_the_brightest_speckle_does_not(kind, looks):
    unit = {"amplitude": 0.5, "intensity": 1.0, "db": 10 / np.log(10)}[kind]
    log = unit * np.log(np.random.default_rng(0).gamma(looks, 1 / looks, 200_000))
    one = speckle(kind, floor=1e-9).with_limits([log.std()])
    (most,) = one.most
    assert log.max() - log.mean() < most < log.max() - log.mean() + 0.5 * unit
    pixels = np.full((1, 1, 2), 7.0)
    residual = np.array([[[0.99 * most, 1.01 * most]]], np.float32)
    assert (one.from_residual(pixels, residual, None) != 0).tolist() == [[[True, False]]]
    assert one.embed([1], 2).most == (np.inf, most)
    assert one.with_limits([0.0]).most == (np.inf,), "there is no noise"
