import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.audit.stretch import Stretch, to_bytes

ALL = np.ones((1, 1), bool)


def fit(*bands: np.ndarray) -> Stretch:
    pixels = np.stack(bands)
    return Stretch.fit([(pixels, np.ones(pixels.shape, bool))])


def test_percentiles_of_each_band_become_black_and_white():
    band = np.arange(101.0).reshape(1, -1)
    stretch = fit(band, 10 * band)
    assert stretch == Stretch((1.0, 10.0), (99.0, 990.0))
    shown = stretch.to_bytes(np.array([[[0.0, 1, 50, 99, 100]]] * 2), ALL)
    assert shown[0].tolist() == [[0, 0, 128, 255, 255]]


def test_invalid_pixels_do_not_count_and_are_white():
    pixels = np.array([[[-9999.0] * 50 + list(range(101))]])
    stretch = Stretch.fit([(pixels, pixels >= 0)])
    assert stretch == Stretch((1.0,), (99.0,))
    shown = stretch.to_bytes(pixels, (pixels >= 0)[0])
    assert (shown[0, 0, :50] == 255).all()
    assert shown[0, 0, 51] == 0


def test_all_windows_count():
    windows = [np.full((1, 1, 100), value) for value in (0.0, 8.0)]
    stretch = Stretch.fit([(pixels, np.ones(pixels.shape, bool)) for pixels in windows])
    assert stretch == Stretch((0.0,), (8.0,))


def test_a_band_without_valid_pixels_and_one_of_a_single_value():
    empty = np.zeros((1, 3, 3), np.uint16)
    assert Stretch.fit([(empty, np.zeros(empty.shape, bool))]) == Stretch((0.0,), (1.0,))
    flat = fit(np.full((3, 3), 7))
    assert flat.spans.tolist() == [[[1.0]]]
    assert flat.to_bytes(np.array([[[7, 8]]]), ALL).tolist() == [[[0, 255]]]


def test_not_a_number_is_black_where_another_band_is_valid():
    assert to_bytes(np.array([np.nan, np.inf, -np.inf]), np.ones(3, bool)).tolist() == [0, 255, 0]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint64", "float32", "float64"])
@given(low=st.integers(0, 90), span=st.integers(1, 30))
def test_the_order_of_values_stays_in_any_type(dtype, low, span):
    values = np.sort(np.arange(120).astype(dtype))[None, None]
    shown = Stretch((low,), (low + span,)).to_bytes(values, ALL)[0, 0].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert (shown[: low + 1] == 0).all()
    assert (shown[low + span :] == 255).all()


def test_bytes_are_those_of_the_units_of_all_bands():
    pixels = np.random.default_rng(0).normal(50, 20, (3, 20, 30))
    stretch = fit(*pixels)
    valid = pixels[0] > 40
    assert np.array_equal(
        stretch.to_bytes(pixels, valid), to_bytes(stretch.to_units(pixels), valid)
    )
