"""The raster: what it is, which of its bands are measurements, and windows of its pixels."""

import hashlib
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from xml.parsers.expat import ExpatError

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from geoae.errors import InputError
from geoae.fillvalues import both, refuse_foreign_fill
from geoae.radiometry import Nodata, is_measured
from geoae.sidecars import described_beside
from geoae.soundness import (
    DAMAGED,
    STRICT,
    line,
    no_codec,
    nothing_there,
    read_error,
    refuse_absurd,
    refuse_too_many,
    refuse_what_is_no_file,
    refuse_what_tiff_cannot_say,
)  # fmt: skip
from geoae.wholeness import refuse_cut_short
from geoae.window import Window, reflect

__all__ = ["NOT_MEASURED", "Reader", "Scene", "on_disk"]

DTYPES = {
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64",
}  # fmt: skip
# Names under which products ship masks, classes and quality flags.
NOT_MEASURED = re.compile(
    r"\b(qa|quality|flags?|mask|fmask|cloud ?mask|scl|scene classification|class(es|ification)?|dqf|radsat|land ?cover)\b"
)


@contextmanager
def _opened(source: str) -> Iterator[rasterio.DatasetReader]:
    """``source`` as a dataset; whatever goes wrong becomes an ``InputError``."""
    refuse_what_is_no_file(source)
    with warnings.catch_warnings(), rasterio.Env(**STRICT):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(source)
        except DAMAGED as error:
            raise no_codec(source, line(error)) or InputError(
                f"{source}: cannot be opened as a raster ({nothing_there(source) or line(error)}); check the path and the "
                "format, and that it is whole"
            ) from error
        with dataset:
            yield dataset


@contextmanager
def _understood(source: str) -> Iterator[None]:
    """What is said of a raster may be damaged too: keys that contradict each other, text that is none."""
    try:
        yield
    except (*DAMAGED, ExpatError) as error:
        raise InputError(
            f"{source}: its description is damaged ({line(error)}); repair it, or keep the pixels alone by gdal_translate"
        ) from error


@dataclass(frozen=True, slots=True)
class Scene:
    """A raster as far as restoring it is concerned.

    ``bands``: 1-based bands that are restored; ``copied``: the others, each with the reason;
    ``nodata`` of each restored band; ``fill``: the value that a person says is nodata too; ``masked``: whether any pixel may be invalid; ``identity``: a
    digest of structure, metadata, what sidecars add and, for local files, size and time of change; ``files``: those of
    this machine that the pixels come from, and ``state``: what tells whether they have changed since.
    """

    source: str
    height: int
    width: int
    count: int
    dtype: str
    bands: tuple[int, ...]
    copied: dict[int, str]
    nodata: tuple[Nodata, ...]
    fill: float | int | None
    masked: bool
    driver: str
    crs: str
    pixel_size: tuple[float, float] | None
    identity: str
    files: tuple[str, ...]
    state: str

    @classmethod
    def open(cls, source: str, only: tuple[int, ...] | None = None, fill: float | int | None = None) -> Self:
        """Describe ``source``; restore ``only`` these bands, copy the others. Pixels of the value ``fill`` are not
        measured, whatever the file declares.

        Raises ``InputError`` for what cannot be opened or restored (complex data, mixed types, no
        bands, bands that do not exist, a ``fill`` that the type cannot hold).
        """
        with _opened(source) as dataset, _understood(source):
            if dataset.count == 0:
                inside = f"; name one of its {len(dataset.subdatasets)} subdatasets" if dataset.subdatasets else ""
                raise InputError(f"{source}: holds no raster band{inside}")
            dtype = _one_dtype(source, dataset)
            refuse_foreign_fill(source, dtype, fill)
            refuse_absurd(source, dataset)
            copied = _copied(dataset, only)
            bands = tuple(band for band in dataset.indexes if band not in copied)
            refuse_too_many(source, len(bands))
            refuse_what_tiff_cannot_say(source, dataset)
            flags, nodata = dataset.mask_flag_enums, dataset.nodatavals
            masked = any(flags[band - 1] != [MaskFlags.all_valid] for band in bands) or dtype.startswith("float")
            masked = masked or fill is not None
            georeferenced = not dataset.transform.is_identity
            files = _local_files(source, dataset)
            refuse_cut_short(source, files)
            return cls(
                source=source, height=dataset.height, width=dataset.width, count=dataset.count, dtype=dtype,
                bands=bands, copied=copied, nodata=tuple(both(nodata[band - 1], fill) for band in bands), fill=fill,
                masked=masked, driver=dataset.driver, crs=_crs_name(dataset),
                pixel_size=dataset.res if georeferenced else None, identity=_identity(source, dataset, files),
                files=files, state=_state(files),
            )  # fmt: skip

    def changed(self) -> bool:
        """Whether the local files have been written to, replaced or removed since the scene was opened."""
        return _state(self.files) != self.state

    @contextmanager
    def reader(self) -> Iterator["Reader"]:
        """A handle of its own: GDAL datasets must not be shared between threads."""
        with _opened(self.source) as dataset:
            yield Reader(self, dataset)


