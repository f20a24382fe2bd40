"""The finished file is the source, but for the restored pixels."""

import itertools
import resource
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine, from_origin

from geoae.errors import InputError, OutputError
from geoae.raster import geotiff
from geoae.raster.geotiff import COPY_CACHE, assemble
from geoae.raster.parts import Part
from geoae.raster.profiles import WRITERS
from tests.support.doubles import DTYPES
from tests.support.oracle import differences
from tests.support.rasters import SHARED

CRS = "EPSG:32633"
NORTH_UP = from_origin(499980, 5300040, 10, 10)
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

RPC = dict.fromkeys(
    (
        "LINE_OFF",
        "SAMP_OFF",
        "LAT_OFF",
        "LONG_OFF",
        "HEIGHT_OFF",
        "LINE_SCALE",
        "SAMP_SCALE",
        "LAT_SCALE",
        "LONG_SCALE",
        "HEIGHT_SCALE",
        "ERR_BIAS",
        "ERR_RAND",
    ),
    "0.5",
)
RPC |= {
    f"{axis}_{part}_COEFF": " ".join(["0.1"] * 20)
    for axis in ("LINE", "SAMP")
    for part in ("NUM", "DEN")
}
GCPS = [
    GroundControlPoint(r / 3, c / 7, 15 + c / 3e3, 48 - r / 7e3, 100.1, str(r), "")
    for r in (0, 91)
    for c in (0, 70)
]


def gcps(t):
    t.gcps = (GCPS, rasterio.crs.CRS.from_epsg(4326))


def domains(t):
    t.update_tags(A="1", B='ä < & "x"', TIFFTAG_DATETIME="2020:01:01 00:00:00")
    t.update_tags(ns="MY", C="x=y")
    t.update_tags(ns="IMD", version='"R"', numRows="3")
    t.update_tags(1, q="3", empty="")
    t.update_tags(2, q="é", r="a b")
    t.update_tags(2, ns="BAND_OWN", z="9")
    # A document with a declaration, as in the JPEG 2000 of Sentinel-2; rasterio cuts it at its
    # first "=".
    t.update_tags(ns="xml:GML", **{"<?xml version": '"1.0" encoding="UTF-8"?><a b="c">d</a>'})


def bands(t):
    t.descriptions, t.units = ("blue ä", None, "red"), ("DN", None, "m")
    t.scales, t.offsets = (1 / 3, 2.75e-05, 0.1 + 0.2), (-0.2, 1e-17, 1 / 7)


def half_mask(t):
    mask = np.zeros(t.shape, "uint8")
    mask[3:40, 5:] = 255
    t.write_mask(mask)


def alpha(t):
    t.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]


def odd_colours(t):
    t.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]


def palette(t):
    t.write_colormap(1, {i: (i, 255 - i, 7, 255) for i in range(256)})


# name: (creation options over the defaults, what to do with the open file)
RASTERS = {
    **{dtype: ({"dtype": dtype, "count": 2}, None) for dtype in DTYPES},
    "domains": ({}, domains),
    "bands": ({}, bands),
    "rpc": ({}, lambda t: t.update_tags(ns="RPC", **RPC)),
    "gcps": ({"crs": None, "transform": None}, gcps),
    "point": ({}, lambda t: t.update_tags(AREA_OR_POINT="Point")),
    "rotated": ({"transform": Affine(9, 2, 5e5 + 1 / 3, 3, -9, 5e6)}, None),
    "south_up": ({"transform": Affine(10, 0, 5e5, 0, 10, 5e6)}, None),
    "nowhere": ({"crs": None, "transform": None}, None),
    "nodata": ({"nodata": 65535}, None),
    "nodata_nan": ({"dtype": "float32", "nodata": float("nan")}, None),
    "nodata_lowest": ({"dtype": "float32", "nodata": float(np.finfo("float32").min)}, None),
    "nodata_int64": ({"dtype": "int64", "nodata": -(2**63) + 1}, None),
    "nodata_uint64": ({"dtype": "uint64", "nodata": 2**53}, None),
    "one_bit": ({"dtype": "uint8", "nbits": 1, "count": 1}, None),
    "twelve_bits": ({"nbits": 12}, None),
    "half_float": ({"dtype": "float32", "nbits": 16}, None),
    "mask": ({}, half_mask),
    "alpha": ({"count": 4}, alpha),
    "alpha_last_of_two": (
        {"count": 2},
        lambda t: setattr(t, "colorinterp", [ColorInterp.gray, ColorInterp.alpha]),
    ),
    "odd_colours": ({}, odd_colours),
    "palette": ({"dtype": "uint8", "count": 1}, palette),
    "ycbcr": (
        {
            "dtype": "uint8",
            "compress": "JPEG",
            "photometric": "YCBCR",
            "tiled": True,
            "blockxsize": 16,
            "blockysize": 16,
        },
        None,
    ),
    "one_pixel": ({"width": 1, "height": 1}, None),
    "one_row": ({"height": 1}, None),
}

