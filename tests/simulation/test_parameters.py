import numpy as np
import pytest

from geoae.errors import RecipeError
from geoae.simulation.parameters import per_band, require

PIXELS = np.zeros((3, 4, 5))


@pytest.mark.parametrize(("value", "shape"), [(2.5, (1, 1, 1)), ((1.0, 2.0, 3.0), (3, 1, 1))])
def test_a_parameter_meets_the_pixels(value, shape):
    found = per_band("sigma", value, PIXELS)
    assert found.shape == shape
    assert found.dtype == np.float64
    assert (PIXELS + found).shape == PIXELS.shape
    assert found.ravel().tolist() == list(np.atleast_1d(value))


@pytest.mark.parametrize("value", [(1.0, 2.0), (1.0, 2.0, 3.0, 4.0), ()])
def test_another_number_of_values_than_bands_is_refused(value):
    with pytest.raises(RecipeError, match=rf"^sigma = .*: {len(value)} values for 3 bands"):
        per_band("sigma", value, PIXELS)


def test_what_does_not_fit_is_said_with_the_cure():
    require("looks", 4, True, "give more than 0")
    with pytest.raises(RecipeError, match=r"^looks = -1: give more than 0$"):
        require("looks", -1, np.bool_(False), "give more than 0")
