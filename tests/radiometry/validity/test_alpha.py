"""An alpha is known by its values, and no measurement passes for one."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from geoae.radiometry.validity.alpha import is_alpha
from tests.support.alphas import ALPHAS, FOOTPRINT, HILLS, MEASUREMENTS, ROWS, sampled, whole
from tests.support.rasters import SHARED, noise


@pytest.mark.parametrize("name", ALPHAS)
def test_an_alpha_is_one(name):
    assert is_alpha(sampled(ALPHAS[name]))


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_measurement_is_no_alpha(name):
    assert not is_alpha(sampled(MEASUREMENTS[name]))


@given(
    level=st.floats(10, 200),
    spread=st.floats(0, 80),
    sigma=st.floats(1.5, 20),
    dark=st.floats(0, 0.9),
)
def test_whatever_is_noisy_is_no_alpha(level, spread, sigma, dark):
    scene = level + spread * HILLS[:192, :192] + noise((192, 192), sigma)
    assert not is_alpha([whole(np.where(ROWS[:192, :192] < 192 * dark, 0, scene))])


@given(row=st.integers(-300, 300), col=st.integers(-300, 300), blur=st.floats(0, 30))
def test_whatever_is_cut_out_is_an_alpha(row, col, blur):
    cut = ndimage.gaussian_filter(
        ndimage.shift(FOOTPRINT[::3, ::3] * 255.0, (row / 3, col / 3), order=0), blur / 3
    )
    assert is_alpha([whole(cut)])


@pytest.mark.parametrize(
    "name",
    [
        "l7_gewata_6band_30m",
        "naip_nd_20170827_5m",
        "l8_elkton_VA_8band_30m",
        "s1_camargue_vv_db_20m",
    ],
)
def test_no_band_of_a_real_scene_is_an_alpha(name):
    path = SHARED / "scenes/train" / f"{name}.tif"
    if not path.exists():
        pytest.skip("../shared is absent")
    with rasterio.open(path) as dataset:
        for band in dataset.read():
            assert not is_alpha(sampled(band))
