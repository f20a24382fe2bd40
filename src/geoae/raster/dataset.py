"""Open rasters so that damage is an error, and only geoae reports it."""

import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from xml.parsers.expat import ExpatError

import rasterio
from rasterio.errors import CRSError, RasterioError
from rasterio.io import DatasetReader

from geoae.errors import InputError
from geoae.system.forks import use_one_thread
from geoae.system.gdal_errors import CPLE_BaseError
from geoae.system.warnings import SILENCE

__all__ = [
    "DAMAGED",
    "STRICT",
    "check_openable",
    "explain_unopenable",
    "forget_cached",
    "gdal_threads",
    "no_codec",
    "on_disk",
    "one_line",
    "open_raster",
    "open_source",
    "refuse_damaged_description",
    "stat_file",
]

# What rasterio raises where a raster's description is damaged, when it is opened or asked.
DAMAGED = (RasterioError, CPLE_BaseError, CRSError, UnicodeDecodeError)
# With these, GDAL says of a file cut short that it is, where it would else fill it up.
STRICT = {
    "RAW_CHECK_FILE_SIZE": "YES",
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
    # Code in a VRT does not run, whoever allowed it elsewhere.
    "GDAL_VRT_ENABLE_PYTHON": "NO",
}
use_one_thread("rasterio", lambda: STRICT.update(GDAL_NUM_THREADS="1"))
# What GDAL's drivers say where a sound file needs a codec that they were built without: TIFF's,
# JPEG's, HDF5's.
NO_CODEC = re.compile(
    r"missing codec (?:of )?(code \d+|\w+)|Unsupported JPEG data precision (\d+)|(undefined filter)"
)

