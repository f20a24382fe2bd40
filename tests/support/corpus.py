"""Odd rasters that a night's archive holds and ``../shared/odd`` does not: each made by a function.

``RIGHT`` come back as they were; ``REFUSED`` end with one line that has the words given beside
them.
"""

import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from tests.support.doubles import pixels_of
from tests.support.rasters import UTM, write

Maker = Callable[[Path], str]
NOWHERE: dict[str, Any] = {"crs": None, "transform": None}


def plain(
    folder: Path,
    name: str = "in.tif",
    shape: tuple[int, ...] = (2, 40, 50),
    dtype: str = "uint16",
    **options: Any,
) -> Path:
    return write(folder / name, pixels_of(dtype, shape), **options)


def made(shape: tuple[int, ...] = (2, 40, 50), dtype: str = "uint16", **options: Any) -> Maker:
    return lambda folder: str(plain(folder, shape=shape, dtype=dtype, **options))


def named(name: str) -> Maker:
    return lambda folder: str(plain(folder, name))


def touched(touch: Callable[[rasterio.io.DatasetWriter], object], **options: Any) -> Maker:
    def make(folder: Path) -> str:
        path = plain(folder, **options)
        with rasterio.open(path, "r+") as dataset:
            touch(dataset)
        return str(path)

    return make


def patched(old: bytes, new: bytes, **options: Any) -> Callable[..., str]:
    """A file in which bytes that GDAL would not write take the place of ``old``."""
    assert len(old) == len(new)

    def make(folder: Path, path: Path | str | None = None) -> str:
        path = Path(path or plain(folder, **options))
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))
        return str(path)

    return make


def beside(suffix: str, content: str, **options: Any) -> Maker:
    """A file with a sidecar."""

    def make(folder: Path) -> str:
        path = plain(folder, **options)
        path.with_name(path.name + suffix).write_text(content)
        return str(path)

    return make


def values(*some: float, dtype: str, **options: Any) -> Maker:
    """Hills with ``some`` values in them, at the beginning."""

    def make(folder: Path) -> str:
        pixels = np.random.default_rng(0).normal(100, 20, (1, 60, 70)).astype(dtype)
        pixels.flat[: len(some)] = some
        return str(write(folder / "in.tif", pixels, **options))

    return make


def vrt(body: str, size: tuple[int, int] = (50, 40), name: str = "in.vrt") -> Maker:
    def make(folder: Path) -> str:
        plain(folder, "a.tif")
        plain(folder, "b.tif", dtype="float32")
        path = folder / name
        path.write_text(
            f'<VRTDataset rasterXSize="{size[0]}" rasterYSize="{size[1]}">{body}</VRTDataset>'
        )
        return str(path)

    return make


def vrt_band(
    band: int,
    source: str = "a.tif",
    dtype: str = "UInt16",
    inside: str = "",
    size: tuple[int, int] = (50, 40),
) -> str:
    rect = f'xOff="0" yOff="0" xSize="{size[0]}" ySize="{size[1]}"'
    return (
        f'<VRTRasterBand dataType="{dtype}" band="{band}">{inside}<SimpleSource><SourceFilename'
        f' relativeToVRT="1">{source}</SourceFilename><SourceBand>1</SourceBand><SrcRect'
        f" {rect}/><DstRect {rect}/></SimpleSource></VRTRasterBand>"
    )


def masked(same: bool) -> Maker:
    """Masks of the bands in a sidecar, of one content or of two."""

    def make(folder: Path) -> str:
        path = plain(folder)
        mask = np.full((2, 40, 50), 255, np.uint8)
        mask[0, 3:9] = 0
        mask[1, 3 : 9 if same else 10] = 0
        sidecar = write(folder / "mask.tif", mask, **NOWHERE)
        with rasterio.open(sidecar, "r+") as dataset:
            dataset.update_tags(INTERNAL_MASK_FLAGS_1="0", INTERNAL_MASK_FLAGS_2="0")
        sidecar.rename(path.with_name("in.tif.msk"))
        return str(path)

    return make


def premultiplied(folder: Path) -> str:
    pixels = pixels_of("uint8", (4, 30, 30))
    pixels[3] = np.where(pixels[3] < 99, 0, 255)
    return str(write(folder / "in.tif", pixels, photometric="RGB", alpha="PREMULTIPLIED"))


def zipped(folder: Path) -> str:
    path = plain(folder)
    with zipfile.ZipFile(folder / "scene.zip", "w") as archive:
        archive.write(path, "a/in.tif")
    return f"/vsizip/{folder}/scene.zip/a/in.tif"


