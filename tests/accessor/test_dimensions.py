import numpy as np
import pytest
import xarray

from geoae.accessor.dimensions import Dimensions
from geoae.errors import InputError


@pytest.mark.parametrize(
    ("dims", "each", "band", "rows", "cols"),
    [
        (("y", "x"), (), None, "y", "x"),
        (("band", "y", "x"), (), "band", "y", "x"),
        (("band", "lat", "lon"), (), "band", "lat", "lon"),
        (("latitude", "longitude"), (), None, "latitude", "longitude"),
        (("time", "band", "y", "x"), ("time",), "band", "y", "x"),  # odc-stac, stackstac
        (("variable", "time", "y", "x"), ("time",), "variable", "y", "x"),  # Dataset.to_array
        (("time", "y", "x"), ("time",), None, "y", "x"),
        (("y", "x", "wavelength"), (), "wavelength", "y", "x"),
        (("polarisation", "y", "x"), (), "polarisation", "y", "x"),
        (("time", "member", "band", "y", "x"), ("time", "member"), "band", "y", "x"),
    ],
)
def test_dimensions_are_told_by_name(dims, each, band, rows, cols):
    found = Dimensions.of(xarray.DataArray(np.zeros((2,) * len(dims)), dims=dims))
    assert found == Dimensions(each, band, rows, cols)
    assert set(found.order) == set(dims)


def test_dates_are_told_by_their_values():
    days = np.array(["2026-01-01", "2026-01-02"], "M8[ns]")
    array = xarray.DataArray(
        np.zeros((2, 2, 2)), dims=("acquisition", "y", "x"), coords={"acquisition": days}
    )
    assert Dimensions.of(array) == Dimensions(("acquisition",), None, "y", "x")


def test_dimensions_that_somebody_set_count():
    array = xarray.DataArray(np.zeros((2, 2, 2)), dims=("band", "u", "v")).rio.set_spatial_dims(
        "v", "u"
    )
    assert Dimensions.of(array).order == ("band", "u", "v")


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        (("time", "x"), "set_spatial_dims"),
        # rioxarray takes y and x; lat is not a date, band is named
        (("band", "y", "lat", "x"), None),
        (("orbit", "member", "y", "x"), "rename that one to band"),
        (("band", "channel", "y", "x"), "rename that one to band"),
        (("row", "line", "col"), "set_spatial_dims"),
    ],
)
def test_unclear_dimensions_are_refused(dims, message):
    array = xarray.DataArray(np.zeros((1,) * len(dims)), dims=dims)
    if message is None:
        assert Dimensions.of(array).each == ("lat",)
        return
    with pytest.raises(InputError, match=message):
        Dimensions.of(array)
