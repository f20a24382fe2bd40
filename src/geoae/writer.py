"""Parts and source become one file in which nothing but the restored pixels changed.

GDAL describes the source itself, as a VRT. The description is rewritten so that restored bands read
from the parts and everything else from the source, and GDAL copies it in one multi-threaded pass.
"""

import mmap
import re
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, TreeBuilder, tostring
from xml.parsers import expat

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.drivers import driver_from_extension
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, MemoryFile

from geoae.errors import InputError, OutputError
from geoae.scene import DAMAGED, NOT_MEASURED

__all__ = ["WRITERS", "Part", "assemble", "refuse_target"]

# What a VRT says of a raster and of a band, other than where their pixels come from.
DATASET_FACTS = {"SRS", "GeoTransform", "GCPList", "Metadata"}
BAND_FACTS = {
    "Metadata", "Description", "NoDataValue", "NoDataValueImag", "HideNoDataValue", "UnitType", "Offset",
    "Scale", "ColorInterp", "ColorTable", "CategoryNames", "GDALRasterAttributeTable",
}  # fmt: skip
# Domains that tell of the file, not of the scene; GEOAE would be an earlier run's.
FILE_DOMAINS = {"DERIVED_SUBDATASETS", "SUBDATASETS", "LocationInfo", "TIFF", "IMAGE_STRUCTURE", "GEOAE"}
LARGEST_BLOCK = 32 << 20  # bytes over all bands: 512 x 512 pixels of 200 bands would fill the memory


@dataclass(frozen=True, slots=True)
class Part:
    """A finished slab on disk: full rows of the scene from ``row`` on, restored bands only."""

    path: Path
    row: int
    height: int


def refuse_target(source: str, target: str | Path) -> None:
    """Raise ``OutputError`` where ``target`` is ``source`` itself, a folder, or named as another format."""
    path = Path(target)
    if path.exists() and Path(source).exists() and Path(source).samefile(path):
        raise OutputError(f"{target}: is the input itself; name another output with -o")
    if path.is_dir():
        raise OutputError(f"{target}: is a folder; name a file in it with -o")
    try:
        driver = driver_from_extension(path)
    except ValueError:  # an extension of no format
        return
    if driver not in ("GTiff", "COG"):
        raise OutputError(f"{target}: geoae writes GeoTIFF, not {driver}; name the output .tif")


def assemble(
    source: str, parts: Sequence[Part], bands: Sequence[int], target: Path, *, profile: str, tags: Mapping[str, str],
    domain: str = "GEOAE",
) -> None:  # fmt: skip
    """Write ``source`` with ``bands`` (1-based) taken from ``parts`` to ``target``, losslessly.

    ``profile`` is a key of ``WRITERS``; ``tags`` go into the metadata ``domain``. Raises
    ``OutputError`` where the target cannot be written in full; what was written of it is removed.
    """
    marker = f"geoae-{uuid.uuid4().hex}"
    with ExitStack() as stack:
        try:
            dataset = stack.enter_context(_opened(source))
            root = _described(dataset, source, parts, bands)
            options = WRITERS[profile](dataset)
        except (*DAMAGED, expat.ExpatError) as error:
            raise InputError(f"{source}: cannot be opened again ({_line(error)}); has it been moved?") from error
        root.append(_metadata(domain, tags))
        _disguise(root, marker)
        recipe = stack.enter_context(MemoryFile(text := tostring(root, "unicode").encode(), ext=".vrt"))
        try:
            _interruptible(partial(_copy, recipe.name, target, bands, options))
            if marker.encode() in text:
                _undisguise(target, marker, 2 * len(text))
        except BaseException as error:
            for scratch in ("", ".ovr.tmp", ".msk.ovr.tmp"):  # GDAL leaves its overviews in progress behind
                with suppress(OSError):
                    target.with_name(target.name + scratch).unlink()
            if not isinstance(error, RasterioError | CPLE_BaseError | OSError):
                raise
            cure = "free disk space, choose another -o, or check that the source is still readable"
            raise OutputError(f"{target}: cannot be written ({_line(error)}); {cure}") from error


def _interruptible(work: Callable[[], None]) -> None:
    """GDAL's copy cannot be stopped. On a thread that dies with the process, Ctrl-C need not wait for it."""
    if threading.current_thread() is not threading.main_thread():
        work()  # signals arrive at the main thread alone
        return
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="geoae-copy", daemon=True).start()
    done.result()


