"""Detect truncated files of formats whose GDAL drivers return zeros instead of failing.

The headers of these formats state or imply the length of the file.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from geoae.errors import InputError
from geoae.system.warnings import SILENCE

__all__ = ["refuse_cut_short"]

# Bytes of netCDF's types from 1 on, as its format specification numbers them.
NETCDF = (1, 1, 2, 4, 4, 8)
# Bytes of PCIDSK's channels, in the order in which its header counts them.
PCIDSK = (1, 2, 2, 4, 4, 4, 8)


def refuse_cut_short(source: str, files: tuple[str, ...]) -> None:
    """Refuse a scene of which a file is shorter than its header says.

    Args:
        source: name of the scene.
        files: its local files.

    Raises:
        InputError: a file is cut short.

    """
    for name in files:
        there = Path(name).stat().st_size
        said = _get_implied_size(Path(name))
        if said > there:
            raise InputError(
                f"{source}: cannot be read whole: {name} has {there} bytes of at least {said}; it"
                " is cut short, get it again"
            )


def _get_implied_size(path: Path) -> int:
    """Return the least number of bytes that the header implies; 0 where it implies nothing
    sensible.
    """
    with suppress(ValueError, IndexError, OSError, RasterioError), path.open("rb") as file:
        magic = file.read(16)
        file.seek(0)
        for start, length in SAY.items():
            if magic.startswith(start):
                return length(file)
        return _envi(path)
    return 0


def _pcidsk(file: BinaryIO) -> int:
    """Compute the end of the channels of a PCIDSK file, interleaved by bands or by pixels.

    The file header states their place in blocks of 512 bytes. Other kinds may have holes.
    """
    header = file.read(512)

    def number(at: int, size: int) -> int:
        return int(header[at : at + size].strip() or b"0")

    width, height, start = number(384, 8), number(392, 8), (number(304, 16) - 1) * 512
    group = sum(size * number(464 + 4 * kind, 4) for kind, size in enumerate(PCIDSK))
    kind = header[360:368].strip()
    if kind == b"BAND":
        return start + width * height * group
    # The last line's own padding does not count.
    return (
        start + (height - 1) * (-(-width * group // 512) * 512) + width * group
        if kind == b"PIXEL"
        else 0
    )


def _sqlite(file: BinaryIO) -> int:
    """Multiply page size and number of pages of a GeoPackage or MBTiles.

    Only where the last writer has updated that number, and no write-ahead log is pending.
    """
    log = Path(f"{file.name}-wal")
    if log.is_file() and log.stat().st_size:
        return 0
    header = file.read(100)
    size = int.from_bytes(header[16:18], "big")
    size = 65536 if size == 1 else size
    return size * int.from_bytes(header[28:32], "big") if header[24:28] == header[92:96] else 0


def _netcdf(file: BinaryIO) -> int:
    """Compute where the last variable of a classic netCDF file ends."""
    offset = 4 if file.read(4)[3] == 1 else 8

    def number(size: int = 4) -> int:
        read = file.read(size)
        if len(read) < size:
            raise ValueError("the header itself is cut short, or none")
        return int.from_bytes(read, "big")

    def skip(length: int) -> None:
        file.seek(-(-length // 4) * 4, 1)

    def entries() -> Iterator[None]:
        file.seek(4, 1)
        for _ in range(number()):
            skip(number())  # its name
            yield

    def attributes() -> None:
        for _ in entries():
            skip(NETCDF[number() - 1] * number())

    records = number()
    dimensions = [number() for _ in entries()]
    attributes()
    fixed, growing = [0], []
    for _ in entries():
        shape = [dimensions[number()] for _ in range(number())]
        attributes()
        item, _, begin = NETCDF[number() - 1], number(), number(offset)
        if shape[:1] == [0]:
            growing.append((begin, item * prod(shape[1:])))
        else:
            fixed.append(begin + item * prod(shape))
    # Of a file that is still written to, the number is all ones.
    if not growing or records in (0, 0xFFFFFFFF):
        return max(fixed)
    # One alone is not padded from record to record.
    record = (
        sum(-(-length // 4) * 4 for _, length in growing) if len(growing) > 1 else growing[0][1]
    )
    return max(*fixed, *(begin + (records - 1) * record + length for begin, length in growing))


def _envi(path: Path) -> int:
    """Compute the size of an ENVI file: its pixels, after the offset that the header file
    states.
    """
    if not any(
        header.is_file()
        for header in (path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr"))
    ):
        return 0
    with SILENCE, rasterio.open(path) as dataset:
        header = next((Path(name) for name in dataset.files if name.lower().endswith(".hdr")), None)
        if dataset.driver != "ENVI" or header is None:
            return 0
        # Keys within braces are part of a text.
        text = re.sub(r"\{[^}]*\}", "", header.read_bytes().decode("latin-1"))
        said = {
            key.strip(): int(value)
            for key, value in re.findall(r"^([\w ]+?)=\s*(\d+)\s*$", text.lower(), re.M)
        }
        if said.get("file compression"):
            return 0
        pixels = (
            dataset.height * dataset.width * dataset.count * np.dtype(dataset.dtypes[0]).itemsize
        )
        return said.get("header offset", 0) + pixels


def _erdas_spill(file: BinaryIO) -> int:
    """Compute the size of an ERDAS Imagine spill file, which holds the blocks of a large ``.img``.

    Before the blocks it has the file's magic, the description of one stack, and for each band a bit
    for each block.
    """
    path = Path(file.name)
    if path.suffix.lower() != ".ige":  # overviews
        return 0
    with SILENCE, rasterio.open(path.with_suffix(".img")) as dataset:
        if dataset.get_tag_item("NBITS", "IMAGE_STRUCTURE", bidx=1):
            return 0
        height, width = dataset.block_shapes[0]
        down, across = -(-dataset.height // height), -(-dataset.width // width)
        block = height * width * np.dtype(dataset.dtypes[0]).itemsize
        return 26 + 23 + dataset.count * (20 + -(-across // 8) * down + down * across * block)


SAY: dict[bytes, Callable[[BinaryIO], int]] = {
    b"PCIDSK": _pcidsk,
    b"SQLite format 3\0": _sqlite,
    b"CDF\x01": _netcdf,
    b"CDF\x02": _netcdf,
    b"ERDAS_IMG_EXTERN": _erdas_spill,
}