ODD = (
    "gdal_gcore/byte_gcp.tif",
    "gdal_gcore/byte_inconsistent_georef.tif",
    "gdal_gcore/byte_nogeoref.tif",
    "gdal_gcore/byte_rpc.tif",
    "gdal_gcore/alos/IMG-md_alos.tif",
    "gdal_gcore/md_rdk1.tif",
    "gdal_gcore/negative_scaley.tif",
    "gdal_gcore/gtiff/byte_coord_epoch.tif",
    "gdal_gcore/gtiff/esri_geodataxform_no_resolutionunit.tif",
    "gdal_gcore/epsg26711_3855_geotiff1_1.tif",
    "gdal_gcore/float16.tif",
    "gdal_gcore/int10.tif",
    "gdal_gcore/oddsize_1bit2b.tif",
    "gdal_gcore/stats_nodata_posinf.tif",
    "gdal_gcore/float32_almost_nodata_max_float32.tif",
    "gdal_gcore/stefan_full_rgba.tif",
    "gdal_gcore/ycbcr_with_mask.tif",
    "gdal_gcore/test_with_mask_8bit.tif",
    "gdal_gcore/test_average_palette.tif",
    "gdal_gcore/uint64.tif",
    "gdal_gcore/int64.tif",
    "gdal_gcore/left_vrt_subpixel_offset.tif",
    "gdal_gdrivers/gtiff/byte_with_xmp.tif",
    "gdal_gdrivers/isis3/isis3_geotiff.tif",
    "rasterio/RGB2.byte.tif",
    "rio_cogeo/dataset_namespace_metadata.tif",
    "rio_tiler/cog_gcps_ovr.tif",
    "rio_tiler/cog_hirise_mars.tif",
    "rio_tiler/cog_nodata_nan.tif",
    "rio_tiler/cog_rgb_mask.tif",
    "rio_tiler/cog_cmap.tif",
    "shareloc/left_image_shear.tif",
)


def make(path, *, height=61, width=50, count=3, dtype="uint16", touch=None, **options):
    profile = {"driver": "GTiff", "crs": CRS, "transform": NORTH_UP} | options
    rng = np.random.default_rng(7)
    if dtype.startswith("float"):
        pixels = rng.normal(0, 10, (count, height, width)).astype("float16").astype(dtype)
    else:
        top = 2 ** options["nbits"] if "nbits" in options else np.iinfo(dtype).max
        pixels = rng.integers(np.iinfo(dtype).min, top, (count, height, width), dtype)
    if options.get("nodata") is not None:
        pixels[:, 2:9, 4:30] = options["nodata"]
    with rasterio.open(
        path, "w", height=height, width=width, count=count, dtype=dtype, **profile
    ) as t:
        if touch is palette:
            palette(t)
        t.write(pixels)
        if touch not in (None, palette):
            touch(t)
    return str(path)


