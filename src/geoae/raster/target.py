"""Refuse outputs that must not or cannot be written, before any work."""

import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from rasterio.drivers import driver_from_extension
from rasterio.errors import RasterioError

from geoae.errors import OutputError
from geoae.raster.dataset import on_disk, open_raster

__all__ = ["make_folder", "refuse_target"]

# Archives and servers that GDAL has names for, but cannot write into so that the file is whole.
ARCHIVE = re.compile(
    r"(?:zip|tar|gzip|https?|ftp)(?:\+\w+)*://|/vsi(?:zip|tar|gzip|7z|rar|curl|stdin"
    r"|stdout)(?:_streaming)?/"
)


def refuse_target(
    source: str, target: str | Path, drivers: Collection[str] = ("GTiff", "COG")
) -> None:
    """Refuse a target that must not be written.

    Args:
        source: the scene.
        target: the output.
        drivers: GDAL's drivers that the suffix may be of.

    Raises:
        OutputError: the target is the input, no regular file, or has the suffix of another format.

    """
    if found := ARCHIVE.match(str(target)):
        raise OutputError(
            f"{target}: geoae does not write into {found[0]}; name a file on a disk, or in a store"
            " such as /vsis3/, with -o"
        )
    path = Path(target)
    try:
        os.fsencode(target).decode()
    except UnicodeDecodeError as error:
        shown = str(target).encode(errors="backslashreplace").decode()
        raise OutputError(f"{shown}: is a name that is not UTF-8; choose another -o") from error
    try:
        if path.is_dir():
            raise OutputError(f"{target}: is a folder; name a file in it with -o")
    except OSError as error:
        raise OutputError(
            f"{target}: cannot be written ({error.strerror}); choose another -o"
        ) from error
    if path.exists() and any(path.samefile(file) for file in _files_of(source)):
        raise OutputError(f"{target}: is the input itself; name another output with -o")
    if path.exists() and not path.is_file():
        raise OutputError(f"{target}: is a pipe or a device; name a file with -o")
    try:
        driver = driver_from_extension(path)
    except ValueError:  # an extension of no format
        return
    if driver not in drivers:
        raise OutputError(f"{target}: geoae writes GeoTIFF, not {driver}; name the output .tif")


def _files_of(source: str) -> list[Path]:
    """List the local files of ``source``: sidecars, parts of a VRT, the archive around it."""
    names = [source]
    with suppress(RasterioError), open_raster(source) as dataset:
        names += dataset.files
    return [Path(found) for name in names if (found := on_disk(name))]


def make_folder(folder: Path) -> None:
    """Make a folder for outputs, and those above it; raise ``OutputError`` where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made ({error.strerror}); choose another folder for outputs"
        ) from error
