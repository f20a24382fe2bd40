import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from geoae.audit.metadata import first_difference
from tests.support.rasters import UTM, texture, write

PIXELS = texture(2, 40, 50).astype(np.uint16)
GCPS = [
    GroundControlPoint(r, c, 15 + c / 3e3, 48 - r / 7e3, 100.1) for r in (0, 39) for c in (0, 49)
]
RPCS = {
    "LINE_OFF": "20",
    "LINE_SCALE": "20",
    "SAMP_OFF": "25",
    "SAMP_SCALE": "25",
    "LAT_OFF": "48",
    "LAT_SCALE": "1",
}
RPCS |= {"LONG_OFF": "15", "LONG_SCALE": "1", "HEIGHT_OFF": "0", "HEIGHT_SCALE": "500"}
RPCS |= {
    f"{axis}_{part}_COEFF": " ".join(["0.1"] * 20)
    for axis in ("LINE", "SAMP")
    for part in ("NUM", "DEN")
}


def dressed(path, *changes, **profile):
    """A raster that says much of itself; ``changes`` are made after that."""
    with rasterio.open(write(path, PIXELS, nodata=0, **profile), "r+") as dataset:
        dataset.descriptions, dataset.units = ("blue", None), ("DN", None)
        dataset.scales, dataset.offsets = (1e-4, 1.0), (-0.1, 0.0)
        dataset.update_tags(SENSOR="made", PLACE="Besançon")
        dataset.update_tags(1, WAVELENGTH="490")
        dataset.update_tags(ns="MISSION", ORBIT="42")
        dataset.update_tags(ns="RPC", **RPCS)
        for change in changes:
            change(dataset)
    return path


def difference(old, new):
    with rasterio.open(old) as one, rasterio.open(new) as other:
        return first_difference(one, other)


@pytest.fixture
def old(tmp_path):
    return dressed(tmp_path / "old.tif")


def test_what_is_the_same_does_not_differ(old, tmp_path):
    assert difference(old, dressed(tmp_path / "new.tif")) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: setattr(d, "crs", "EPSG:32634"), "CRS (EPSG:32634 for EPSG:32633)"),
        (
            lambda d: setattr(d, "transform", d.transform @ Affine.translation(0.01, 0)),
            "transform (",
        ),
        (lambda d: setattr(d, "nodata", 7), "nodata (['7.0', '7.0'] for ['0.0', '0.0'])"),
        (
            lambda d: d.set_band_description(1, "red"),
            "band names (('red', None) for ('blue', None))",
        ),
        (lambda d: d.set_band_unit(1, "m"), "units ("),
        (lambda d: setattr(d, "scales", (1e-4, 2.0)), "scales ("),
        (lambda d: setattr(d, "offsets", (-0.1, 0.1)), "offsets ("),
        (
            lambda d: setattr(d, "colorinterp", [ColorInterp.gray, ColorInterp.alpha]),
            "colour interpretation (",
        ),
        (lambda d: d.update_tags(SENSOR="other"), "the tag SENSOR (other for made)"),
        (lambda d: d.update_tags(PLACE="Besanon"), "the tag PLACE (Besanon for Besançon)"),
        (lambda d: d.update_tags(ns="MISSION", ORBIT="43"), "the tag MISSION ORBIT (43 for 42)"),
        (
            lambda d: d.update_tags(1, WAVELENGTH="665"),
            "the tag WAVELENGTH of band 1 (665 for 490)",
        ),
        (lambda d: d.update_tags(ns="RPC", LAT_OFF="49"), "RPCs ("),
        (lambda d: d.write_mask(np.full(d.shape, 255, np.uint8)), "kinds of masks ("),
    ],
)
def test_what_is_said_otherwise_is_told(old, tmp_path, change, said):
    found = difference(old, dressed(tmp_path / "new.tif", change))
    assert found.startswith(said)
    assert len(found) < 250


