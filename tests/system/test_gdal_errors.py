import pytest
import rasterio.shutil
from rasterio.errors import RasterioError

from geoae.system.gdal_errors import CPLE_BaseError


def test_rasterio_raises_errors_of_gdal_as_they_are(tmp_path):
    """Where it no longer does, or under another class, geoae's handlers miss them."""
    with pytest.raises(CPLE_BaseError, match="No such file") as caught:
        rasterio.shutil.copy(str(tmp_path / "gone.tif"), str(tmp_path / "out.tif"), driver="GTiff")
    assert not isinstance(caught.value, RasterioError), "a public class now: geoae.system can go"
