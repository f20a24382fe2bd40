import threading

import numpy as np
import pytest

from geoae.corrections.correction import ROWS, SHARED, cut_strips
from tests.corrections.support import reader

STRIPS = 5
PIXELS = np.arange(2 * STRIPS * ROWS * 3, dtype=np.uint16).reshape(2, STRIPS * ROWS, 3)


def test_strips_are_the_scene_from_top_to_bottom():
    strips = list(cut_strips(reader(PIXELS), *PIXELS.shape))
    assert [strip.row for strip in strips] == [0] + [
        ROWS * at - SHARED for at in range(1, len(strips))
    ]
    parts = [strip.pixels[:, strip.shared :] for strip in strips]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), PIXELS)


def test_the_next_strip_is_read_meanwhile_but_no_more():
    rows, read = [], reader(PIXELS)
    second, third = threading.Event(), threading.Event()

    def told(window):
        rows.append(window.row)
        if len(rows) > 1:
            (second if len(rows) == 2 else third).set()
        return read(window)

    strips = iter(cut_strips(told, *PIXELS.shape))
    next(strips)
    assert second.wait(10)
    assert not third.wait(0.1)
    assert len(list(strips)) == STRIPS - 1
    assert rows == sorted(rows)
    assert len(rows) == STRIPS


def test_nothing_is_read_any_more_after_a_failure():
    reading, done = threading.Event(), threading.Event()
    read = reader(PIXELS)

    def slow(window):
        if window.row:
            reading.set()
            done.wait(0.2)
            done.set()
        return read(window)

    def work():
        for _ in cut_strips(slow, *PIXELS.shape):
            assert reading.wait(10)
            raise ValueError("this strip is damaged")

    with pytest.raises(ValueError, match="damaged"):
        work()
    # A dataset that the caller closes now must not be in use.
    assert done.is_set()


def test_a_strip_that_cannot_be_read_is_an_error_of_the_pass():
    def broken(window):
        raise OSError("block 7")

    with pytest.raises(OSError, match="block 7"):
        list(cut_strips(broken, *PIXELS.shape))
