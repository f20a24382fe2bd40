"""Any raster comes back as it was, or ends with one line: all of ``../shared/odd``, what it lacks,
and files cut short.
"""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from tests.support.commands import Ended, Forks, forks
from tests.support.corpus import REFUSED, RIGHT
from tests.support.oracle import differences
from tests.support.rasters import SHARED, noise, texture, write

SECONDS, MEBIBYTES = 20, 2048
SIDECARS = {".xml", ".msk", ".tfw"}
FOLDER = SHARED / "odd"
ODD = sorted(
    str(path.relative_to(FOLDER))
    for path in FOLDER.rglob("*")
    if path.is_file() and path.suffix not in SIDECARS
)

COMPLEX, LOST = (
    "data cannot be restored; convert it first",
    "No such file or directory): check the files that the VRT refers to",
)
CODEC = (
    f"for which this GDAL ({rasterio.__gdal_version__}) has no codec; rewrite it where GDAL has one"
    " (gdal_translate"
)
# What of the folder cannot come back, and the words that say why.
UNSOUND = {
    "gdal_gcore/byte_buggy_packbits.tif": (
        "rows 0..0, columns 0..19 cannot be read (PackBitsDecode:Not enough data"
    ),
    "gdal_gcore/cfloat64.tif": f"complex128 {COMPLEX}",
    "gdal_gcore/cfloat64.vrt": f"complex128 {COMPLEX}",
    "gdal_gcore/cint16.tif": f"complex_int16 {COMPLEX}",
    "gdal_gcore/cint16.vrt": f"complex_int16 {COMPLEX}",
    "gdal_gcore/complex_float32.tif": f"complex64 {COMPLEX}",
    "gdal_gcore/excessive-memory-TIFFFillTile.tif": (
        "rows 16..19, columns 0..15 cannot be read (TIFFFillTile:Too large tile"
    ),
    "gdal_gcore/gtiff/cint32_big_endian.tif": f"complex64 {COMPLEX}",
    "gdal_gcore/gtiff/huge_raster_with_ovr_huge_block.tif": "its blocks of 1 x 2147000000 px hold",
    "gdal_gcore/gtiff/jxl-rgbi.tif": f"is compressed as JXL, {CODEC}",
    "gdal_gcore/gtiff/lzw_corrupted.tif": "rows 0..0, columns 0..1 cannot be read",
    "gdal_gcore/gtiff/rgbsmall_JXL.tif": f"is compressed as JXL, {CODEC}",
    "gdal_gcore/gtiff/rgbsmall_JXL_tiled_separate.tif": f"is compressed as JXL, {CODEC}",
    "gdal_gcore/gtiff/unsupported_codec_jp2000.tif": f"is compressed as JP2000, {CODEC}",
    "gdal_gcore/gtiff/unsupported_codec_unknown.tif": f"is compressed as TIFF code 44510, {CODEC}",
    "gdal_gcore/huge4GB.tif": "declares 4 GiB of pixels in a file of 401 bytes",
    "gdal_gcore/mandrilmini_12bitjpeg.tif": f"is compressed as JPEG of 12 bits, {CODEC}",
    "gdal_gcore/msubwinbyte.vrt": LOST,
    "gdal_gcore/packbits-not-enough-data.tif": "rows 233..233, columns 0..32 cannot be read",
    "gdal_gcore/test_mosaic1.vrt": LOST,
    "gdal_gcore/tiff_dos_strip_chop.tif": "declares 2048 GiB of pixels in a file of 122 bytes",
    "gdal_gcore/uint16_3band.vrt": LOST,
    "gdal_gcore/uint33.tif": "Unsupported TIFF configuration: BitsPerSample(=33)",
    "gdal_gcore/vrt/complex_non_zero_real_zero_imag.vrt": f"complex64 {COMPLEX}",
    **{
        f"gdal_gcore/vrt/pixfun_{name}.vrt": f"complex64 {COMPLEX}" for name in ("complex", "polar")
    },
    "gdal_gcore/vrt/pixfun_inv_c.vrt": f"complex128 {COMPLEX}",
    **{
        f"gdal_gcore/vrt/pixfun_{name}.vrt": LOST
        for name in ("cmul_r", "dB_c", "dB_c_amplitude", "mod_c", "mul_k", "sum_k", "sum_r")
    },
    "gdal_gcore/vrt/top_and_bottom_strips.vrt": LOST,
    "gdal_gcore/ycbcr_14_lzw.tif": "Sorry, can not handle image",
    "gdal_gcore/zoom_in.vrt": LOST,
    "gdal_gdrivers/gpkg/huge_line.tif": "its blocks of 1 x 2100000000 px hold 2003 MiB each",
    "rasterio/RGB.byte.gcp.vrt": LOST,
    "rasterio/RGB.byte.rpc.vrt": LOST,
    "rasterio/white-gemini-iv.vrt": LOST,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with forks(tmp_path_factory.mktemp("logs")) as run:
        yield run


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def here(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def restored(run: Forks, source: str, out: Path, *words: str) -> Ended:
    words = ("restore", *words, "--quiet", "--model", "identity", "-o", "out.tif", "--", source)
    ended = run(*words, cwd=out, seconds=SECONDS, mebibytes=MEBIBYTES)
    assert ended.seconds < SECONDS
    assert ended.mebibytes < MEBIBYTES
    return ended


def is_right(ended: Ended, source: str, out: Path) -> None:
    # Rasters of constant fill get a hint at a nodata value, and an empty band or further pages a
    # line; none of them changes anything. Bands of few values may be classes, which are copied.
    hints = (
        "if it stands for pixels that were not measured",
        ": no valid pixel in band",
        "pages, of which only the first is restored",
        "its values look like flags",
        "since the file's name says",
    )
    told = [line for line in ended.err if not any(hint in line for hint in hints)]
    assert (ended.code, told) == (0, [])
    assert [path.name for path in out.iterdir()] == ["out.tif"]
    assert differences(source, out / "out.tif") == []


def is_refused(ended: Ended, words: str, out: Path) -> None:
    assert (ended.code, ended.out, len(ended.err)) == (1, [], 1), ended.err
    assert ended.err[0].startswith("geoae: ")
    assert words in ended.err[0]
    assert list(out.iterdir()) == []


@pytest.mark.skipif(not ODD, reason="../shared is absent")
def test_the_folder_is_whole():
    assert len(ODD) > 250
    assert set(UNSOUND) <= set(ODD)


@pytest.mark.parametrize("name", ODD)
def test_any_odd_raster_is_right_or_refused(name, run, out):
    source = str(FOLDER / name)
    ended = restored(run, source, out)
    if name in UNSOUND:
        is_refused(ended, UNSOUND[name], out)
    else:
        is_right(ended, source, out)


@pytest.mark.parametrize("name", RIGHT)
def test_odd_but_right(name, run, here, out):
    source = RIGHT[name](here)
    is_right(restored(run, source, out), source, out)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_restored_is_refused(name, run, here, out):
    make, words = REFUSED[name]
    is_refused(restored(run, make(here), out), words, out)


def test_some_bands_of_very_many(run, here, out):
    source = str(write(here / "in.tif", np.arange(600, dtype=np.uint16).reshape(600, 1, 1)))
    is_right(restored(run, source, out, "--bands", "7,600"), source, out)


CODECS = ["none", "lzw", "deflate", "zstd", "packbits", "lerc", "jpeg", "webp"]
LAYOUTS = {
    "strips": {"blockysize": 16},
    "tiles": {"tiled": True, "blockxsize": 64, "blockysize": 64},
    "planes": {"interleave": "band", "blockysize": 64},
    "cog": {"driver": "COG", "blocksize": 64},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("codec", CODECS)
def test_a_file_cut_short_is_never_zeros(codec, layout, run, here, out):
    """Wherever it is cut: what is not refused is what the whole file holds."""
    if (codec, layout) == ("webp", "planes"):
        pytest.skip("WebP has no planes")
    whole, short = here / "whole.tif", here / "short.tif"
    profile = {"interleave": "pixel"} | LAYOUTS[layout] | {"compress": codec}
    if layout == "cog":
        del profile["interleave"]
    write(whole, (texture(3, 100, 140) / 8).astype(np.uint8), **profile)
    content = whole.read_bytes()
    # GDAL's own oracle would not do: it is the decoder in doubt. The whole file's pixels are the
    # truth.
    with rasterio.open(whole) as dataset:
        truth = dataset.read()
    kept = [int(len(content) * share) for share in (0.02, 0.3, 0.9)] + [
        len(content) - cut for cut in (200, 3, 1)
    ]
    refused = 0
    for length in kept:
        short.write_bytes(content[:length])
        ended = restored(run, str(short), out, "--overwrite")
        if ended.code:
            is_refused(ended, "cannot be", out)
            refused += 1
            continue
        with rasterio.open(out / "out.tif") as dataset:
            assert (dataset.read() == truth).all(), length
        (out / "out.tif").unlink()
    assert refused > 2


def test_tags_that_are_not_utf_8_are_no_obstacle(run, here, out):
    source = write(here / "in.tif", np.arange(400, dtype=np.uint16).reshape(1, 20, 20))
    with rasterio.open(source, "r+") as dataset:
        dataset.update_tags(PLACE="caff", TIFFTAG_ARTIST="caff")
    source.write_bytes(source.read_bytes().replace(b"caff", b"caf\xe9"))
    assert restored(run, str(source), out).code == 0
    with rasterio.open(source) as before, rasterio.open(out / "out.tif") as after:
        assert (before.read() == after.read()).all()
        assert after.tags()["PLACE"].startswith("caf")


def test_the_damaged_block_is_named(run, here, out):
    source = write(
        here / "in.tif",
        np.arange(128 * 192, dtype=np.uint16).reshape(1, 128, 192),
        tiled=True,
        blockxsize=64,
        blockysize=64,
        compress="deflate",
    )
    with rasterio.open(source) as dataset:
        at = int(dataset.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    with source.open("r+b") as file:
        file.seek(at + 20)
        file.write(b"\xff" * 300)
    is_refused(restored(run, str(source), out), "rows 64..127, columns 64..127 cannot be read", out)


def test_damage_that_hdf5_would_tell_of_itself_is_one_line(run, here, out):
    pixels = (texture(1, 200, 230) + noise((1, 200, 230), 9)).astype(np.int16)
    plain, source = write(here / "in.tif", pixels), here / "in.nc"
    rasterio.shutil.copy(
        str(plain), str(source), driver="netCDF", FORMAT="NC4C", COMPRESS="DEFLATE"
    )
    content = source.read_bytes()
    source.write_bytes(content[:60_000] + b"\xff" * 400 + content[60_400:])
    is_refused(restored(run, f"HDF5:{source}://Band1", out), "cannot be read", out)


def test_damage_far_in_keeps_no_output(run, here, out):
    source = write(here / "in.tif", np.ones((1, 5000, 300), np.uint8), blockysize=100)
    source.write_bytes(source.read_bytes()[: 4_000 * 300])
    ended = restored(run, str(source), out, "--sigma", "1")
    assert ended.code == 1
    assert "cannot be" in ended.err[0]
    assert not (out / "out.tif").exists()


def test_a_scene_that_the_disk_cannot_hold_is_refused_at_once(run, here, out, monkeypatch):
    from geoae.errors import OutputError
    from geoae.pipeline.job import Job
    from geoae.pipeline.run import run as restore

    source = write(here / "in.tif", np.ones((1, 64, 64), np.uint8))
    monkeypatch.setattr(
        "shutil.disk_usage", lambda place: type("Usage", (), {"free": 1000, "total": 2000})
    )
    with pytest.raises(
        OutputError,
        match=r"takes 3\.81e-06 GiB there for a while, but 9\.31e-07 GiB are free; free disk",
    ):
        restore(Job(source=str(source), target=str(out / "out.tif"), model="identity"))
    assert list(out.iterdir()) == []
