from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geoae.radiometry.subtract import subtract
from geoae.radiometry.validity.nodata import is_measured
from tests.support.doubles import DTYPES, extremes, pixels_of

INTEGERS = [dtype for dtype in DTYPES if not dtype.startswith("float")]


FLOATS = ["float32", "float64"]


def one(value, residual, dtype, nodata=None):
    """``subtract`` of one pixel."""
    pixel = np.array([[value]], dtype=dtype)
    return subtract(pixel, np.array([[residual]], np.float32), None, nodata)[0, 0].item()


@st.composite
def pixels(draw, kinds=INTEGERS):
    """A dtype, a value it can hold and a float32 residual."""
    dtype = draw(st.sampled_from(kinds))
    limits = np.iinfo(dtype)
    span = float(np.float32(min(limits.max, 2**40)))
    value = draw(st.sampled_from(extremes(dtype)) | st.integers(limits.min, limits.max))
    residual = draw(st.floats(-3.0, 3.0, width=32) | st.floats(-2.0 * span, 2.0 * span, width=32))
    return dtype, value, residual


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_residual_leaves_every_bit(dtype, zero):
    source = pixels_of(dtype, (40, 50))
    if dtype in FLOATS:
        source[0, :4] = [np.nan, np.inf, -np.inf, -np.nan]
    for nodata in (None, 12, np.nan):
        source[source == 12] = 13
        found = subtract(source, np.full(source.shape, zero, np.float32), None, nodata)
        assert found.dtype == source.dtype
        assert found.tobytes() == source.tobytes()


@settings(max_examples=400)
@given(pixels())
def test_integers_are_rounded_and_saturate(case):
    dtype, value, residual = case
    limits = np.iinfo(dtype)
    exact = Fraction(value) - Fraction(residual)
    # 8 and 16 bits are subtracted in float32, whose own rounding may tip a tie.
    slack = Fraction(1, 50) if limits.bits <= 16 else Fraction(0)
    expected = min(max(exact, limits.min), limits.max)
    assert abs(one(value, residual, dtype) - expected) <= Fraction(1, 2) + slack


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_round_to_the_nearest_on_either_side(dtype):
    assert [one(100, residual, dtype) for residual in (0.4, 0.6, -0.4, -0.6, 1.4, 1.6)] == [
        100,
        99,
        100,
        101,
        99,
        98,
    ]
    if np.iinfo(dtype).min < 0:
        assert [one(-100, residual, dtype) for residual in (0.4, 0.6, -0.4, -0.6)] == [
            -100,
            -101,
            -100,
            -99,
        ]


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("residual", [3.0, 1e4, 1e18])
def test_integers_stop_at_the_ends_of_their_range(dtype, residual):
    limits = np.iinfo(dtype)
    if residual < float(limits.max) - float(limits.min):
        assert one(limits.min + 2, residual, dtype) == limits.min
        assert one(limits.max - 2, -residual, dtype) == limits.max


@given(
    st.sampled_from(["int64", "uint64"]),
    st.integers(2**53, 2**63 - 1),
    st.integers(-(2**24), 2**24),
)
def test_64_bit_integers_lose_no_digit(dtype, value, residual):
    limits = np.iinfo(dtype)
    assert one(value, float(residual), dtype) == min(max(value - residual, limits.min), limits.max)


@given(st.sampled_from(FLOATS), st.floats(-1e6, 1e6, width=32), st.floats(-1e3, 1e3, width=32))
def test_floats_keep_their_own_precision(dtype, value, residual):
    kind = np.dtype(dtype).type
    assert one(value, residual, dtype) == kind(value) - kind(residual)


def test_float64_keeps_digits_that_float32_has_not():
    assert one(1_000_000.000_000_1, 1.0, "float64") == pytest.approx(999_999.000_000_1, abs=1e-9)


@settings(max_examples=400)
@given(pixels(), st.integers(-2, 2))
def test_a_valid_integer_never_becomes_nodata(case, beside):
    dtype, value, residual = case
    limits = np.iinfo(dtype)
    landed = one(value, residual, dtype)
    nodata = min(max(landed + beside, limits.min), limits.max)
    assume(value != nodata)
    found = one(value, residual, dtype, nodata)
    assert found != nodata
    assert found == landed if landed != nodata else abs(found - landed) == 1
    assert min(value, landed) <= found <= max(value, landed), (
        "moved back towards where it came from"
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("value", "residual"), [(-9998.0, 1.0), (-10000.0, -1.0)])
def test_a_valid_float_never_becomes_nodata(dtype, value, residual):
    found = one(value, residual, dtype, -9999.0)
    assert found != -9999.0
    assert found == pytest.approx(-9999, abs=0.01)
    assert (found > -9999.0) == (value > -9999.0)


@pytest.mark.parametrize("nodata", [-9999, 70000.0, np.nan, -3.4028234663852886e38])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint64"])
def test_nodata_that_the_dtype_cannot_hold_is_none(dtype, nodata):
    assert one(0, 3.0, dtype, nodata) == 0
    assert one(100, 3.0, dtype, nodata) == 97


@pytest.mark.parametrize("dtype", DTYPES)
def test_nodata_that_a_mask_declares_valid_stays(dtype):
    assert one(7, 0.0, dtype, 7) == 7


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nodata", [(6, 7), (7, 6), (7, np.nan), (90, 7)])
def test_a_valid_pixel_becomes_none_of_several_nodata_values(dtype, nodata):
    found = [
        one(value, residual, dtype, nodata)
        for value in (4, 9)
        for residual in (-4.0, -3.0, -2.0, 2.0, 3.0)
    ]
    assert not set(found) & set(nodata)
    assert one(9, 2.0, dtype, (7, 90)) == one(9, 2.0, dtype, 7)
    assert np.array_equal(
        is_measured(np.array([5, 6, 7, 90], dtype), nodata),
        [value not in nodata for value in (5, 6, 7, 90)],
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_bits_are_untouched(dtype):
    rng = np.random.default_rng(0)
    kind = np.dtype(dtype)
    # NaNs of every payload
    source = rng.integers(0, 256, (30, 40 * kind.itemsize), dtype=np.uint8).view(kind)
    mask = rng.random(source.shape) < 0.5
    with np.errstate(all="ignore"):
        found = subtract(source, rng.normal(0, 50, source.shape).astype(np.float32), mask, 7)
    assert found[~mask].tobytes() == source[~mask].tobytes()
    assert found[mask].tobytes() != source[mask].tobytes()
