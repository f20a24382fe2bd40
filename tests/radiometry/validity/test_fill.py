import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage

from geoae.radiometry.validity.fill import average_boxes, fill, local_mean


@st.composite
def holed(draw):
    """Pixels, a mask with holes of many sizes, a reach and a rest value."""
    dtype = draw(st.sampled_from(["uint8", "uint16", "int32", "float32", "float64"]))
    bands, height, width = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 40)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    mask = rng.random((bands, height, width)) > draw(st.sampled_from([0.02, 0.5, 0.98]))
    mask[:, height // 3 : height // 2] = False
    if draw(st.booleans()):
        mask[:] = mask[:1]
    pixels = rng.uniform(0, 250, mask.shape).astype(dtype)
    return pixels, mask, draw(st.integers(1, 20)), rng.uniform(0, 250, bands)


@given(holed())
def test_filling_keeps_valid_pixels_and_their_range(case):
    pixels, mask, reach, rest = case
    filled = fill(pixels, mask, reach, rest)
    assert filled.dtype == (np.float32 if pixels.dtype.itemsize <= 2 else np.float64)
    np.testing.assert_array_equal(filled[mask], pixels[mask])
    for band, valid in enumerate(mask):
        known = np.append(pixels[band][valid].astype(float), rest[band])
        assert (filled[band] >= known.min() - 1e-3).all()
        assert (filled[band] <= known.max() + 1e-3).all()


@given(holed(), st.sampled_from([0, 255, np.nan, np.inf]))
def test_what_a_hole_holds_is_irrelevant_to_the_bit(case, value):
    pixels, mask, reach, rest = case
    assume(np.isfinite(value) or pixels.dtype.kind == "f")
    other = np.where(mask, pixels, np.array(value).astype(pixels.dtype))
    assert fill(other, mask, reach, rest).tobytes() == fill(pixels, mask, reach, rest).tobytes()


@given(holed(), st.data())
def test_a_valid_pixel_farther_than_reach_does_not_count(case, data):
    pixels, mask, reach, rest = case
    row, col = (
        data.draw(st.integers(0, mask.shape[1] - 1)),
        data.draw(st.integers(0, mask.shape[2] - 1)),
    )
    rows, cols = np.ogrid[: mask.shape[1], : mask.shape[2]]
    distance = np.maximum(abs(rows - row), abs(cols - col))
    other, other_mask = pixels.copy(), mask.copy()
    other[:, row, col] = 200
    other_mask[:, row, col] = True
    before, after = fill(pixels, mask, reach, rest), fill(other, other_mask, reach, rest)
    far = np.broadcast_to(distance > reach, mask.shape)
    np.testing.assert_allclose(after[far], before[far], rtol=0, atol=1e-3)


@given(holed())
def test_each_band_is_filled_from_itself(case):
    pixels, mask, reach, rest = case
    together = fill(pixels, mask, reach, rest)
    for band in range(len(mask)):
        alone = slice(band, band + 1)
        assert (
            fill(pixels[alone], mask[alone], reach, rest[alone]).tobytes()
            == together[alone].tobytes()
        )


def test_a_hole_takes_the_mean_of_the_nearest_valid_pixels():
    pixels = np.arange(25, dtype=np.uint8).reshape(1, 5, 5)
    mask = np.ones(pixels.shape, bool)
    mask[0, 2, 2] = mask[0, 0, 0] = False
    filled = fill(pixels, mask, 4, np.array([99.0]))[0]
    assert filled[2, 2] == pytest.approx(np.mean([6, 7, 8, 11, 13, 16, 17, 18]), abs=1e-3)
    assert filled[0, 0] == pytest.approx(np.mean([1, 5, 6]), abs=1e-3)


def test_beyond_reach_of_all_valid_pixels_lies_the_rest_value():
    pixels, mask = np.full((1, 1, 30), 5, np.float32), np.zeros((1, 1, 30), bool)
    mask[0, 0, 0] = True
    filled = fill(pixels, mask, 8, np.array([42.0]))[0, 0]
    np.testing.assert_allclose(filled[:9], 5, atol=1e-3)
    np.testing.assert_array_equal(filled[9:], 42)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64"])
def test_a_local_mean_is_not_rounded(dtype):
    pixels = np.random.default_rng(0).poisson(4, (2, 40, 50)).astype(dtype)
    found = local_mean(pixels)
    assert found.dtype == (np.float32 if np.dtype(dtype).itemsize <= 2 else np.float64)
    np.testing.assert_allclose(
        found, ndimage.uniform_filter(pixels.astype(float), (0, 7, 7)), rtol=1e-5
    )


@given(
    st.integers(1, 3),
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from([1, 3, 7]),
    st.sampled_from(["uint8", "uint16", "float32", "float64"]),
)
def test_boxes_of_torch_are_those_of_scipy(bands, height, width, side, dtype):
    """Also where a box is larger than the image, and reflected again."""
    pixels = np.random.default_rng(height).uniform(0, 250, (bands, height, width)).astype(dtype)
    expected = ndimage.uniform_filter(pixels, (0, side, side), output=np.float64)
    found = average_boxes(torch.from_numpy(pixels), side, torch.float64)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-9)
    assert local_mean(torch.from_numpy(pixels)).dtype == (
        torch.float32 if pixels.dtype.itemsize <= 2 else torch.float64
    )
