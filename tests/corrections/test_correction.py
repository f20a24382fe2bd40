"""Strips of a scene are the same in each pass, and those of a small one are read once."""

import numpy as np
import pytest

from geoae.corrections import correction
from tests.corrections.support import reader


@pytest.mark.parametrize(("most", "reads"), [(1 << 26, 2), (0, 4)])
def test_a_small_scene_is_read_in_the_first_pass_only(most, reads, monkeypatch):
    monkeypatch.setattr(correction, "KEPT", most)
    pixels = np.arange(2 * 200 * 30, dtype=np.uint16).reshape(2, 200, 30)
    asked = []

    def read(window):
        asked.append(window)
        return reader(pixels)(window)

    start = correction.start_passes(read, *pixels.shape, "uint16")
    assert not asked
    for _ in range(2):
        strips = list(start())
        assert [(strip.row, strip.shared) for strip in strips] == [(0, 0), (120, 8)]
        whole = [strip.pixels[:, strip.shared :] for strip in strips]
        assert np.array_equal(np.concatenate(whole, axis=1), pixels)
    assert len(asked) == reads