def cut(source, folder, slabs, bands=None):
    """Slabs of odd height, as the engine leaves them."""
    with rasterio.open(source) as t:
        bands = bands or t.indexes
        cuts = sorted(
            {0, t.height, *(min(t.height, t.height * i // slabs | 1) for i in range(1, slabs))}
        )
        parts = [Part(folder / f"slab-{a}.tif", a, b - a) for a, b in itertools.pairwise(cuts)]
        for part in parts:
            rows = t.read(bands)[:, part.row : part.row + part.height]
            shape = {
                "height": part.height,
                "width": t.width,
                "count": len(bands),
                "dtype": t.dtypes[0],
            }
            with rasterio.open(part.path, "w", driver="GTiff", **shape) as out:
                out.write(rows)
    return parts


def check_identity(source, folder, profile, slabs):
    target = folder / "out.tif.part"
    with rasterio.open(source) as before:
        every = before.indexes
    assemble(
        source,
        cut(source, folder, slabs),
        every,
        target,
        profile=profile,
        tags={"FINGERPRINT": "a1 é"},
    )
    assert differences(source, target) == []
    with rasterio.open(target) as after:
        assert after.tags(ns="GEOAE") == {"FINGERPRINT": "a1 é"}
        assert after.compression.name == "zstd"
        assert "KNOWN_INCOMPATIBLE_EDITION" not in str(after.tags(ns="IMAGE_STRUCTURE"))
        assert (after.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG") == (profile == "cog")
    assert not [path.name for path in folder.glob("out*") if path != target]


@pytest.mark.parametrize("profile", WRITERS)
@pytest.mark.parametrize("name", RASTERS)
def test_everything_survives(name, profile, tmp_path):
    options, touch = RASTERS[name]
    source = make(tmp_path / "source.tif", touch=touch, **options)
    check_identity(source, tmp_path, profile, 1 + len(name) % 4)


@pytest.mark.parametrize("name", ODD)
def test_odd_files_survive_in_a_plain_geotiff(name, tmp_path):
    """As a COG all of them do, see ``contracts/test_odd.py``."""
    source = SHARED / "odd" / name
    if not source.exists():
        pytest.skip(f"{source} is not here")
    check_identity(str(source), tmp_path, "gtiff", 1 + len(name) % 4)


def test_only_restored_bands_change(tmp_path):
    source = make(
        tmp_path / "source.tif",
        touch=lambda t: [t.update_tags(b, STATISTICS_MEAN="5", KEEP="1") for b in (1, 2, 3)],
    )
    parts = cut(source, tmp_path, 3, bands=[3, 1])
    for part in parts:
        with rasterio.open(part.path, "r+") as t:
            t.write(t.read() // 2)
    target = tmp_path / "out.tif.part"
    assemble(source, parts, [3, 1], target, profile="cog", tags={})
    with rasterio.open(source) as before, rasterio.open(target) as after:
        for band, factor in ((1, 2), (2, 1), (3, 2)):
            np.testing.assert_array_equal(after.read(band), before.read(band) // factor)
        assert after.tags(1) == after.tags(3) == {"KEEP": "1"}
        assert after.tags(2) == {"KEEP": "1", "STATISTICS_MEAN": "5"}


def test_a_second_run_replaces_the_tags_of_the_first(tmp_path):
    source = make(tmp_path / "source.tif", touch=lambda t: t.update_tags(ns="GEOAE", OLD="1"))
    assemble(
        source,
        cut(source, tmp_path, 1),
        [1, 2, 3],
        tmp_path / "out.part",
        profile="cog",
        tags={"NEW": "2"},
    )
    with rasterio.open(tmp_path / "out.part") as t:
        assert t.tags(ns="GEOAE") == {"NEW": "2"}


def test_sidecars_end_up_inside(tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"):
        source = make(tmp_path / "source.tif", crs=None, transform=None, touch=half_mask)
    (tmp_path / "source.tfw").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    (tmp_path / "source.tif.aux.xml").write_text(
        f"<PAMDataset><SRS>{rasterio.crs.CRS.from_epsg(32633).to_wkt()}</SRS></PAMDataset>".replace(
            '"', "&quot;"
        )
    )
    assert (tmp_path / "source.tif.msk").exists()
    target = tmp_path / "elsewhere" / "out.tif.part"
    target.parent.mkdir()
    assemble(source, cut(source, tmp_path, 2), [1, 2, 3], target, profile="cog", tags={})
    with rasterio.open(source) as before, rasterio.open(target) as after:
        assert (
            (after.crs, after.transform)
            == (before.crs, before.transform)
            == (CRS, from_origin(5e5, 5e6, 10, 10))
        )
        np.testing.assert_array_equal(after.dataset_mask(), before.dataset_mask())
        assert after.files == [str(target)]


@pytest.mark.parametrize(
    "where", ["zip://{}!a/source.tif", "/vsizip/{}/a/source.tif", "<VRT of {}>", "a.vrt"]
)
def test_sources_that_are_no_plain_file(where, tmp_path):
    plain = make(tmp_path / "source.tif", touch=bands)
    with zipfile.ZipFile(tmp_path / "scene.zip", "w") as archive:
        archive.write(plain, "a/source.tif")
    source = where.format(tmp_path / "scene.zip")
    if "vrt" in where.lower():
        rasterio.shutil.copy(plain, str(tmp_path / "a.vrt"), driver="VRT")
        source = str(tmp_path / "a.vrt")
    if where.startswith("<"):
        source = (
            (tmp_path / "a.vrt")
            .read_text()
            .replace('relativeToVRT="1">source.tif', f'relativeToVRT="0">{plain}')
        )
    parts = cut(source, tmp_path, 2, bands=[1, 2])
    assemble(source, parts, [1, 2], tmp_path / "out.part", profile="gtiff", tags={})
    with rasterio.open(plain) as before, rasterio.open(tmp_path / "out.part") as after:
        np.testing.assert_array_equal(after.read(), before.read())
        assert after.descriptions == before.descriptions


@pytest.mark.parametrize(
    "where",
    [
        "vrt://{}/a.tif?bands=3,2,1",
        "vrt://{}/a.tif?bands=2,3&srcwin=5,6,30,40",
        "vrt://{}/a.tif?outsize=25,30",
        "vrt:///vsizip/{}/a.zip/a.tif?bands=3,1",
        "vrt://vrt://{}/a.tif?bands=3,2,1?bands=1,2",
        "GTIFF_DIR:2:{}/pages.tif",
        "DERIVED_SUBDATASET:LOGAMPLITUDE:{}/a.tif",
        "zip:{}/a.zip!a.tif",
        "file:{}/a.tif",
    ],
)
def test_copied_bands_and_masks_come_from_the_opened_view(where, tmp_path):
    """Of each name all bands but the first are copied, read by GDAL under the name that it
    knows.
    """
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"):
        plain = make(tmp_path / "a.tif", touch=half_mask)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(plain, "a.tif")
    make(tmp_path / "pages.tif")
    make(tmp_path / "pages.tif", height=30, width=20, count=2, APPEND_SUBDATASET="YES")
    source = where.format(tmp_path)
    assemble(
        source,
        cut(source, tmp_path, 2, bands=[1]),
        [1],
        tmp_path / "out.part",
        profile="gtiff",
        tags={},
    )
    with rasterio.open(source) as before, rasterio.open(tmp_path / "out.part") as after:
        np.testing.assert_array_equal(after.read(), before.read())
        np.testing.assert_array_equal(after.dataset_mask(), before.dataset_mask())


@pytest.mark.parametrize(
    ("dtype", "touch"), [("uint16", None), ("uint16", half_mask), ("uint8", palette)]
)
def test_overviews(dtype, touch, tmp_path):
    source = make(
        tmp_path / "source.tif", height=1300, width=1200, count=1, dtype=dtype, touch=touch
    )
    with rasterio.open(source, "r+") as t:
        t.build_overviews([8])  # stale ones must not be taken over
    check_identity(source, tmp_path, "cog", 3)
    with rasterio.open(tmp_path / "out.tif.part") as t:
        assert t.overviews(1) == [2, 4]
        assert t.block_shapes == [(512, 512)]
        full, half = t.read(1), t.read(1, out_shape=(650, 600))
    if touch is palette:
        assert {tuple(c) for c in np.stack([half[:9, :9].ravel()], 1)} <= {
            (v,) for v in full[:20, :20].ravel()
        }
    if touch is None:
        np.testing.assert_allclose(half[5, 5], full[10:12, 10:12].mean(), atol=1)


@pytest.mark.parametrize("profile", WRITERS)
def test_what_cannot_be_written_in_full_is_an_error_and_gone(profile, tmp_path):
    source = make(tmp_path / "source.tif", height=600, width=700, touch=domains)
    parts = cut(source, tmp_path, 1)
    target = tmp_path / "out.tif.part"
    assemble(source, parts, [1, 2, 3], target, profile=profile, tags={})
    full = target.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (100, full // 3, full * 9 // 10, full - 20000, full - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            with pytest.raises(
                OutputError, match=r"out\.tif\.part: cannot be written .*free disk space"
            ):
                assemble(source, parts, [1, 2, 3], target, profile=profile, tags={})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("profile", WRITERS)
@pytest.mark.parametrize("restored", [[1, 2, 3], []])
def test_blocks_that_are_not_there_are_an_error(profile, restored, tmp_path, monkeypatch):
    """GDAL may return as if all were well; what it could not write then reads as zeros."""
    source = make(tmp_path / "source.tif", height=600, width=700)
    parts = cut(source, tmp_path, 1)
    copy = rasterio.shutil.copy

    def lossy(recipe, target, **options):
        copy(recipe, target, **options)
        if options["driver"] != "VRT":
            with rasterio.open(target, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as t:
                t.write(np.zeros((3, 2, 2), t.dtypes[0]), window=((550, 552), (600, 602)))

    monkeypatch.setattr(rasterio.shutil, "copy", lossy)
    with pytest.raises(OutputError, match="do not read as written"):
        assemble(source, parts, restored, tmp_path / "out.tif.part", profile=profile, tags={})
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(("restored", "most"), [([1, 2, 3], COPY_CACHE), ([3, 1], None)])
def test_a_copy_of_few_bands_from_parts_alone_takes_a_small_cache(
    restored, most, tmp_path, monkeypatch
):
    taken = []
    monkeypatch.setattr(geotiff, "small_block_cache", lambda most: nullcontext(taken.append(most)))
    source = make(tmp_path / "source.tif")
    parts = cut(source, tmp_path, 1, bands=restored)
    assemble(source, parts, restored, tmp_path / "out.tif.part", profile="cog", tags={})
    assert taken == [most]


@pytest.mark.parametrize(("bits", "kind"), [(12, "uint16"), (16, "float32")])
def test_packed_files_hold_what_their_bits_can(bits, kind, tmp_path):
    source = make(tmp_path / "source.tif", dtype=kind, nbits=bits)
    parts = cut(source, tmp_path, 1)
    with rasterio.open(parts[0].path, "r+") as t:
        t.write(np.full((3, *t.shape), 4100.7, kind))
    assemble(source, parts, [1, 2, 3], tmp_path / "out.part", profile="gtiff", tags={})
    with rasterio.open(tmp_path / "out.part") as t:
        assert np.abs(t.read() - {"uint16": 4095, "float32": 4100.7}[kind]).max() < 4


def test_a_folder_that_is_not_there(tmp_path):
    source = make(tmp_path / "source.tif")
    with pytest.raises(OutputError, match="cannot be written"):
        assemble(
            source,
            cut(source, tmp_path, 1),
            [1, 2, 3],
            tmp_path / "no" / "out.part",
            profile="cog",
            tags={},
        )


def test_a_folder_that_cannot_be_written(tmp_path):
    source = make(tmp_path / "source.tif")
    parts = cut(source, tmp_path, 1)
    # a mode would not stop root
    (tmp_path / "closed").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        assemble(source, parts, [1, 2, 3], tmp_path / "closed" / "out.part", profile="cog", tags={})


def test_a_source_that_went_away(tmp_path):
    with pytest.raises(InputError, match=r"gone\.tif: cannot be opened"):
        assemble(str(tmp_path / "gone.tif"), [], [1], tmp_path / "out.part", profile="cog", tags={})
