"""Every kind of CRS comes back from a written file, or is refused before any work."""

import re
import struct
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pyproj
import pytest
import rasterio
import rasterio.shutil
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.io import MemoryFile

from geoae.errors import InputError
from geoae.raster.crs import CrsEncoding, change_keys, encode_crs, same_crs
from geoae.raster.geotiff import assemble
from geoae.raster.profiles import WRITERS
from geoae.raster.scene import Scene
from tests.support.rasters import write

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def wkt(crs: object, solid: bool = False) -> str:
    proj = pyproj.CRS(crs)
    return (proj.to_3d() if solid else proj).to_wkt("WKT2_2019")


def nameless(crs: object) -> str:
    """Without any code."""
    return re.sub(r',ID\["EPSG",\d+\]', "", wkt(crs))


ROTATED = "+proj=ob_tran +o_proj=longlat +o_lon_p=-162 +o_lat_p=39.25 +lon_0=180 +R=6371229"
SITE = (
    'ENGCRS["site",EDATUM["gate"],CS[Cartesian,2],AXIS["(E)",east,ORDER[1],LENGTHUNIT["metre",1]],'
    'AXIS["(N)",north,ORDER[2],LENGTHUNIT["metre",1]]]'
)
KINDS = {
    "geographic": wkt(4326),
    "geographic 3D": wkt(4979),
    "geocentric": wkt(4978),
    "in grads from Paris": wkt(4807),
    "projected": wkt(32633),
    "northing first": wkt(2193),
    "in US feet": wkt(2264),
    "polar": wkt(3413),
    "projected 3D": wkt(32633, solid=True),
    "projected 3D, northing first": wkt(2193, solid=True),
    "projected 3D in feet": wkt(2264, solid=True),
    "projected 3D without a code": wkt("+proj=laea +lat_0=50 +lon_0=10 +ellps=GRS80", solid=True),
    "compound": wkt("EPSG:32633+5773"),
    "compound with one code": wkt(7415),
    "compound, depth": wkt("EPSG:32633+5861"),
    "compound, geoid grid": wkt(
        "+proj=utm +zone=33 +datum=WGS84 +geoidgrids=egm96_15.gtx +vunits=m"
    ),
    "vertical": wkt(5773),
    "engineering": SITE,
    "local": 'LOCAL_CS["plot",UNIT["metre",1]]',
    "bound": wkt("+proj=utm +zone=33 +ellps=bessel +towgs84=577.3,90.1,463.9,5.1,1.4,5.2,2.4"),
    "time-dependent": wkt(9989),
    "without a code": nameless(32633),
    "sphere": wkt("+proj=sinu +R=6371007.181"),
    "rotated pole": wkt(ROTATED),
    "geostationary": wkt("+proj=geos +h=35786023 +lon_0=-75 +sweep=x +ellps=GRS80"),
    "no projection of GeoTIFF's": wkt("+proj=tpers +h=5500000 +lat_0=40"),
    "Moon": wkt("IAU_2015:30100"),
    "Mars, west positive": wkt("IAU_2015:49901"),
    "in odd units": wkt("+proj=utm +zone=33 +to_meter=7.25"),
    "named oddly": nameless(32633).replace("WGS 84 / UTM zone 33N", 'my "" é <b> & grid'),
    "code of another": wkt(32633).replace('ID["EPSG",32633]', 'ID["EPSG",32634]'),
}
# Kinds for which GeoTIFF has no keys, so that GDAL alone reads them.
IN_WORDS = {
    "projected 3D in feet",
    "projected 3D without a code",
    "compound, geoid grid",
    "vertical",
    "engineering",
    "rotated pole",
    "no projection of GeoTIFF's",
    "Mars, west positive",
}
# Another order of axes than the kind of CRS has in a GeoTIFF: pixels stay where they are.
REORDERED = {"longitude first": wkt("OGC:CRS84"), "northing first, without a code": nameless(2193)}


@pytest.fixture
def pixels(tmp_path):
    return write(
        tmp_path / "pixels.tif",
        np.arange(600, dtype=np.uint16).reshape(1, 20, 30),
        crs=None,
        transform=None,
    )


def described(pixels, text, epoch=None, place="<GeoTransform>10,0.1,0,50,0,-0.1</GeoTransform>"):
    """A raster with any CRS."""
    path = pixels.with_suffix(".vrt")
    attribute = f' coordinateEpoch="{epoch}"' if epoch else ""
    srs = f"<SRS{attribute}>{escape(text)}</SRS>" if text else ""
    path.write_text(
        f'<VRTDataset rasterXSize="30" rasterYSize="20">{srs}{place}<VRTRasterBand'
        ' dataType="UInt16" band="1">'
        f"<SimpleSource><SourceFilename>{pixels}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
        ""
    )
    return str(path)


def written(source, profile="gtiff"):
    target = Path(source).with_suffix(".out")
    assemble(source, [], [], target, profile=profile, tags={})
    assert not target.with_name(f"{target.name}.aux.xml").exists()
    return target