@pytest.mark.parametrize("domain", [None, "MISSION"])
def test_a_lost_tag_is_told(tmp_path, domain):
    old = dressed(tmp_path / "old.tif", lambda d: d.update_tags(ns=domain, LATER="added"))
    name = "LATER" if domain is None else f"{domain} LATER"
    assert difference(old, dressed(tmp_path / "new.tif")) == f"the tag {name} (None for added)"


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 49},
        {"count": 1},
        {"dtype": "int16"},
    ],
)
def test_another_shape_or_type_is_told(tmp_path, changes):
    shape = {"height": 40, "width": 50, "count": 2, "dtype": "uint16"}
    for name, more in (("old.tif", {}), ("new.tif", changes)):
        with rasterio.open(tmp_path / name, "w", driver="GTiff", **UTM, **shape | more):
            pass
    said = {"width": "size", "count": "number of bands", "dtype": "data type"}[next(iter(changes))]
    assert difference(tmp_path / "old.tif", tmp_path / "new.tif").startswith(f"{said} (")


def test_gcps_and_their_crs_are_compared(tmp_path):
    def placed(crs, gcps):
        return lambda d: setattr(d, "gcps", (gcps, rasterio.crs.CRS.from_user_input(crs)))

    nowhere = {"crs": None, "transform": None}
    old = dressed(tmp_path / "old.tif", placed("EPSG:4326", GCPS), **nowhere)
    assert (
        difference(old, dressed(tmp_path / "same.tif", placed("EPSG:4326", GCPS), **nowhere))
        is None
    )
    moved = [*GCPS[:3], GroundControlPoint(39, 49, 16, 48, 100.1)]
    assert difference(
        old, dressed(tmp_path / "moved.tif", placed("EPSG:4326", moved), **nowhere)
    ).startswith("GCPs (")
    other = difference(old, dressed(tmp_path / "other.tif", placed("EPSG:4258", GCPS), **nowhere))
    assert other.startswith("CRS of GCPs (EPSG:4258")


def test_a_colour_table_is_compared(tmp_path):
    for name, green in (("old.tif", 1), ("new.tif", 2)):
        path = write(tmp_path / name, PIXELS[:1].astype(np.uint8), photometric="palette")
        with rasterio.open(path, "r+") as dataset:
            dataset.write_colormap(1, {value: (value, green, 0, 255) for value in range(256)})
    assert difference(tmp_path / "old.tif", tmp_path / "new.tif").startswith("colour tables (")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update_tags(AREA_OR_POINT="Area"),
        lambda d: d.update_tags(MORE="1"),
        lambda d: d.update_tags(ns="GEOAE", FINGERPRINT="x"),
        lambda d: d.update_tags(ns="RPC", LAT_OFF="+4.8e1"),
        lambda d: setattr(d, "transform", d.transform @ Affine.translation(1e-9, -1e-9)),
    ],
)
def test_what_may_differ(old, tmp_path, change):
    assert difference(old, dressed(tmp_path / "new.tif", change)) is None


def test_what_may_be_missing(tmp_path):
    def more(dataset):
        dataset.update_tags(TIFFTAG_ARTIST="them", STATISTICS_MEAN="4", EMPTY="")
        dataset.update_tags(1, STATISTICS_MEAN="4")
        dataset.update_tags(ns="GEOAE", FINGERPRINT="an earlier one")
        dataset.offsets = (float("nan"), -0.0)

    def same(dataset):
        dataset.offsets = (float("nan"), 0.0)

    assert (
        difference(dressed(tmp_path / "old.tif", more), dressed(tmp_path / "new.tif", same)) is None
    )


def test_documents_are_compared_by_their_words(tmp_path):
    def document(text):
        head, tail = text.split("=", 1)
        return lambda d: d.update_tags(ns="xml:GML", **{head: tail})

    old = dressed(tmp_path / "old.tif", document('<?xml version="1.0"?>\n<a b="c">  <d>e</d></a>'))
    assert (
        difference(old, dressed(tmp_path / "same.tif", document('<a b="c"><d>e</d></a>'))) is None
    )
    assert difference(
        old, dressed(tmp_path / "other.tif", document('<a b="c"><d>f</d></a>'))
    ).startswith("the tag xml")


def test_text_that_is_damaged_in_the_source_is_not_compared(tmp_path):
    old = dressed(tmp_path / "old.tif", lambda d: d.set_band_unit(1, "caff"))
    old.write_bytes(old.read_bytes().replace(b"caff", b"caf\xe9"))
    assert (
        difference(old, dressed(tmp_path / "new.tif", lambda d: d.set_band_unit(1, "caf?"))) is None
    )