@dataclass(frozen=True, slots=True)
class Reader:
    """Windows of a scene's restored bands, in DN, through one GDAL handle."""

    scene: Scene
    dataset: rasterio.DatasetReader

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Pixels ``(band, height, width)`` and their mask (None: all valid).

        A window may reach beyond the scene, which continues as its own reflection. Raises
        ``ReadError`` with the window that would not read.
        """
        scene = self.scene
        rows = reflect(window.row, window.height, scene.height)
        cols = reflect(window.col, window.width, scene.width)
        inner = Window(int(rows.min()), int(cols.min()), int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1)
        pixels, mask = self._read_inside(inner)
        if inner != window:
            rows, cols = rows - inner.row, cols - inner.col
            # Rows first, while they are whole: three times as fast as both at once.
            pixels = pixels[:, rows].take(cols, axis=2)
            mask = None if mask is None else mask[:, rows].take(cols, axis=2)
        return pixels, mask

    def _read_inside(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        scene = self.scene
        area = RasterWindow(window.col, window.row, window.width, window.height)
        try:
            pixels = self.dataset.read(list(scene.bands), window=area)
            if not scene.masked:
                return pixels, None
            mask = self.dataset.read_masks(list(scene.bands), window=area) != 0
        except RasterioError as error:
            raise read_error(scene.source, self.dataset, window, error) from error
        mask &= is_measured(pixels, scene.fill)
        return pixels, None if mask.all() else mask


def _one_dtype(source: str, dataset: rasterio.DatasetReader) -> str:
    dtypes = sorted(set(dataset.dtypes))
    if len(dtypes) > 1:
        raise InputError(f"{source}: bands of several types ({', '.join(dtypes)}); split them into one file a type")
    if dtypes[0] not in DTYPES:
        raise InputError(f"{source}: {dtypes[0]} data cannot be restored; convert it first, complex SAR to amplitude")
    return str(dtypes[0])


def _copied(dataset: rasterio.DatasetReader, only: tuple[int, ...] | None) -> dict[int, str]:
    """Bands that are not restored, with the reason."""
    missing = sorted(set(only or ()) - set(dataset.indexes))
    if missing:
        raise InputError(f"{dataset.name}: has bands 1 to {dataset.count}, not {missing[0]}; correct --bands")
    # Each of these lists is made anew whenever it is asked for.
    bands = zip(dataset.indexes, dataset.colorinterp, dataset.descriptions, strict=True)
    reasons = {band: reason for band, *says in bands if (reason := _not_measured(dataset, band, *says))}
    if only is not None:
        reasons |= {band: "not among --bands" for band in dataset.indexes if band not in only and band not in reasons}
    return reasons


def _not_measured(dataset: rasterio.DatasetReader, band: int, interp: ColorInterp, name: str | None) -> str | None:
    """Why ``band`` is no measurement, or None where it is one."""
    if interp is ColorInterp.palette:
        return "palette"
    if interp is ColorInterp.alpha:
        return "alpha"
    if dataset.get_tag_item("NBITS", "IMAGE_STRUCTURE", bidx=band) == "1":
        return "1-bit mask"
    words = (name or "").lower().replace("_", " ")
    return "quality or class band" if NOT_MEASURED.search(words) else None


def _crs_name(dataset: rasterio.DatasetReader) -> str:
    crs = dataset.crs or dataset.gcps[1]
    if not crs:
        return "none"
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else (crs.to_wkt().split('"')[1] if '"' in crs.to_wkt() else "custom")


def _local_files(source: str, dataset: rasterio.DatasetReader) -> tuple[str, ...]:
    """Files of this machine that pixels and masks come from: a mosaic's, an archive; no overviews or statistics."""
    names = [source, *dataset.files]
    found = {on_disk(name) for name in names if not name.endswith((".ovr", ".aux.xml"))}
    return tuple(sorted(path for path in found if path))


def on_disk(name: str) -> str | None:
    """The file behind a name that GDAL or rasterio opens, such as the archive in ``/vsizip//data/scene.zip/inside.tif``."""
    path = Path(re.sub(r"^([\w+]+://)?(/vsi\w+/)*", "", name))
    return next(
        (str(p) for p in (path, *path.parents) if (found := _stat(str(p))) and stat.S_ISREG(found.st_mode)), None
    )


def _state(files: tuple[str, ...]) -> str:
    """Size and times of ``files``. The time of the inode too, which nobody can set back."""
    facts = [(now.st_size, now.st_mtime_ns, now.st_ctime_ns) if (now := _stat(name)) else None for name in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _stat(name: str) -> os.stat_result | None:
    try:
        return Path(name).stat()
    except (OSError, ValueError):  # ValueError: no name that a file can have
        return None


def _identity(source: str, dataset: rasterio.DatasetReader, files: tuple[str, ...]) -> str:
    stats = [(now.st_size, now.st_mtime_ns) for name in files if (now := _stat(name))]
    spaces = {None, *dataset.tag_namespaces()} - {"DERIVED_SUBDATASETS"}
    facts = (
        dataset.shape, dataset.dtypes, dataset.nodatavals, dataset.descriptions, str(dataset.crs), tuple(dataset.transform),
        sorted((str(space), sorted(dataset.tags(ns=space).items())) for space in spaces), stats,
    )  # fmt: skip
    beside = described_beside(source, dataset)
    return hashlib.sha256(repr((*facts, beside) if beside else facts).encode()).hexdigest()