def _copy(recipe: str, target: Path, bands: Sequence[int], options: Mapping[str, str]) -> None:
    # Without PAM: what a TIFF cannot hold would go to a sidecar that the caller's rename leaves behind.
    with rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_TIFF_INTERNAL_MASK="YES"):
        rasterio.shutil.copy(recipe, str(target), **options)
        _read_back(recipe, target, bands)


@contextmanager
def _opened(name: str) -> Iterator[DatasetReader]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(name) as dataset:
            yield dataset


def _line(error: BaseException) -> str:
    """The innermost message of an error chain, on one line."""
    while error.__cause__:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".")


def _described(dataset: DatasetReader, source: str, parts: Sequence[Part], bands: Sequence[int]) -> Element:
    """A VRT with the source's facts; ``bands`` read from ``parts``, the others from ``source``."""
    given = _gdal_description(dataset)
    # rasterio's own URIs (zip://, s3://) mean nothing to GDAL; its list of files has GDAL's name for them.
    name = dataset.files[0] if re.match(r"[\w+]+://", source) else source
    root = Element("VRTDataset", rasterXSize=str(dataset.width), rasterYSize=str(dataset.height))
    root.extend(node for node in given if node.tag in DATASET_FACTS and node.get("domain") not in FILE_DOMAINS)
    # GDAL rounds control points in a VRT to four decimals of a pixel, and scales to 16 digits; give all.
    for node, point in zip(root.findall("GCPList/GCP"), dataset.gcps[0], strict=True):
        for key, value in (("Pixel", point.col), ("Line", point.row), ("X", point.x), ("Y", point.y), ("Z", point.z)):
            node.set(key, repr(value or 0.0))
    size = (dataset.height, dataset.width)
    for band, old in zip(dataset.indexes, given.findall("VRTRasterBand"), strict=True):
        node = SubElement(root, "VRTRasterBand", dataType=old.get("dataType", "Byte"), band=str(band))
        node.extend(fact for fact in old if fact.tag in BAND_FACTS and fact.get("domain") not in FILE_DOMAINS)
        # A VRT made by GDAL holds the default domain of a band, and no other.
        for domain in set(dataset.tag_namespaces(band)) - {fact.get("domain") for fact in old} - FILE_DOMAINS:
            node.append(_metadata(domain, dataset.tags(band, ns=domain)))
        for element in (*node.findall("Scale"), *node.findall("Offset")):
            element.text = repr(getattr(dataset, f"{element.tag.lower()}s")[band - 1])
        if band in bands:
            place = str(bands.index(band) + 1)
            for metadata in node.findall("Metadata"):
                metadata[:] = [item for item in metadata if not item.get("key", "").startswith("STATISTICS_")]
            node.extend(_pixels(str(part.path), place, part.row, (part.height, dataset.width)) for part in parts)
        else:
            node.append(_pixels(name, str(band), 0, size))
    if dataset.mask_flag_enums[0] == [MaskFlags.per_dataset]:
        mask = SubElement(SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        mask.append(_pixels(name, "mask,1", 0, size))
    return root


def _gdal_description(dataset: DatasetReader) -> Element:
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(dataset, memory.name, driver="VRT", COPY_SRC_MDD="YES")
        text = bytes(memory.getbuffer()).decode("utf-8", "replace")
    # Damaged tags hold characters that XML cannot say; embedded documents hold undeclared prefixes.
    text = re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\U0010ffff]|&#(?:[0-8]|1[124-9]|2\d|3[01]);", "", text)
    builder, parser = TreeBuilder(insert_pis=True), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler, parser.ProcessingInstructionHandler = builder.data, builder.pi
    parser.Parse(text, True)
    return builder.close()


def _pixels(name: str, band: str, row: int, size: tuple[int, int]) -> Element:
    """All of ``name``, ``size`` (height, width), placed from scene row ``row`` on."""
    node = Element("SimpleSource")
    SubElement(node, "SourceFilename", relativeToVRT="0").text = name
    SubElement(node, "SourceBand").text = band
    for tag, top in (("SrcRect", 0), ("DstRect", row)):
        SubElement(node, tag, xOff="0", yOff=str(top), xSize=str(size[1]), ySize=str(size[0]))
    return node


def _metadata(domain: str, tags: Mapping[str, str]) -> Element:
    node = Element("Metadata", domain=domain)
    for key, value in tags.items():
        SubElement(node, "MDI", key=key).text = value
    return node


# GDAL 3.10 loses the default domain of bands as soon as it copies the other domains (COPY_SRC_MDD),
# and writes IMD into a sidecar. So these travel under another name, which is put right in the finished
# file: the length of the tag, and with it the layout of the COG, stays as it is.


