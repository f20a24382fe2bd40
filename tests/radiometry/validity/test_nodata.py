import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.errors import InputError
from geoae.radiometry.validity.nodata import (
    FillValue,
    combine_nodata,
    find_fill,
    is_plausible,
    read_border,
    refuse_foreign_fill,
)
from geoae.tiling.window import Window
from tests.support.rasters import noise, texture

SIZE = 300
ROWS, COLS = np.mgrid[:SIZE, :SIZE]
COLLAR = COLS + 0.3 * ROWS < 100
FRAME = (np.minimum(ROWS, COLS) < 3) | (np.maximum(ROWS, COLS) > SIZE - 4)


def found(pixels: np.ndarray, mask: np.ndarray | None = None) -> FillValue | None:
    """What is found in ``pixels`` (band, row, col), all of which are sampled."""
    valid = np.ones(pixels.shape, bool) if mask is None else mask

    def read(window: Window):
        place = (slice(None), *window.slices())
        return pixels[place], None if mask is None else mask[place]

    return find_fill([(pixels, valid)], read_border(read, *pixels.shape[1:]))


def scene(dtype: str, bands: int = 3) -> np.ndarray:
    return (texture(bands, SIZE, SIZE) + noise((bands, SIZE, SIZE), 30)).astype(dtype)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "value"), [("uint16", 0), ("uint16", 65535), ("int16", -9999), ("float32", -9999.0)]
)
def test_a_collar_is_found(dtype, value, bands):
    pixels = scene(dtype, bands)
    pixels[:, COLLAR] = value
    fill = found(pixels)
    assert (fill.value, fill.place) == (value, "the scene")
    assert fill.share == pytest.approx(COLLAR.mean())


def test_a_frame_is_found_at_the_border():
    pixels = scene("uint16")
    pixels[:, FRAME] = 0
    assert found(pixels) == FillValue(0, 1.0, "its border")


def test_fill_beside_dark_pixels_is_found():
    """8-bit mosaics: black where nothing is, and shadows that are nearly black."""
    pixels = np.clip((scene("float32") - 600) / 5, 1, 255).astype(np.uint8)
    pixels[:, COLLAR] = 0
    assert found(pixels).value == 0


def clouds() -> np.ndarray:
    return np.clip(scene("float32") / 4.5, 0, 255).astype(np.uint8)


def quantised() -> np.ndarray:
    """Few levels with gaps between, as of data that was stretched to 8 bits."""
    return (scene("float32", 1) // 100 * 20).astype(np.uint8)


def dark_water() -> np.ndarray:
    pixels = (scene("float32", 1) / 10).astype(np.uint8)
    pixels[:, COLLAR] = np.random.default_rng(0).choice([2, 3, 3, 3, 3, 3, 4], COLLAR.sum())
    return pixels


NONE = {
    "a scene": scene("uint16"),
    "one value": np.full((1, SIZE, SIZE), 7, np.uint8),
    "clouds that saturate": clouds(),
    "few levels": quantised(),
    "dark water": dark_water(),
    "a few pixels": np.array([[[0, 0, 9]]], np.uint8),
    "a hole": np.where((ROWS < 60) & (COLS < 60), 0, scene("uint16")),
}


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_fill_is_not_told_of(name):
    assert found(NONE[name]) is None


def test_declared_fill_is_not_told_of():
    pixels = scene("uint16")
    pixels[:, COLLAR | FRAME] = 0
    assert found(pixels, pixels != 0) is None


def test_a_value_of_some_bands_is_not_told_of():
    pixels = scene("uint16")
    pixels[0, COLLAR] = 0
    assert found(pixels) is None


@given(st.integers(1, 200), st.integers(1, 200))
def test_the_border_is_looked_at_on_all_sides(height, width):
    marked = np.zeros((1, height, width), bool)
    marked[:, [0, -1]] = marked[:, :, [0, -1]] = True
    seen = np.zeros(marked.shape, bool)

    def read(window: Window):
        place = (slice(None), *window.slices())
        seen[place] = True
        return marked[place], None

    assert all(pixels.all() for pixels, _ in read_border(read, height, width)), (
        "nothing but the border"
    )
    for side in (seen[:, 0], seen[:, -1], seen[:, :, 0], seen[:, :, -1]):
        assert side.mean() >= min(1, 3 * 64 / side.size) - 1e-9


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (-9999.0, "-9999"), (16777215, "16777215"), (0.1, "0.1")]
)
def test_the_note_says_what_to_do(value, shown):
    note = FillValue(value, 0.312, "its border").note("s.tif")
    assert note.startswith(f"s.tif: {shown} fills 31% of its border and is restored")
    assert note.endswith(f"give --nodata {shown}")


def test_declared_and_given_values_both_count():
    assert combine_nodata(None, None) is None
    assert combine_nodata(7, None) == combine_nodata(None, 7) == combine_nodata(7, 7) == 7
    assert combine_nodata(-9999, 0) == (-9999, 0)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("uint8", 256), ("uint16", -9999), ("int16", 0.5), ("float32", 1e39), ("uint64", -1)],
)
def test_what_no_pixel_can_be_is_refused(dtype, value):
    refuse_foreign_fill("s.tif", dtype, None)
    with pytest.raises(
        InputError, match=rf"s\.tif: pixels of {dtype} cannot be .*; correct --nodata"
    ):
        refuse_foreign_fill("s.tif", dtype, value)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("uint8", 255),
        ("int64", -(2**63)),
        ("uint64", 2**64 - 1),
        ("float32", -3.4028234663852886e38),
    ],
)
def test_the_limits_of_a_type_are_values(dtype, value):
    refuse_foreign_fill("s.tif", dtype, value)


def test_what_float32_cannot_reckon_with_is_no_value():
    pixels = np.array([0.0, -1e29, 3.4e38, -np.inf, np.nan])
    assert is_plausible(pixels).tolist() == [True, True, False, False, False]
    assert is_plausible(np.array([-1, 2])).all()
