"""Windows of single bands are those of the file, however many are read at once."""

import numpy as np
import pytest
import rasterio

from geoae.errors import ReadError
from geoae.raster.checks.band_reader import BandReader
from geoae.tiling.window import Window
from tests.support.rasters import write

BANDS = list(range(1, 8))
FIRST, OTHER = Window(0, 0, 16, 16), Window(16, 8, 16, 16)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.arange(7 * 32 * 32, dtype=np.uint16).reshape(7, 32, 32)


@pytest.mark.parametrize("together", [1, 3, 16])
def test_windows_are_those_of_each_band(tmp_path, pixels, together):
    with rasterio.open(write(tmp_path / "scene.tif", pixels, nodata=5)) as dataset:
        reader = BandReader("scene", dataset, [1, 2, 4, 7], together)
        for band in (1, 2, 4, 7):
            for window in (FIRST, OTHER, FIRST):
                wanted = pixels[band - 1][window.slices()].astype(float)
                wanted[wanted == 5] = np.nan
                assert np.array_equal(reader.read(band, window), wanted, equal_nan=True)


def test_bands_beside_a_damaged_one_are_read(tmp_path, pixels):
    path = write(
        tmp_path / "scene.tif", pixels, tiled=True, blockxsize=16, blockysize=16,
        interleave="band", compress="deflate",
    )  # fmt: skip
    with rasterio.open(path) as dataset:
        place = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=3))
    data = bytearray(path.read_bytes())
    data[place : place + 8] = bytes(8)
    path.write_bytes(data)
    with rasterio.open(path) as dataset:
        reader = BandReader("scene", dataset, BANDS)
        for band in (1, 2, 4, 5):
            assert np.array_equal(reader.read(band, FIRST), pixels[band - 1][FIRST.slices()])
        with pytest.raises(ReadError, match=r"rows 0\.\.15"):
            reader.read(3, FIRST)
