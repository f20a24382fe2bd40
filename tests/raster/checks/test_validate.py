import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from geoae.raster.checks import validate
from geoae.raster.checks.validate import FEW_BLOCKS, first_unreadable_block, reads_whole
from geoae.raster.dataset import no_codec
from geoae.tiling.window import Window
from tests.support.rasters import noise, write


@pytest.mark.parametrize(
    ("said", "codec"),
    [
        ("a.tif: Cannot open TIFF file due to missing codec JXL", "JXL"),
        ("a.tif: Cannot open TIFF file due to missing codec of code 44510", "TIFF code 44510"),
        ("JPEGLib:Unsupported JPEG data precision 12", "JPEG of 12 bits"),
        (
            "netCDF chunk fetch failed: #-136 (NetCDF: Filter error: undefined filter encountered)",
            "HDF5 with a filter of its own",
        ),
    ],
)
def test_a_codec_that_is_missing_is_no_damage(said, codec):
    text = str(no_codec("a.tif", said))
    assert text.startswith(
        f"a.tif: is compressed as {codec}, for which this GDAL ({rasterio.__gdal_version__}) has no"
        " codec"
    )
    assert "gdal_translate" in text


@pytest.mark.parametrize(
    "said",
    [
        "ZIPDecode:Decoding error at scanline 0",
        "No such file or directory",
        "LERCPreDecode:lerc_getBlobInfo() failed",
        "",
    ],
)
def test_damage_is_no_missing_codec(said):
    assert no_codec("a.tif", said) is None


@pytest.fixture
def output(tmp_path) -> Path:
    """A COG of 30 blocks, with a mask, an overview and no run of equal bytes."""
    pixels = write(tmp_path / "in.tif", noise((1, 640, 700), 1e3).astype(np.int16))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(pixels, "r+") as dataset:
        dataset.write_mask(noise((640, 700), 1) > 0)
    options = {"COMPRESS": "ZSTD", "BLOCKSIZE": "128", "OVERVIEW_COUNT": "1"}
    rasterio.shutil.copy(str(pixels), str(tmp_path / "out.tif"), driver="COG", **options)
    return tmp_path / "out.tif"


def place(path: Path, column: int, row: int, *level: str) -> tuple[int, int]:
    """Offset and size of a block in bytes."""
    with rasterio.open(path, **dict(zip(["OVERVIEW_LEVEL"], level, strict=False))) as dataset:
        items = (
            dataset.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1)
            for what in ("OFFSET", "SIZE")
        )
        offset, size = (int(item) for item in items)
    return offset, size


@pytest.mark.parametrize("most", [None, FEW_BLOCKS])
def test_a_whole_output_reads_whole(output, most):
    assert reads_whole(str(output), most)
    assert not reads_whole(str(output.with_name("gone.tif")), most)


@pytest.mark.parametrize("block", [(0, 0), (2, 3), (5, 4), (1, 1, "0")], ids=str)
def test_a_block_that_is_gone_is_found(output, block):
    offset, size = place(output, *block)
    with output.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(size))
    assert not reads_whole(str(output))


@pytest.mark.parametrize("lost", [10, 1000, 100_000])
def test_a_few_blocks_are_enough_to_find_a_file_cut_short(output, lost):
    os.truncate(output, output.stat().st_size - lost)
    assert not reads_whole(str(output), 1)


class Counting:
    """A raster that keeps how many bands each read had."""

    def __init__(self, dataset):
        self.dataset, self.counts = dataset, []

    def __getattr__(self, name):
        return getattr(self.dataset, name)

    def read(self, bands, **options):
        self.counts.append(len(bands))
        return self.dataset.read(bands, **options)


@pytest.mark.parametrize(("most", "counts"), [(64 << 20, [16, 2]), (3 * 64 * 64 * 2, [3] * 6)])
def test_bands_are_searched_together_as_far_as_memory_goes(tmp_path, monkeypatch, most, counts):
    monkeypatch.setattr(validate, "MOST_BYTES", most)
    pixels = np.ones((18, 64, 64), np.uint16)
    write(tmp_path / "in.tif", pixels, blockysize=64, interleave="band")
    with rasterio.open(tmp_path / "in.tif") as dataset:
        counting = Counting(dataset)
        assert first_unreadable_block(counting, Window(0, 0, 64, 64)) is None
    assert counting.counts == counts
