import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from geoae.raster.profiles import WRITERS, packed_bits
from tests.support.rasters import texture, write


def options(path, profile="cog"):
    with rasterio.open(path) as dataset:
        return WRITERS[profile](dataset)


@pytest.mark.parametrize("profile", WRITERS)
@pytest.mark.parametrize(("dtype", "predictor"), [(np.uint16, "2"), (np.float32, "3")])
def test_the_predictor_is_that_of_the_type(profile, dtype, predictor, tmp_path):
    path = write(tmp_path / "in.tif", texture(2, 20, 20).astype(dtype))
    assert options(path, profile)["PREDICTOR"] == predictor


def test_packed_pixels_stay_packed_for_which_there_is_no_predictor(tmp_path):
    path = write(tmp_path / "in.tif", texture(2, 20, 20).astype(np.uint16), nbits=12)
    with rasterio.open(path) as dataset:
        assert packed_bits(dataset) == ["12", "12"]
    found = options(path)
    assert found["NBITS"] == "12"
    assert "PREDICTOR" not in found


@pytest.mark.parametrize(("bands", "side"), [(3, "512"), (200, "256")])
def test_blocks_of_many_bands_are_smaller(bands, side, tmp_path):
    path = write(tmp_path / "in.tif", np.zeros((bands, 4, 4), np.uint16))
    assert options(path)["BLOCKSIZE"] == side


def test_overviews_of_classes_take_the_nearest_pixel(tmp_path):
    path = write(tmp_path / "in.tif", np.zeros((1, 20, 20), np.uint8))
    assert options(path)["OVERVIEW_RESAMPLING"] == "AVERAGE"
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [ColorInterp.palette]
    assert options(path)["OVERVIEW_RESAMPLING"] == "NEAREST"
