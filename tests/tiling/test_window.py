import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geoae.tiling.window import Window, reflect


@given(size=st.integers(2, 40), before=st.integers(0, 200), after=st.integers(0, 200))
def test_reflect_is_numpys(size, before, after):
    expected = np.pad(np.arange(size), (before, after), mode="reflect")
    np.testing.assert_array_equal(reflect(-before, size + before + after, size), expected)


@given(start=st.integers(-50, 50), length=st.integers(0, 50))
def test_one_pixel_is_its_own_reflection(start, length):
    found = reflect(start, length, 1)
    assert found.shape == (length,)
    assert not found.any()


@given(start=st.integers(-300, 300), length=st.integers(0, 300), size=st.integers(1, 40))
def test_a_part_of_the_reflection_is_the_reflection_of_a_part(start, length, size):
    """Any two tiles see the same continuation of the scene."""
    np.testing.assert_array_equal(
        reflect(start, length, size), reflect(start - 7, length + 7, size)[7:]
    )


def test_window_edges():
    window = Window(2, 3, 4, 5)
    assert (window.stop_row, window.stop_col) == (6, 8)
    assert window.expand(2) == Window(0, 1, 8, 9)
    assert window.expand(2).expand(-2) == window


@given(*[st.integers(-20, 20)] * 2, *[st.integers(0, 30)] * 2, *[st.integers(1, 20)] * 2)
def test_clipped_keeps_exactly_the_pixels_inside(row, col, height, width, tall, wide):
    clipped = Window(row, col, height, width).clip(tall, wide)
    inside = [
        (r, c)
        for r in range(row, row + height)
        for c in range(col, col + width)
        if 0 <= r < tall and 0 <= c < wide
    ]
    rows, cols = range(clipped.row, clipped.stop_row), range(clipped.col, clipped.stop_col)
    assert [(r, c) for r in rows for c in cols] == inside
    assert 0 <= clipped.row <= tall
    assert 0 <= clipped.col <= wide


def test_slices_are_relative_to_a_corner():
    pixels = np.arange(100).reshape(10, 10)
    window = Window(4, 5, 2, 3)
    np.testing.assert_array_equal(pixels[window.slices()], pixels[4:6, 5:8])
    np.testing.assert_array_equal(pixels[3:, 1:][window.slices(3, 1)], pixels[4:6, 5:8])


sizes = st.integers(1, 60)


@given(start=st.integers(-(10**9), 10**9), length=st.integers(0, 60), size=sizes)
def test_a_reflection_never_leaves_the_scene_and_moves_by_one(start, length, size):
    found = reflect(start, length, size)
    assert found.shape == (length,)
    assert ((found >= 0) & (found < size)).all()
    assert (np.abs(np.diff(found)) == (size > 1)).all()


@given(*[st.integers(-20, 20)] * 2, *[st.integers(0, 30)] * 2, sizes, sizes)
def test_what_is_inside_stays_inside(row, col, height, width, tall, wide):
    clipped = Window(row, col, height, width).clip(tall, wide)
    assert clipped.clip(tall, wide) == clipped
    assert (
        clipped.height * clipped.width == 0
        or clipped.expand(3).clip(tall, wide).slices() != (slice(0, 0),) * 2
    )
    rows, cols = clipped.slices()
    assert np.zeros((tall, wide))[rows, cols].shape == (clipped.height, clipped.width)
