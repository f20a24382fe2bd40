"""Damaged files through the command: what rasterio reads of them or one line, whatever the bytes.

``GEOAE_FUZZ=2000`` in the environment makes the slow round that long.
"""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.control import GroundControlPoint
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from geoae.system.gdal_errors import CPLE_BaseError
from tests.support.commands import Ended, Forks, forks
from tests.support.rasters import SHARED, UTM, noise, texture, write

SEED = 20240501
SECONDS, MEBIBYTES = 20, 3072
CHUNK = 50
QUICK, ALL = 100, int(os.environ.get("GEOAE_FUZZ", "400"))
STRIP = 4 << 20  # pixels that are compared at a time
DAMAGED = (RasterioError, CPLE_BaseError, UnicodeDecodeError)
LARGEST = 12 << 10  # bytes of an odd file that is damaged further
# What counters and offsets are turned into.
TELLING = [0, 1, 2, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]

LAYOUTS = {
    "plain": {},
    "tiled": {"tiled": True, "blockxsize": 32, "blockysize": 16},
    "planar": {"interleave": "band", "blockysize": 7},
    "deflate": {"compress": "deflate", "predictor": 2},
    "lzw": {"compress": "lzw", "tiled": True, "blockxsize": 64, "blockysize": 64},
    "zstd": {"compress": "zstd", "predictor": 2, "interleave": "band"},
    "packbits": {"compress": "packbits", "dtype": "uint8"},
    "jpeg": {
        "compress": "jpeg",
        "dtype": "uint8",
        "photometric": "ycbcr",
        "tiled": True,
        "blockxsize": 64,
        "blockysize": 64,
    },
    "lerc": {"compress": "lerc", "dtype": "float32"},
    "float": {"compress": "deflate", "predictor": 3, "dtype": "float32", "nodata": float("nan")},
    "wide": {"dtype": "float64", "nodata": -9999.0},
    "signed": {"dtype": "int16", "nodata": -32768, "compress": "lzw"},
    "long": {"dtype": "int64"},
    "packed": {"nbits": 12, "compress": "deflate"},
    "big": {"bigtiff": "yes"},
    "motorola": {"endianness": "big", "compress": "lzw"},
    "sparse": {"sparse_ok": True, "tiled": True, "blockxsize": 16, "blockysize": 16},
    "points": {"crs": None, "transform": None, "gcps": True},
    "mask": {"mask": True, "compress": "deflate"},
    "cog": {"driver": "COG", "blocksize": 64, "compress": "zstd"},
}