def _disguise(root: Element, marker: str) -> None:
    """Rename the domains that GDAL would not write as they are."""
    for node in root.findall("VRTRasterBand/Metadata") + root.findall("Metadata[@domain='IMD']"):
        if node.get("domain") in (None, "IMD"):
            node.set("domain", f"{marker}-{node.get('domain', '')}")


def _undisguise(target: Path, marker: str, span: int) -> None:
    """Put the names right; they lie within ``span`` bytes of each other."""
    word = f' domain="{marker}-'.encode()
    with target.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        start = view.find(word)
        last = start + span
        while start >= 0:
            name = start + len(word)
            end = view.find(b'"', name) + 1
            real = b"" if end == name + 1 else b' domain="' + view[name:end]
            view[start:end] = real.ljust(end - start)
            start = view.find(word, end, last)


def _read_back(recipe: str, target: Path, bands: Sequence[int]) -> None:
    """Decode every block: a full disk makes GDAL complain on stderr and return as if all were well. What it
    could not write may read as zeros; so restored ``bands``, or all where none is, are compared. Bands share
    their blocks, so the others are there where these are.
    """
    with _opened(recipe) as wanted, _opened(str(target)) as dataset:
        masked = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
        chosen = list(bands or dataset.indexes)
        largest = _largest(dataset)
        for _, window in dataset.block_windows(1):
            found = dataset.read(window=window)[[band - 1 for band in chosen]]
            same = largest is None or np.array_equal(
                found, np.minimum(wanted.read(chosen, window=window), largest), equal_nan=found.dtype.kind == "f"
            )
            if masked:
                same &= np.array_equal(dataset.read_masks(1, window=window), wanted.read_masks(1, window=window))
            if not same:
                raise OSError(f"rows from {window.row_off}, columns from {window.col_off} do not read as written")


def _largest(dataset: DatasetReader) -> Any:
    """The largest value that a file can hold; None where it rounds floating point to fewer bits."""
    bits, kind = _bits(dataset)[0], np.dtype(dataset.dtypes[0])
    if kind.kind == "f":
        return None if bits else kind.type(np.inf)
    return kind.type(2 ** int(bits) - 1 if bits else np.iinfo(kind).max)


def _cog(dataset: DatasetReader) -> dict[str, str]:
    return _common(dataset) | {
        "driver": "COG", "LEVEL": "1", "BLOCKSIZE": str(_blocksize(dataset, 512)),
        "OVERVIEWS": "IGNORE_EXISTING", "OVERVIEW_RESAMPLING": "NEAREST" if _has_classes(dataset) else "AVERAGE",
    }  # fmt: skip


def _gtiff(dataset: DatasetReader) -> dict[str, str]:
    side = str(_blocksize(dataset, 256))
    return _common(dataset) | {
        "driver": "GTiff",
        "ZSTD_LEVEL": "1",
        "TILED": "YES",
        "BLOCKXSIZE": side,
        "BLOCKYSIZE": side,
    }


WRITERS: dict[str, Callable[[DatasetReader], dict[str, str]]] = {
    "cog": _cog,
    "gtiff": _gtiff,
}


def _common(dataset: DatasetReader) -> dict[str, str]:
    """A predictor, or the source's packing of bits, for which libtiff has no predictor."""
    # In the VRT, NBITS would round floating point to integers. JPEG 2000 is not packed: there it is a precision.
    options = {"COMPRESS": "ZSTD", "BIGTIFF": "IF_SAFER", "NUM_THREADS": "ALL_CPUS", "COPY_SRC_MDD": "YES"}
    bits = _bits(dataset)
    if all(bits) and not dataset.driver.startswith("JP2"):
        return options | {"NBITS": str(max(map(int, filter(None, bits))))}
    return options | {"PREDICTOR": "3" if dataset.dtypes[0].startswith("float") else "2"}


def _bits(dataset: DatasetReader) -> list[str | None]:
    return [dataset.get_tag_item("NBITS", "IMAGE_STRUCTURE", bidx=band) for band in dataset.indexes]


def _blocksize(dataset: DatasetReader, side: int) -> int:
    pixel = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    while side > 64 and side * side * pixel > LARGEST_BLOCK:
        side //= 2
    return side


def _has_classes(dataset: DatasetReader) -> bool:
    """Whether an average of neighbours would be a value that means something else."""
    names = " / ".join(filter(None, dataset.descriptions)).lower().replace("_", " ")
    return "1" in _bits(dataset) or ColorInterp.palette in dataset.colorinterp or bool(NOT_MEASURED.search(names))