def sparse(folder: Path) -> str:
    """Blocks that were never written: zeros, or nodata."""
    path = folder / "in.tif"
    profile = {
        "driver": "GTiff",
        "height": 700,
        "width": 700,
        "count": 2,
        "dtype": "int16",
        "nodata": -5,
        **UTM,
    }
    with rasterio.open(
        path, "w", tiled=True, blockxsize=64, blockysize=64, sparse_ok=True, **profile
    ) as dataset:
        dataset.write(np.ones((2, 64, 64), np.int16), window=((64, 128), (128, 192)))
    assert path.stat().st_size < 60_000
    return str(path)


def of_two_pages(folder: Path) -> str:
    with (
        rasterio.open(plain(folder), "r") as first,
        rasterio.open(
            folder / "in.tif",
            "w",
            driver="GTiff",
            APPEND_SUBDATASET="YES",
            **UTM,
            height=9,
            width=9,
            count=1,
            dtype="uint8",
        ) as second,
    ):
        assert first.count
        second.write(np.ones((1, 9, 9), np.uint8))
    return f"GTIFF_DIR:1:{folder}/in.tif"


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "in.tif")
    return str(folder / "in.tif")


def listener(folder: Path) -> str:
    with socket.socket(socket.AF_UNIX) as made, socket.socket(socket.AF_UNIX):
        made.bind(str(folder / "s"))
    return str(folder / "s")


def text(folder: Path) -> str:
    (folder / "in.tif").write_text("not a raster\n")
    return str(folder / "in.tif")


def empty(folder: Path) -> str:
    (folder / "in.tif").touch()
    return str(folder / "in.tif")


def header_only(folder: Path) -> str:
    (folder / "in.tif").write_bytes(plain(folder).read_bytes()[:8])
    return str(folder / "in.tif")


def linked(folder: Path) -> str:
    plain(folder, "real.tif")
    (folder / "in.tif").symlink_to("real.tif")
    return str(folder / "in.tif")


def dangling(folder: Path) -> str:
    (folder / "in.tif").symlink_to("gone.tif")
    return str(folder / "in.tif")


def circular(folder: Path) -> str:
    (folder / "in.tif").symlink_to("in.tif")
    return str(folder / "in.tif")


def not_utf8(folder: Path) -> str:
    path = folder / os.fsdecode(b"caf\xe9.tif")
    plain(folder).rename(path)
    return str(path)


def declared(width: int, height: int, **options: Any) -> Maker:
    """A sparse file that declares much and holds nothing."""

    def make(folder: Path) -> str:
        profile = {
            "driver": "GTiff",
            "width": width,
            "height": height,
            "count": 1,
            "dtype": "uint8",
            "sparse_ok": True,
        }
        with rasterio.open(folder / "in.tif", "w", **profile, **options):
            pass
        return str(folder / "in.tif")

    return make


def complex_numbers(dtype: str) -> Maker:
    def make(folder: Path) -> str:
        path = folder / "in.tif"
        with rasterio.open(
            path, "w", driver="GTiff", height=9, width=9, count=1, dtype=dtype, **UTM
        ) as dataset:
            dataset.write(np.ones((1, 9, 9), np.complex64))
        return str(path)

    return make


def half_a_vrt(folder: Path) -> str:
    path = Path(vrt(vrt_band(1))(folder))
    path.write_text(path.read_text()[:200])
    return str(path)


def names_and_tags(dataset: rasterio.io.DatasetWriter) -> None:
    dataset.descriptions = ("a\nb <&> \"c' \t é 😀", "x" * 5000)
    dataset.units = ("µm²/sr", " ")
    dataset.update_tags(
        **{"a key": "v", "k": "a=b=c", "long": "y" * 100_000, "json": '{"a": [1, 2]}', "blank": " "}
    )
    dataset.update_tags(ns="a b/c", k="1")
    dataset.update_tags(1, ns="é", k="ä\nö")


def both_kinds_of_points(dataset: rasterio.io.DatasetWriter) -> None:
    points = [
        GroundControlPoint(r, c, 14 + c / 1e3, 50 - r / 1e3, 7.25, f"p {r}", "")
        for r in (0, 39)
        for c in (0, 49)
    ]
    dataset.gcps = (points, rasterio.crs.CRS.from_epsg(4326))


