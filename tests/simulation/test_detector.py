import numpy as np
import pytest

from geoae.simulation import (
    DeadLines,
    Stripes,
)


def test_stripes_repeat_after_their_detectors_along_their_axis():
    pixels = np.full((2, 40, 12), 100.0)
    rows = Stripes(5.0, 0.1, "row", 16)(pixels, np.random.default_rng(0))
    assert (rows == rows[:, :, :1]).all()
    assert np.array_equal(rows[:, :16], rows[:, 16:32])
    assert len(np.unique(rows[0, :, 0])) == 16
    columns = Stripes(5.0)(pixels, np.random.default_rng(0))
    assert (columns == columns[:, :1]).all()
    assert len(np.unique(columns[0, 0])) == 12


@pytest.mark.parametrize(("axis", "along"), [("row", 2), ("column", 1)])
def test_a_dead_line_is_dead_along_its_axis_in_one_band(axis, along):
    pixels = np.full((3, 50, 60), 100.0)
    dead = DeadLines(0.3, 7.0, axis)(pixels, np.random.default_rng(0)) == 7
    whole = dead.all(axis=along)
    assert np.array_equal(dead.any(axis=along), whole), "lines are lost as a whole"
    assert 0 < whole.sum() < whole.size
    assert (whole[0] != whole[1]).any()


def test_gains_differ_in_proportion_to_the_signal():
    dark, bright = (
        Stripes(0.0, 0.1)(np.full((1, 4, 30), value), np.random.default_rng(0)) - value
        for value in (10.0, 1000.0)
    )
    assert dark.any()
    np.testing.assert_allclose(bright, 100 * dark)
