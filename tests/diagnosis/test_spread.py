"""Places that are chosen evenly."""

import numpy as np
import pytest

from geoae.diagnosis.spread import pick_evenly


# Of 144 places and a step of 1.152, numpy counts one place too many: index 144.
@pytest.mark.parametrize(("count", "step"), [(144, 1.152), (137, 1.0873015873015872)])
def test_rounding_brings_no_place_behind_the_last(count, step):
    assert np.arange(0, count, step).astype(int)[-1] == count
    picked = pick_evenly(count, step)
    assert picked[-1] < count
    assert len(np.unique(picked)) == len(picked)


@pytest.mark.parametrize(("count", "step"), [(0, 2.0), (1, 1.0), (10, 1.0), (10, 2.5), (10, 20.0)])
def test_places_are_as_far_apart_as_asked(count, step):
    expected = [int(at * step) for at in range(count) if at * step < count]
    assert pick_evenly(count, step).tolist() == expected