def srs(path):
    """The CRS in GDAL's own words, which tell axes and epoch."""
    with rasterio.open(path) as dataset, MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT")
        return re.search("<SRS.*?</SRS>", bytes(memory.getbuffer()).decode())[0]


@pytest.mark.parametrize("profile", WRITERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_crs_comes_back(kind, profile, pixels):
    source = described(pixels, KINDS[kind])
    Scene.open(source)
    with rasterio.open(source) as before, rasterio.open(written(source, profile)) as after:
        assert before.crs == after.crs
        assert len(pyproj.CRS(before.crs).axis_info) == len(pyproj.CRS(after.crs).axis_info)
        assert before.read().tobytes() == after.read().tobytes()


@pytest.mark.parametrize("kind", REORDERED)
def test_the_order_of_axes_may_change_but_no_pixel_moves(kind, pixels):
    source = described(pixels, REORDERED[kind])
    with rasterio.open(source) as before, rasterio.open(written(source)) as after:
        assert before.crs != after.crs
        assert same_crs(before.crs, after.crs)
        assert before.transform == after.transform


@pytest.mark.parametrize("kind", ["geographic", "projected 3D", "time-dependent", "compound"])
def test_the_coordinate_epoch_comes_back(kind, pixels):
    source = described(pixels, KINDS[kind], epoch=2021.25)
    assert 'coordinateEpoch="2021.25"' in srs(source)
    assert 'coordinateEpoch="2021.25"' in srs(written(source))


def test_a_crs_that_is_written_in_words_keeps_its_epoch(pixels):
    source = described(pixels, KINDS["no projection of GeoTIFF's"], epoch=2021.25)
    assert b"EPOCH[2021.25]" in written(source).read_bytes()


@pytest.mark.parametrize("kind", ["projected 3D", "rotated pole"])
def test_the_crs_of_control_points_comes_back(kind, pixels):
    with rasterio.open(pixels, "r+") as dataset:
        points = [GroundControlPoint(r, c, 5e5 + c, 5e6 - r, 7.5) for r in (0, 19) for c in (0, 29)]
        dataset.gcps = (points, CRS.from_wkt(KINDS[kind]))
    with rasterio.open(pixels) as before:
        assert before.gcps[1] == CRS.from_wkt(KINDS[kind])
        with rasterio.open(written(str(pixels))) as after:
            assert before.gcps[1] == after.gcps[1]


def test_heights_above_the_ellipsoid_in_the_keys_of_geotiff_1_1(pixels):
    """As other software writes them: a projected CRS by its code, and that of a 3D CRS for the
    heights.
    """
    source = pixels.with_name("3d.tif")
    rasterio.shutil.copy(described(pixels, wkt("EPSG:32633+5773")), str(source), driver="GTiff")
    keys = {
        height: struct.pack("<8H", 3072, 0, 1, 32633, 4096, 0, 1, height) for height in (5773, 4979)
    }
    source.write_bytes(source.read_bytes().replace(keys[5773], keys[4979]))
    with rasterio.open(source) as before, rasterio.open(written(str(source))) as after:
        assert len(pyproj.CRS(before.crs).axis_info) == 3
        assert before.crs == after.crs
    assert keys[4979] in written(str(source)).read_bytes()


def test_what_other_readers_understand_is_preferred():
    for kind in set(KINDS) - {"compound with one code", "code of another"}:
        way = encode_crs(CRS.from_wkt(KINDS[kind]).to_wkt())
        in_words = way.change is not None and "ESRI PE String" in way.text
        assert in_words == (kind in IN_WORDS), kind


def test_a_crs_that_no_geotiff_holds_is_refused_before_any_work(pixels):
    source = described(
        pixels, wkt(ROTATED).replace('GEOGCRS["unnamed"', 'GEOGCRS["' + "n" * 2500 + '"', 1)
    )
    with pytest.raises(
        InputError, match=r"a GeoTIFF cannot hold \(n{60}\); assign another"
    ) as caught:
        Scene.open(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (None, None, True),
        (None, wkt(4326), False),
        (wkt(32633), wkt(32633, solid=True), False),
        (wkt(32633), wkt("EPSG:32633+5773"), False),
        (wkt(4326), wkt(4979), False),
        (wkt(4326), wkt("OGC:CRS84"), True),
        (wkt("IAU_2015:49900"), wkt("IAU_2015:49901"), False),
        (wkt(32633), nameless(32633), True),
        (wkt(32633), wkt(32634), False),
    ],
)
def test_the_same_crs(one, other, same):
    one, other = (crs and CRS.from_wkt(crs) for crs in (one, other))
    assert same_crs(one, other) == same_crs(other, one) == same


def test_keys_that_are_not_there_are_an_error(tmp_path, pixels):
    with pytest.raises(OSError, match="does not read as written"):
        change_keys(pixels, CrsEncoding("", ((4096, 0, 1, 5773), (4096, 0, 1, 4979))))
