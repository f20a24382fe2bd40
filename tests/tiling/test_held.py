"""A small scene is read once, and its windows are those of the scene."""

import numpy as np
import pytest

from geoae.errors import ReadError
from geoae.tiling import held
from geoae.tiling.window import Window

PIXELS = np.arange(2 * 20 * 30, dtype=np.uint16).reshape(2, 20, 30)
MASK = np.ones(PIXELS.shape, bool)
MASK[0, 3, 4] = False
WINDOWS = [Window(0, 0, 20, 30), Window(2, 3, 5, 7), Window(10, 20, 10, 10), Window(2, 3, 5, 7)]


@pytest.mark.parametrize(("mask", "most", "reads"), [(None, 3 * 1200, 1), (MASK, 3 * 1199, 4)])
def test_a_small_scene_is_read_once(mask, most, reads, monkeypatch):
    monkeypatch.setattr(held, "MOST", most)
    asked = []

    def read(window):
        asked.append(window)
        return PIXELS[:, *window.slices()], None if mask is None else mask[:, *window.slices()]

    cut = held.hold(read, *PIXELS.shape, "uint16")
    assert not asked
    for window in WINDOWS:
        pixels, valid = cut(window)
        assert np.array_equal(pixels, PIXELS[:, *window.slices()])
        assert valid is None or np.array_equal(valid, MASK[:, *window.slices()])
    assert len(asked) == reads


def test_what_is_cut_is_the_callers_own_and_is_masked_only_where_a_pixel_is_invalid():
    cut = held.hold(lambda _: (PIXELS, MASK), *PIXELS.shape, "uint16")
    pixels, valid = cut(WINDOWS[1])
    assert np.array_equal(valid, MASK[:, 2:7, 3:10])
    pixels[:], valid[:] = 0, True
    again, still = cut(WINDOWS[1])
    assert again.any()
    assert not still.all()
    assert cut(WINDOWS[2])[1] is None


def test_a_damaged_scene_is_read_window_by_window():
    asked = []

    def read(window):
        asked.append(window)
        if window.row < 2:
            raise ReadError("block 0")
        return PIXELS[:, *window.slices()], None

    cut = held.hold(read, *PIXELS.shape, "uint16")
    for window in WINDOWS[1:]:
        assert np.array_equal(cut(window)[0], PIXELS[:, *window.slices()])
    assert asked == [WINDOWS[0], *WINDOWS[1:]], "the whole is tried once"
    with pytest.raises(ReadError):
        cut(WINDOWS[0])


def test_a_window_that_reaches_beyond_the_scene_is_read():
    beyond = Window(-1, 0, 3, 3)
    cut = held.hold(lambda window: (np.full((2, 3, 3), window.row), None), *PIXELS.shape, "uint16")
    assert (cut(beyond)[0] == -1).all()
