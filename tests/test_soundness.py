import pytest
import rasterio

from geoae.soundness import no_codec


@pytest.mark.parametrize(
    ("said", "codec"),
    [
        ("a.tif: Cannot open TIFF file due to missing codec JXL", "JXL"),
        ("a.tif: Cannot open TIFF file due to missing codec of code 44510", "TIFF code 44510"),
        ("JPEGLib:Unsupported JPEG data precision 12", "JPEG of 12 bits"),
        ("netCDF chunk fetch failed: #-136 (NetCDF: Filter error: undefined filter encountered)", "HDF5 with a filter of its own"),
    ],
)  # fmt: skip
def test_a_codec_that_is_missing_is_no_damage(said, codec):
    text = str(no_codec("a.tif", said))
    assert text.startswith(
        f"a.tif: is compressed as {codec}, for which this GDAL ({rasterio.__gdal_version__}) has no codec"
    )
    assert "gdal_translate" in text


@pytest.mark.parametrize("said", ["ZIPDecode:Decoding error at scanline 0", "No such file or directory", "LERCPreDecode:lerc_getBlobInfo() failed", ""])  # fmt: skip
def test_damage_is_no_missing_codec(said):
    assert no_codec("a.tif", said) is None
