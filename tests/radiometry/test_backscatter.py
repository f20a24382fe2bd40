"""Which pixels of a radar scene are measurements."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.errors import InputError
from geoae.radiometry.backscatter import REACH, has_log, hide_zeros, refuse_other_units
from geoae.radiometry.speckle import Speckle
from geoae.raster.memory import ArraySource
from geoae.tiling.window import Window

KINDS = ["amplitude", "intensity", "db"]


def speckle(kind="amplitude", floor=2.0, bias=0.0, bands=1) -> Speckle:
    return Speckle(kind, (floor,) * bands, (bias,) * bands)


def whole(pixels: np.ndarray) -> list:
    return [(pixels, np.ones(pixels.shape, bool))]


def test_zeros_of_floats_and_areas_of_integers_hold_no_measurement():
    pixels = np.full((1, 30, 30), 50, np.uint8)
    pixels[0, 3, 3] = pixels[0, 20, 4:9] = 0  # speckle that was rounded to 0
    pixels[0, 10:18, 10:17] = pixels[0, 23:, :] = 0
    seen = has_log("amplitude", pixels)
    hidden = pixels == 0
    hidden[0, 3, 3] = hidden[0, 20, 4:9] = False
    assert np.array_equal(seen, ~hidden)
    assert np.array_equal(has_log("amplitude", pixels.astype(np.float32)), pixels > 0)
    assert has_log("db", pixels).all()
    assert not has_log("intensity", np.full((1, 2, 2), -3, np.int16)).any()


@given(
    st.integers(-9, 40),
    st.integers(-9, 40),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(0, 9),
)
def test_any_window_sees_the_same_zeros(row, col, height, width, seed):
    rng = np.random.default_rng(seed)
    pixels = (rng.random((1, 40, 33)) > 0.2).astype(np.uint16)
    pixels[:, 5:19, 8:20] = 0
    window = Window(row, col, height, width)
    source = ArraySource(has_log("amplitude", pixels).astype(np.uint8))
    expected, _ = source.read(window)
    found, mask = hide_zeros("amplitude", ArraySource(pixels).read, 40, 33)(window)
    assert np.array_equal(found, ArraySource(pixels).read(window)[0])
    assert np.array_equal(np.ones(found.shape) if mask is None else mask, expected)
    assert REACH == 6, "two erosions of a square of 7 px"


def test_without_speckle_and_in_decibels_reading_stays_as_it_is():
    read = ArraySource(np.zeros((1, 4, 4))).read
    assert hide_zeros(None, read, 4, 4) is read
    assert hide_zeros("db", read, 4, 4) is read


@pytest.mark.parametrize(
    ("kind", "values", "said"),
    [
        ("db", [200.0, 5000.0], r"^s: pixels from 200 to 5000 are not in dB; give --speckle ampl"),
        ("amplitude", [-12.0, -8.0], r"^s: 100% of the pixels are below 0, .* --speckle db if"),
    ],
)
def test_other_units_are_refused(kind, values, said):
    pixels = np.array([[values]])
    with pytest.raises(InputError, match=said):
        refuse_other_units(kind, whole(pixels), "s")
    refuse_other_units(kind, [(pixels, np.zeros(pixels.shape, bool))], "s")
    for fits in ("db", "amplitude"):
        refuse_other_units(fits, whole(np.array([[[3.0, 20.0]]])), "s")