AUX = (
    "<PAMDataset><Metadata><MDI key='A'>b</MDI></Metadata><Metadata domain='D E'><MDI"
    " key='f'>g</MDI></Metadata>"
)
AUX += (
    "<PAMRasterBand band='2'><Description>from the"
    " sidecar</Description><UnitType>m</UnitType><Offset>0.1</Offset>"
)
AUX += (
    "<Scale>3</Scale><Metadata><MDI key='STATISTICS_MEAN'>5</MDI><MDI"
    " key='own'>6</MDI></Metadata></PAMRasterBand></PAMDataset>"
)
NODATA = "<NoDataValue>{}</NoDataValue>"

RIGHT: dict[str, Maker] = {
    **{
        f"nodata {n} of {d}": made(dtype=d, nodata=n)
        for d, n in (
            ("int64", -(2**63)),
            ("int8", -128),
            ("uint32", 2**32 - 1),
            ("float64", float("-inf")),
            ("float32", float("nan")),
        )
    },
    **{
        f"nodata {new.decode()} of uint8": patched(b"100\0", new + b"\0", dtype="uint8", nodata=100)
        for new in (b"-99", b"999", b"nan", b"inf", b"1.5")
    },
    "half floats": values(1.5, -2.0, 0.0, dtype="float32", nbits=16),
    "24-bit floats": values(1.5, -2.0, 0.0, dtype="float32", nbits=24),
    **{
        f"{bits} bits": lambda folder, bits=bits: str(
            write(
                folder / "in.tif",
                np.arange(90, dtype="uint16").reshape(1, 9, 10) % 2**bits,
                nbits=bits,
            )
        )
        for bits in (2, 5, 9, 13)
    },
    "BigTIFF": made(bigtiff="YES"),
    "big-endian": made(endianness="BIG"),
    "planes": made(interleave="band", compress="lzw"),
    "CMYK": made(shape=(4, 30, 30), dtype="uint8", photometric="CMYK"),
    "CIELab": made(shape=(3, 30, 30), dtype="uint8", photometric="CIELAB"),
    "YCbCr": made(
        shape=(3, 64, 64), dtype="uint8", photometric="YCBCR", compress="jpeg", jpeg_quality=40
    ),
    "min is white": made(shape=(1, 30, 30), dtype="uint8", photometric="MINISWHITE"),
    "premultiplied alpha": premultiplied,
    **{
        c: made(compress=c, tiled=True, blockxsize=16, blockysize=16)
        for c in ("lzw", "deflate", "zstd", "packbits", "lzma", "lerc", "lerc_zstd")
    },
    "webp": made(shape=(3, 40, 40), dtype="uint8", compress="webp", webp_lossless=True),
    "one row": made(shape=(1, 1, 30_000)),
    "one column": made(shape=(1, 30_000, 1)),
    "one pixel of 60 bands": made(shape=(60, 1, 1)),
    "south-up": made(transform=Affine(10, 0, 5e5, 0, 10, 5e6)),
    "mirrored": made(transform=Affine(-10, 0, 5e5, 0, -10, 5e6)),
    "rotated": made(transform=Affine(0, 10, 5e5, 10, 0, 5e6)),
    "of no extent": made(transform=Affine(0, 0, 5e5, 0, 0, 5e6)),
    "a CRS and no transform": made(transform=None),
    "a transform and no CRS": made(crs=None),
    "nowhere": made(**NOWHERE),
    "Point without a CRS": touched(lambda d: d.update_tags(AREA_OR_POINT="Point"), crs=None),
    "a local CRS": made(crs='LOCAL_CS["plot",UNIT["metre",1]]'),
    "points on the ground": touched(both_kinds_of_points, **NOWHERE),
    "names and tags": touched(names_and_tags),
    "scale of 0 and offset of 1e300": touched(
        lambda d: (setattr(d, "scales", (0.0, 1e-300)), setattr(d, "offsets", (1e300, -0.0)))
    ),
    "undefined colours": touched(lambda d: setattr(d, "colorinterp", [ColorInterp.undefined] * 2)),
    "colours that are none of TIFF's": touched(
        lambda d: setattr(d, "colorinterp", [ColorInterp.hue, ColorInterp.Y])
    ),
    "a mask beside it, of each band": masked(same=True),
    "tags beside it": beside(".aux.xml", AUX),
    "rubbish beside it": beside(".aux.xml", "<PAMDataset><"),
    "overviews beside it that are none": beside(".ovr", "rubbish"),
    "tags that are no XML": lambda folder: patched(b"<Item name=", b"<Item<name=")(
        folder, touched(lambda d: d.update_tags(A="1"))(folder)
    ),
    "sparse": sparse,
    "in an archive": zipped,
    "a page of two": of_two_pages,
    "a link": linked,
    "a VRT": vrt(vrt_band(1) + vrt_band(2)),
    "a VRT with holes": vrt(vrt_band(1, size=(30, 20), inside=NODATA.format(77))),
    "infinities": values(np.inf, -np.inf, np.nan, -0.0, 0.0, dtype="float32"),
    "beyond float32": values(1e300, -1.7976931348623157e308, 5e-324, 1e-310, dtype="float64"),
    "undeclared lowest": values(*[-3.4028234663852886e38] * 99, dtype="float32"),
    "nothing but tiny": lambda folder: str(
        write(folder / "in.tif", np.full((2, 20, 20), 3e-320) * np.arange(20))
    ),
    "nothing but vast": lambda folder: str(
        write(folder / "in.tif", np.full((2, 20, 20), 3e200) * np.arange(20))
    ),
    "nothing but NaN": lambda folder: str(
        write(folder / "in.tif", np.full((2, 20, 20), np.nan, np.float32))
    ),
    **{
        f"named {name!r}": named(name)
        for name in (
            "a b.tif",
            "a#b.tif",
            "a?b.tif",
            "a%20b.tif",
            "a'b\".tif",
            "a\nb.tif",
            "a\tb.tif",
            "a&<b>.tif",
            "a;b|c.tif",
            "é😀.tif",
            "a:b.tif",
            ".tif",
            "in",
            "in.dat",
            "in.tif.part",
            "(1).tif",
            "[x].tif",
            "a\\b.tif",
            "$HOME.tif",
            "~.tif",
            "-o.tif",
            "a,b.tif",
            "a=b.tif",
        )
    },
}