# Suffixes of rasters to name in a folder or an archive, how many are looked at, and how many named.
RASTERS = {".tif", ".tiff", ".jp2", ".img", ".vrt", ".nc", ".h5"}
MANY, FEW, SHOWN = 1000, 10, 2
TAR = re.compile(r"\.(?:tar(?:\.\w+)?|tgz)$", re.IGNORECASE)
BROKEN = (
    EOFError,
    OSError,
    RuntimeError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
# First bytes of formats whose drivers GDAL is often built without.
FORMATS = {
    "HDF4": (b"\x0e\x03\x13\x01", "HDF4"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "netCDF": (b"CDF", "netCDF"),
    "GRIB": (b"GRIB", "GRIB"),
    "MrSID": (b"msid", "MrSID"),
    "JPEGXL": (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
}


@contextmanager
def open_raster(name: str) -> Iterator[DatasetReader]:
    """Open ``name`` with GDAL's strict settings.

    Raises:
        InputError: a name that GDAL cannot open, or a pipe.
        RasterioError: rasterio's own error where the file cannot be opened.

    """
    check_openable(name)
    with SILENCE, rasterio.Env(**STRICT), rasterio.open(name) as dataset:
        yield dataset


def forget_cached(name: str) -> None:
    """Make GDAL ask the store again for an object that something else than GDAL has written.

    GDAL forgets what it knows of such a name when it closes it, also where it could not be opened.
    """
    with suppress(*DAMAGED), SILENCE, rasterio.Env(CPL_VSIL_CURL_NON_CACHED=name):
        rasterio.open(name).close()


def gdal_threads() -> str:
    """Return how many threads GDAL compresses with: all, unless its own variable says otherwise."""
    return STRICT.get("GDAL_NUM_THREADS") or os.environ.get("GDAL_NUM_THREADS", "ALL_CPUS")


def one_line(error: BaseException) -> str:
    """Return the innermost message of a chain of errors, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".")


def check_openable(source: str) -> None:
    """Raise ``InputError`` for names that GDAL cannot take, and for pipes, on which it would
    wait.
    """
    try:
        source.encode()
        path = Path(source)
        if "\0" not in source and path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{source}: is a pipe or a device; write the scene to a file first")
    except UnicodeEncodeError as error:
        shown = source.encode(errors="backslashreplace").decode()
        raise InputError(
            f"{shown}: has a name that is not UTF-8, which GDAL cannot open; rename it"
        ) from error
    except OSError:  # a name too long for a path, say a VRT's own text
        return


def explain_unopenable(source: str) -> str | None:
    """Say why GDAL cannot open a source, and what to give instead, where that can be told.

    Args:
        source: name of the source.

    Returns:
        Reason and cure for an empty file, a folder, an archive, and a format whose driver this
        GDAL lacks; else None.

    """
    with suppress(OSError, ValueError):
        path = Path(source)
        if path.is_dir():
            return _explain_folder(path)
        if path.is_file() and not path.stat().st_size:
            return "the file is empty; get it again"
        if path.is_file():
            return _explain_archive(path) or _explain_format(path)
    return None


def _explain_folder(folder: Path) -> str:
    files = sorted(islice(folder.rglob("*"), MANY))
    rasters = [str(file) for file in files if file.suffix.lower() in RASTERS]
    kind = "a Sentinel-2 product" if folder.suffix.lower() == ".safe" else "a folder"
    if not rasters:
        return f"it is {kind} without any raster; give a raster file"
    more = " and more" if len(rasters) > SHOWN else ""
    return f"it is {kind}; give a raster in it: {' '.join(rasters[:SHOWN])}{more}"


def _explain_archive(archive: Path) -> str | None:
    """Name rasters in a ZIP or TAR archive by the addresses under which GDAL opens them."""
    prefix = "/vsitar/" if TAR.search(archive.name) else "/vsizip/"
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                names = opened.namelist()
        elif tarfile.is_tarfile(archive):
            # Members of a compressed one are found only by unpacking all before them.
            prefix, few = "/vsitar/", MANY if archive.suffix == ".tar" else FEW
            with tarfile.open(archive) as members:
                names = [one.name.removeprefix("./") for one in islice(members, few)]
        elif TAR.search(archive.name) or archive.suffix.lower() == ".zip":
            return "it is no archive, or a damaged one; get it again"
        else:
            return None
    except BROKEN as error:
        return f"it is an archive that is cut short or damaged ({one_line(error)}); get it again"
    rasters = [name for name in names if Path(name).suffix.lower() in RASTERS]
    name = next(iter(rasters), "NAME.tif")
    return f"it is an archive; give a raster in it, like {prefix}{archive}/{name}, with -o OUTPUT"


def _explain_format(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(16)
    with rasterio.Env() as env:
        drivers = env.drivers()
    for driver, (magic, name) in FORMATS.items():
        if head.startswith(magic) and driver not in drivers:
            return (
                f"it is {name}, for which this GDAL ({rasterio.__gdal_version__}) has no driver;"
                " convert it to GeoTIFF where GDAL has one (gdal_translate)"
            )
    return None


def no_codec(source: str, why: str) -> InputError | None:
    """Return the error for a file whose codec this GDAL lacks.

    Args:
        source: name of the file.
        why: GDAL's message.

    Returns:
        The error; None where the message has another cause.

    """
    match = NO_CODEC.search(why)
    if not match:
        return None
    code, bits, _ = match.groups()
    codec = f"JPEG of {bits} bits" if bits else f"TIFF {code}" if code and " " in code else code
    return InputError(
        f"{source}: is compressed as {codec or 'HDF5 with a filter of its own'}, for which this"
        f" GDAL ({rasterio.__gdal_version__}) has no codec; rewrite it where GDAL has one"
        " (gdal_translate -co COMPRESS=ZSTD), or get it in another compression"
    )


@contextmanager
def open_source(source: str) -> Iterator[rasterio.DatasetReader]:
    """Open ``source``; turn any error into an ``InputError``."""
    with ExitStack() as stack:
        try:
            dataset = stack.enter_context(open_raster(source))
        except DAMAGED as error:
            if known := explain_unopenable(source):
                raise InputError(f"{source}: cannot be opened as a raster: {known}") from error
            raise no_codec(source, one_line(error)) or InputError(
                f"{source}: cannot be opened as a raster ({one_line(error)}); check the path and"
                " the format, and that it is whole"
            ) from error
        yield dataset


@contextmanager
def refuse_damaged_description(source: str) -> Iterator[None]:
    """Raise ``InputError`` where the metadata of ``source`` is damaged.

    Keys contradict each other, for example, or text has an unknown encoding.
    """
    try:
        yield
    except (*DAMAGED, ExpatError) as error:
        raise InputError(
            f"{source}: its description is damaged ({one_line(error)}); repair it, or keep the"
            " pixels alone by gdal_translate"
        ) from error


def on_disk(name: str) -> str | None:
    """Return the file behind a name that GDAL or rasterio opens.

    For ``/vsizip//data/scene.zip/inside.tif`` this is the archive.
    """
    path = Path(re.sub(r"^([\w+]+://)?(/vsi\w+/)*", "", name))
    return next(
        (
            str(p)
            for p in (path, *path.parents)
            if (found := stat_file(str(p))) and stat.S_ISREG(found.st_mode)
        ),
        None,
    )


def stat_file(name: str) -> os.stat_result | None:
    """Return size and times of the file ``name``; None where there is none."""
    try:
        return Path(name).stat()
    except (OSError, ValueError):  # ValueError: no name that a file can have
        return None
