"""Assemble parts and source into one file in which only the restored pixels have changed.

GDAL copies both, described as ``raster/vrt.py`` does, in one multi-threaded pass.
"""

import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import tostring
from xml.parsers import expat

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile

from geoae.errors import InputError, OutputError
from geoae.raster.checks.validate import first_unreadable_block, read_error
from geoae.raster.crs import change_keys
from geoae.raster.dataset import DAMAGED, one_line, open_raster
from geoae.raster.parts import Part
from geoae.raster.profiles import WRITERS, packed_bits
from geoae.raster.vrt import build_vrt, disguise, metadata, store_crs, undisguise
from geoae.system.gdal_errors import CPLE_BaseError
from geoae.system.memory import small_block_cache
from geoae.tiling.window import Window
from geoae.types import Pixels

__all__ = ["assemble"]

# Bytes of GDAL's block cache that suffice for a copy of parts, which are not compressed; more would
# add to the peak of the memory. Of more bands, the blocks that belong together would not fit.
COPY_CACHE, FEW_BANDS = 16 << 20, 4


def assemble(
    source: str,
    parts: Sequence[Part],
    bands: Sequence[int],
    target: Path,
    *,
    profile: str,
    tags: Mapping[str, str],
    domain: str = "GEOAE",
    mistagged: Collection[int] = (),
    classes: bool = False,
) -> None:
    """Write a source with restored bands to a file, losslessly.

    Args:
        source: the scene.
        parts: finished slabs of the restored bands.
        bands: restored bands, 1-based.
        target: file to write.
        profile: key of ``WRITERS``.
        tags: tags for the metadata ``domain``.
        domain: name of the metadata domain.
        mistagged: bands that are tagged as alpha but are measurements. They keep the tag, and hide
            no pixel from overviews.
        classes: whether a band holds classes, whose average would have another meaning; then
            overviews take the nearest pixel.

    Raises:
        InputError: the source cannot be read any more.
        OutputError: the target cannot be written in full; what was written is removed.

    """
    marker = f"geoae-{uuid.uuid4().hex}"
    with ExitStack() as stack:
        try:
            dataset = stack.enter_context(open_raster(source))
            root = build_vrt(dataset, source, parts, bands, mistagged)
            options = WRITERS[profile](dataset)
        except (*DAMAGED, expat.ExpatError) as error:
            raise InputError(
                f"{source}: cannot be opened again ({one_line(error)}); has it been moved?"
            ) from error
        root.append(metadata(domain, tags))
        disguise(root, marker)
        crs = store_crs(root)
        options |= crs.options if crs else {}
        if classes and "OVERVIEW_RESAMPLING" in options:
            options["OVERVIEW_RESAMPLING"] = "NEAREST"
        recipe = stack.enter_context(
            MemoryFile(text := tostring(root, "unicode").encode(), ext=".vrt")
        )
        with _whole_or_nothing(target, source, dataset):
            whole = list(bands) == list(dataset.indexes)
            _interruptible(partial(_copy, recipe.name, target, bands, options, whole=whole))
            if marker.encode() in text:
                undisguise(target, marker, 2 * len(text))
            if crs:
                change_keys(target, crs)


@contextmanager
def _whole_or_nothing(target: Path, source: str, dataset: DatasetReader) -> Iterator[None]:
    """Remove what was written of ``target`` where that fails, and say why in one line."""
    try:
        yield
    except BaseException as error:
        _remove_incomplete(target)
        if not isinstance(error, RasterioError | CPLE_BaseError | OSError):
            raise
        if "read" in one_line(error).lower():
            _blame(source, dataset, error)
        cure = "free disk space, choose another -o, or check that the source is still readable"
        raise OutputError(f"{target}: cannot be written ({one_line(error)}); {cure}") from error


def _remove_incomplete(target: Path) -> None:
    """Remove what was written of ``target``, and the overviews in progress that GDAL leaves."""
    for scratch in ("", ".ovr.tmp", ".msk.ovr.tmp"):
        with suppress(OSError):
            target.with_name(target.name + scratch).unlink()


def _interruptible(work: Callable[[], None]) -> None:
    """Run ``work`` on a daemon thread, so that Ctrl-C need not wait for GDAL's copy to end."""
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


def _copy(
    recipe: str, target: Path, bands: Sequence[int], options: Mapping[str, str], *, whole: bool
) -> None:
    """Copy, and compare; ``whole`` says that all bands are in the parts."""
    # Without PAM: what a TIFF cannot hold would go to a sidecar that the caller's rename leaves
    # behind.
    with (
        rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_TIFF_INTERNAL_MASK="YES"),
        small_block_cache(COPY_CACHE if whole and len(bands) <= FEW_BANDS else None),
    ):
        rasterio.shutil.copy(recipe, str(target), **options)
        _read_back(recipe, target, bands)


def _blame(source: str, dataset: DatasetReader, error: BaseException) -> None:
    """Raise ``ReadError`` where reading the source failed rather than writing the target."""
    whole = Window(0, 0, dataset.height, dataset.width)
    if first_unreadable_block(dataset, whole):
        raise read_error(source, dataset, whole, error) from error


def _read_back(recipe: str, target: Path, bands: Sequence[int]) -> None:
    """Decode every block of the target: on a full disk GDAL reports nothing to its caller.

    Blocks that it could not write may read as zeros. So restored ``bands``, or all where none is,
    are compared with the source; other bands share the blocks of these.
    """
    with open_raster(recipe) as wanted, open_raster(str(target)) as dataset:
        masked = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
        chosen = list(bands or dataset.indexes)
        bits = packed_bits(dataset)[0]
        rounds = bool(bits) and dataset.dtypes[0].startswith("float")
        for _, window in dataset.block_windows(1):
            found = dataset.read(window=window)
            if chosen != list(dataset.indexes):
                found = found[[band - 1 for band in chosen]]
            same = rounds or np.array_equal(
                found,
                _as_stored(wanted.read(chosen, window=window), bits),
                equal_nan=found.dtype.kind == "f",
            )
            if masked:  # where it is of one bit, valid is 1 rather than 255
                valid, truly = (
                    opened.read_masks(1, window=window) != 0 for opened in (dataset, wanted)
                )
                same &= np.array_equal(valid, truly)
            if not same:
                raise OSError(
                    f"rows from {window.row_off}, columns from {window.col_off} do not read as"
                    " written"
                )


def _as_stored(pixels: Pixels, bits: str | None) -> Pixels:
    """Return integers as a file that stores so many ``bits`` of each holds them: saturated."""
    return np.minimum(pixels, pixels.dtype.type(2 ** int(bits) - 1)) if bits else pixels