def make(
    path: Path, *, mask: bool = False, gcps: bool = False, dtype: str = "uint16", **layout
) -> None:
    """A small scene in one layout."""
    pixels = np.clip(texture(3, 70, 90) + noise((3, 70, 90), 20), 0, 4000)
    pixels = (pixels / 16 if dtype == "uint8" else pixels).astype(dtype)
    profile = {
        **UTM,
        "count": 3,
        "height": 70,
        "width": 90,
        "dtype": dtype,
        **layout,
        "driver": "GTiff",
    }
    final = path.with_suffix(".plain") if layout.get("driver") == "COG" else path
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(final, "w", **profile) as dataset,
    ):
        dataset.write(pixels)
        dataset.update_tags(SATELLITE="A")
        dataset.descriptions = ("red", "green", "blue")
        if gcps:
            points = [
                GroundControlPoint(r, c, 14 + c / 1e3, 50 - r / 1e3)
                for r in (0, 69)
                for c in (0, 89)
            ]
            dataset.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
        if mask:
            dataset.write_mask(pixels[0] > 1000)
    if final != path:
        rasterio.shutil.copy(final, path, **layout)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes of ``content`` changed, most of them where headers and directories are."""
    bytes_ = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        size = len(bytes_)
        low, high = [(0, min(size, 300)), (max(0, size - 600), size), (0, size)][
            rng.choice(3, p=[0.45, 0.3, 0.25])
        ]
        at = int(rng.integers(low, max(high, low + 1)))
        kind = rng.choice(
            ["flip", "byte", "word", "cut", "insert"], p=[0.35, 0.3, 0.25, 0.05, 0.05]
        )
        if kind == "flip":
            bytes_[at] ^= 1 << int(rng.integers(8))
        elif kind == "byte":
            bytes_[at] = int(rng.integers(256))
        elif kind == "word":
            word = int(rng.choice(TELLING)).to_bytes(4, "little")[: rng.choice([2, 4])]
            bytes_[at : at + len(word)] = word
        elif kind == "cut" and size > 64:
            del bytes_[at : at + int(rng.integers(1, size // 2))]
        else:
            bytes_[at:at] = rng.bytes(int(rng.integers(1, 40)))
        bytes_ = bytes_ or bytearray(1)
    return bytes(bytes_)


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> list[tuple[str, bytes]]:
    """Files to damage: every layout, and the small ones among the odd, in an order that never
    changes.
    """
    folder = tmp_path_factory.mktemp("originals")
    found = []
    for name, layout in LAYOUTS.items():
        make(folder / f"{name}.tif", **layout)
        found.append((f"{name}.tif", (folder / f"{name}.tif").read_bytes()))
    for path in sorted((SHARED / "odd").rglob("*.tif*")):
        if path.is_file() and path.stat().st_size <= LARGEST:
            found.append((path.name, path.read_bytes()))
    return found


@pytest.fixture(scope="module")
def geoae(tmp_path_factory) -> Iterator[Forks]:
    with forks(tmp_path_factory.mktemp("logs")) as made:
        yield made


def unlike(source: Path, target: Path) -> str | None:
    """How an output differs from what rasterio, with GDAL's defaults, reads of its source; strip by
    strip, since a few bytes may declare many pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(source) as before, rasterio.open(target) as after:
                if (before.shape, before.dtypes) != (after.shape, after.dtypes):
                    return (
                        f"{before.shape} of {before.dtypes} became {after.shape} of {after.dtypes}"
                    )
                rows = max(1, STRIP // (before.width * before.count))
                for row in range(0, before.height, rows):
                    strip = Window(0, row, before.width, min(rows, before.height - row))
                    if before.read(window=strip).tobytes() != after.read(window=strip).tobytes():
                        return f"other pixels from row {row}"
                    if (
                        (before.read_masks(window=strip) != 0)
                        != (after.read_masks(window=strip) != 0)
                    ).any():
                        return f"another mask from row {row}"
        except DAMAGED as error:
            return f"an output of what rasterio cannot read ({error}, {error.__cause__})"
    return None


def wrong(ended: Ended, source: Path, target: Path) -> str | None:
    """What is wrong with how a command ended, or with what it wrote; or None."""
    if ended.code not in (0, 1):
        return f"ended with {ended.code} after {ended.seconds:.1f} s"
    if any("Traceback" in line for line in ended.err):
        return "traceback"
    said = [line for line in ended.err if not line.startswith("geoae: warning: ")]
    if ended.code == 1 and (len(said) != 1 or not said[0].startswith("geoae: ")):
        return "not one line"
    if ended.code == 1 and target.exists():
        return "an output after an error"
    return unlike(source, target) if target.exists() else None


def run_cases(
    cases: range, originals: list[tuple[str, bytes]], geoae: Forks, folder: Path
) -> list[str]:
    """What went wrong in ``cases``; the file of each is kept in ``folder``."""
    failures = []
    for case in cases:
        rng = np.random.default_rng([SEED, case])
        # Made layouts twice as often as each of the many odd files.
        pool = originals[: len(LAYOUTS)] if rng.random() < 0.5 else originals
        name, content = pool[rng.integers(len(pool))]
        source, target = folder / f"{case}-{Path(name).stem}.tif", folder / "out.tif"
        source.write_bytes(damaged(content, rng))
        for words in (["inspect", source.name], ["restore", source.name, "-o", target.name]):
            ended = geoae(
                *words, "--model", "identity", cwd=folder, seconds=SECONDS, mebibytes=MEBIBYTES
            )
            if problem := wrong(ended, source, target):
                failures.append(f"{words[0]} {source}: {problem}: {ended.err[-3:]}")
            target.unlink(missing_ok=True)
        if not any(str(source) in failure for failure in failures):
            source.unlink()
    return failures


@pytest.mark.parametrize("first", range(0, QUICK, CHUNK))
def test_damaged_files(first, originals, geoae, tmp_path):
    assert run_cases(range(first, first + CHUNK), originals, geoae, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(QUICK, ALL, CHUNK))
def test_more_damaged_files(first, originals, geoae, tmp_path):
    assert run_cases(range(first, first + CHUNK), originals, geoae, tmp_path) == []


def test_an_output_that_is_not_its_source_is_noticed(tmp_path):
    pixels = np.arange(1, 3 * 70 * 90 + 1, dtype=np.uint16).reshape(3, 70, 90)
    one, other = write(tmp_path / "one.tif", pixels), tmp_path / "other.tif"
    assert unlike(one, write(other, pixels, compress="deflate")) is None
    changed = pixels.copy()
    changed[2, 69, 89] += 1
    assert unlike(one, write(other, changed)) == "other pixels from row 0"
    assert unlike(one, write(other, pixels, nodata=7)) == "another mask from row 0"
    assert "became" in str(unlike(one, write(other, pixels[:2])))
    one.write_bytes(one.read_bytes()[:20_000])
    assert str(unlike(one, write(other, pixels))).startswith(
        "an output of what rasterio cannot read"
    )
