"""Whatever says how long it is, and whose driver would make zeros of what is missing."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import scipy.io

from geoae.errors import GeoaeError, InputError
from geoae.raster.checks.truncation import _get_implied_size
from geoae.raster.scene import Scene
from geoae.tiling.window import Window
from tests.support.rasters import noise, texture, write

# Driver, name, file that is cut, bands, and options of making it.
FORMATS = {
    "netCDF classic": ("netCDF", "a.nc", "a.nc", 1, {"FORMAT": "NC"}),
    "netCDF 64-bit offset": ("netCDF", "a.nc", "a.nc", 1, {"FORMAT": "NC2"}),
    "netCDF 4": ("netCDF", "a.nc", "a.nc", 1, {"FORMAT": "NC4"}),
    "PCIDSK by bands": ("PCIDSK", "a.pix", "a.pix", 3, {}),
    "PCIDSK by pixels": ("PCIDSK", "a.pix", "a.pix", 3, {"INTERLEAVING": "PIXEL"}),
    "ENVI": ("ENVI", "a.dat", "a.dat", 3, {"INTERLEAVE": "BIL"}),
    "ENVI, named after the whole": ("ENVI", "a.dat", "a.dat", 3, {"SUFFIX": "ADD"}),
    "ERDAS Imagine": ("HFA", "a.img", "a.img", 3, {}),
    "ERDAS Imagine with a spill file": ("HFA", "a.img", "a.ige", 3, {"USE_SPILL": "YES"}),
    "GeoPackage": ("GPKG", "a.gpkg", "a.gpkg", 3, {"TILE_FORMAT": "PNG"}),
    "JPEG 2000": ("JP2OpenJPEG", "a.jp2", "a.jp2", 3, {"REVERSIBLE": "YES", "QUALITY": "100"}),
    "NITF": ("NITF", "a.ntf", "a.ntf", 3, {}),
}


def pixels_of(source: Path) -> np.ndarray:
    """All pixels, as restoring reads them."""
    scene = Scene.open(str(source))
    with scene.reader() as reader:
        return reader.read(Window(0, 0, scene.height, scene.width))[0]


def pixels_or_why(source: Path) -> np.ndarray | str:
    try:
        return pixels_of(source)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_cut_short_is_never_zeros(name, tmp_path):
    driver, whole, cut, bands, options = FORMATS[name]
    kind = np.uint8 if driver == "GPKG" else np.int16
    pixels = ((texture(bands, 150, 130) + noise((bands, 150, 130), 9)) / 8).astype(kind)
    write(tmp_path / "s.tif", pixels)
    rasterio.shutil.copy(str(tmp_path / "s.tif"), str(tmp_path / whole), driver=driver, **options)
    truth, content = pixels_of(tmp_path / whole), (tmp_path / cut).read_bytes()
    refused = 0
    for length in [len(content) * share // 100 for share in (5, 30, 55, 80, 95)] + [
        len(content) - cut for cut in (300, 4, 1)
    ]:
        (tmp_path / cut).write_bytes(content[:length])
        found = pixels_or_why(tmp_path / whole)
        if isinstance(found, str):
            refused += 1
            assert "cut short" in found or "cannot be opened" in found
        else:
            assert found.shape == truth.shape, length
            assert (found == truth).all(), length
    assert refused > 1


def test_the_message_says_how_much_is_missing(tmp_path):
    pixels = texture(1, 50, 40).astype(np.int16)
    with rasterio.open(
        tmp_path / "a.dat", "w", driver="ENVI", width=40, height=50, count=1, dtype="int16"
    ) as dataset:
        dataset.write(pixels)
    (tmp_path / "a.dat").write_bytes((tmp_path / "a.dat").read_bytes()[:-7])
    with pytest.raises(
        InputError, match=r"a\.dat has 3993 bytes of at least 4000; it is cut short, get it again"
    ):
        Scene.open(str(tmp_path / "a.dat"))
    vrt = (
        '<VRTDataset rasterXSize="40" rasterYSize="50"><VRTRasterBand dataType="Int16" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">a.dat</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    (tmp_path / "a.vrt").write_text(vrt)
    with pytest.raises(InputError, match=r"a\.vrt: cannot be read whole: .*a\.dat has 3993 bytes"):
        Scene.open(str(tmp_path / "a.vrt"))


def test_a_header_of_another_file_is_no_reason(tmp_path):
    source = write(tmp_path / "a.tif", texture(1, 50, 40).astype(np.int16), compress="deflate")
    (tmp_path / "a.hdr").write_text(
        "ENVI\nsamples = 40\nlines = 50\nbands = 99\nheader offset = 0\ndata type = 2\n"
    )
    assert Scene.open(str(source)).count == 1


@pytest.mark.parametrize("kinds", ["h", "d", "hd", "bhb"])
def test_records_of_netcdf_are_counted(kinds, tmp_path):
    """One variable that grows is not padded, several are."""
    path = tmp_path / "a.nc"
    with scipy.io.netcdf_file(path, "w") as file:
        for name, size in (("time", None), ("y", 5), ("x", 7)):
            file.createDimension(name, size)
        for index, kind in enumerate(kinds):
            file.createVariable(f"v{index}", kind, ("time", "y", "x"))[:3] = np.ones((3, 5, 7))
    content = path.read_bytes()
    assert Scene.open(f"netCDF:{path}:v0").count == 3
    # Up to three bytes of the last variable are padding.
    path.write_bytes(content[:-4])
    with pytest.raises(InputError, match="cut short"):
        Scene.open(f"netCDF:{path}:v0")


@pytest.mark.parametrize("magic", [b"PCIDSK  ", b"SQLite format 3\0", b"CDF\x01", b"CDF\x02"])
def test_rubbish_says_nothing(magic, tmp_path):
    rng = np.random.default_rng(3)
    for length in (0, 3, 40, 600):
        (tmp_path / "a.bin").write_bytes(magic + rng.bytes(length))
        with pytest.raises(GeoaeError, match="cannot be"):
            Scene.open(str(tmp_path / "a.bin"))


def test_a_netcdf_header_of_billions_of_entries_ends_soon(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"CDF\x01" + bytes(4) + b"\0\0\0\x0a" + b"\xff" * 4)
    assert _get_implied_size(tmp_path / "a.bin") == 0


@pytest.mark.parametrize("other", ["text", "header", "log"])
def test_what_is_sound_is_not_refused(other, tmp_path):
    pixels = texture(1, 50, 40).astype(np.int16)
    name = "a.gpkg" if other == "log" else "a.dat"
    write(tmp_path / "s.tif", pixels.astype(np.uint8) if other == "log" else pixels)
    options = {"SUFFIX": "ADD"} if other == "header" else {}
    rasterio.shutil.copy(
        str(tmp_path / "s.tif"),
        str(tmp_path / name),
        driver="GPKG" if other == "log" else "ENVI",
        **options,
    )
    if other == "text":
        header = (tmp_path / "a.hdr").read_text()
        (tmp_path / "a.hdr").write_text(header + "\nsensor type = {\nbands = 99\nlines = 99\n}\n")
    elif other == "header":
        (tmp_path / "a.hdr").write_text(
            "ENVI\nsamples = 40\nlines = 50\nbands = 99\ndata type = 2\n"
        )
    else:
        content = (tmp_path / name).read_bytes()
        pages = int.from_bytes(content[28:32], "big") + 9
        (tmp_path / name).write_bytes(content[:28] + pages.to_bytes(4, "big") + content[32:])
        assert _get_implied_size(tmp_path / name) > len(content)
        (tmp_path / f"{name}-wal").write_bytes(b"frames")
        assert _get_implied_size(tmp_path / name) == 0
        (tmp_path / name).write_bytes(content)
    assert Scene.open(str(tmp_path / name)).height == 50