REFUSED: dict[str, tuple[Maker, str]] = {
    "a pipe": (pipe, "is a pipe or a device"),
    "a device": (lambda folder: "/dev/zero", "is a pipe or a device"),
    "a socket": (listener, "is a pipe or a device"),
    "a folder": (str, "cannot be opened as a raster"),
    "text": (text, "cannot be opened as a raster"),
    "empty": (empty, "cannot be opened as a raster"),
    "a header": (header_only, "cannot be opened as a raster"),
    "not there": (lambda folder: f"{folder}/gone.tif", "No such file"),
    "a dangling link": (dangling, "cannot be opened as a raster"),
    "a link to itself": (circular, "cannot be opened as a raster"),
    "a name of no characters": (lambda folder: "", "cannot be opened as a raster"),
    "a name that is too long": (lambda folder: "n" * 5000 + ".tif", "cannot be opened as a raster"),
    "a name that is not UTF-8": (not_utf8, "not UTF-8"),
    "a host that is not there": (
        lambda folder: "https://127.0.0.1:9/a.tif",
        "cannot be opened as a raster",
    ),
    "a scheme that nobody knows": (
        lambda folder: "gopher://a/b.tif",
        "cannot be opened as a raster",
    ),
    **{
        d: (complex_numbers(d), f"{d} data cannot be restored")
        for d in ("complex64", "complex128", "complex_int16")
    },
    "bands of two types": (
        vrt(vrt_band(1) + vrt_band(2, "b.tif", "Float32")),
        "bands of several types (float32, uint16)",
    ),
    "bands of two nodata": (
        vrt(vrt_band(1, inside=NODATA.format(7)) + vrt_band(2)),
        "bands of different nodata (7.0, None)",
    ),
    "masks of each band": (masked(same=False), "a mask of their own each"),
    "a VRT of nothing": (vrt(vrt_band(1, "gone.tif")), "rows 0..39, columns 0..49 cannot be read"),
    "a VRT of itself": (vrt(vrt_band(1, "in.vrt")), "in.vrt"),
    "a VRT without bands": (vrt(""), "Missing one of rasterXSize, rasterYSize or bands"),
    "a VRT cut short": (half_a_vrt, "cannot be opened as a raster"),
    "2,000 bands": (made(shape=(2000, 4, 4)), "has 2000 bands, of which at most 512"),
    "a terabyte of nothing": (
        declared(1_000_000, 1_000_000, tiled=True, bigtiff="YES", blockxsize=4096, blockysize=4096),
        "declares 931 GiB of pixels",
    ),
    "four gigabytes of nothing": (
        declared(65_500, 65_500, tiled=True, blockxsize=2048, blockysize=2048),
        "declares 4 GiB of pixels",
    ),
    "a block of 2 GiB": (declared(2_000_000_000, 1), "hold 1908 MiB each"),
    "a tile of 1 GiB": (
        declared(40_000, 40_000, tiled=True, blockxsize=32768, blockysize=32768),
        "hold 1024 MiB each",
    ),
}
