"""A raster to restore: its description, which bands are measurements, and windows of its pixels."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from geoae.errors import InputError, ReadError
from geoae.radiometry.band_names import (
    ANCILLARY,
    ANGLES,
    CLASSES,
    Meaning,
    interpret_file_name,
    interpret_name,
)
from geoae.radiometry.classes import gather_values
from geoae.radiometry.nodata import combine_nodata, is_measured, refuse_foreign_fill
from geoae.raster.dataset import (
    STRICT,
    on_disk,
    open_source,
    refuse_damaged_description,
    stat_file,
)
from geoae.raster.measurement import BY_VALUES, Claims, Verdict, judge
from geoae.raster.sidecars import read_sidecar_facts
from geoae.raster.truncation import refuse_cut_short
from geoae.raster.validate import (
    MOST_BANDS,
    check_fits_geotiff,
    read_error,
    refuse_absurd,
    refuse_too_many,
)
from geoae.tiling.window import FEW, Window, grids, reflect, windows
from geoae.types import Nodata

__all__ = ["EMPTY", "Reader", "Scene"]

# Why a band without any valid pixel is copied.
EMPTY = "no valid pixel"

DTYPES = {
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float32",
    "float64",
}
# Variables of a container that an error names.
SHOWN = 8
# What a file may say of a band that is none the less restored.
CLAIMS = {
    "palette": "has a palette",
    "alpha": "is tagged as alpha",
    "1-bit mask": "has one bit a pixel",
    CLASSES: "is named as flags or classes",
    ANGLES: "is named as angles",
    ANCILLARY: "is named as dates, counts or uncertainties",
}
# Attributes by which CF says that a variable holds flags.
CF_FLAGS = {"flag_values", "flag_masks", "flag_meanings"}


@dataclass(frozen=True, slots=True)
class Scene:
    """The description of a raster, as far as restoring it needs."""

    source: str
    """The raster, as GDAL opens it."""
    height: int
    """Number of rows."""
    width: int
    """Number of columns."""
    count: int
    """Number of bands."""
    dtype: str
    """Type of the pixels."""
    bands: tuple[int, ...]
    """Bands that are restored, 1-based."""
    copied: dict[int, str]
    """The other bands, each with the reason."""
    nodata: tuple[Nodata, ...]
    """Nodata values of each restored band."""
    masked: bool
    """Whether any pixel may be invalid."""
    driver: str
    """GDAL's driver."""
    crs: str
    """Name of the coordinate reference system."""
    pixel_size: tuple[float, float] | None
    """Width and height of a pixel in units of the CRS; None without a georeference."""
    identity: str
    """Digest of structure, metadata, what sidecars add and, for local files, size and time of
    change.
    """
    files: tuple[str, ...]
    """Local files that the pixels come from."""
    state: str
    """Digest of size and times of these files, which shows whether they have changed."""
    mistagged: tuple[int, ...]
    """Bands that are tagged as alpha but are measurements."""
    notes: tuple[str, ...]
    """Lines for the user on bands that are not what the file states."""
    losses: tuple[str, ...] = ()
    """Lines on what an output cannot hold."""
    fill: float | int | None = None
    """The nodata value that the user gives, or None."""

    @classmethod
    def open(
        cls, source: str, only: tuple[int, ...] | None = None, fill: float | int | None = None
    ) -> Self:
        """Describe a raster.

        Args:
            source: anything GDAL opens by name.
            only: 1-based bands to restore, others are copied; None for all measurements.
            fill: value of pixels that are not measured, whatever the file declares.

        Raises:
            InputError: the raster cannot be opened or restored (complex data, mixed types, no
                bands, bands that do not exist, a ``fill`` that the type cannot hold).

        """
        with open_source(source) as dataset, refuse_damaged_description(source):
            if dataset.count == 0:
                raise InputError(f"{source}: holds no raster band{_name_inside(dataset)}")
            dtype = _one_dtype(source, dataset)
            refuse_foreign_fill(source, dtype, fill)
            refuse_absurd(source, dataset)
            files = _local_files(source, dataset)
            refuse_cut_short(source, files)
            verdicts = _verdicts(source, dataset, only)
            copied = _give_copy_reasons(verdicts, only)
            bands = tuple(band for band in dataset.indexes if band not in copied)
            refuse_too_many(source, len(bands))
            check_fits_geotiff(source, dataset)
            nodata = dataset.nodatavals
            georeferenced = not dataset.transform.is_identity
            return cls(
                source=source,
                height=dataset.height,
                width=dataset.width,
                count=dataset.count,
                dtype=dtype,
                bands=bands,
                copied=copied,
                nodata=tuple(combine_nodata(nodata[band - 1], fill) for band in bands),
                fill=fill,
                masked=fill is not None or _is_masked(dataset, bands, verdicts),
                driver=dataset.driver,
                crs=_crs_name(dataset),
                pixel_size=dataset.res if georeferenced else None,
                identity=_identity(source, dataset, files),
                files=files,
                state=_state(files),
                mistagged=tuple(
                    band for band, verdict in verdicts.items() if verdict.against == "alpha"
                ),
                notes=tuple(_notes(source, dataset, verdicts, only)),
                losses=tuple(_losses(source, dataset)),
            )

    @property
    def has_classes(self) -> bool:
        """Whether an average of neighbours would mean something else in any of its bands."""
        return not {"alpha", "not among --bands", EMPTY} >= set(self.copied.values())

    def has_changed(self) -> bool:
        """Whether the local files were written to, replaced or removed since the scene was
        opened.
        """
        return _state(self.files) != self.state

    @contextmanager
    def reader(self) -> Iterator["Reader"]:
        """Open a reader with a handle of its own, since threads must not share a GDAL dataset."""
        with open_source(self.source) as dataset:
            yield Reader(self, dataset)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads windows of a scene's restored bands through one GDAL handle."""

    scene: Scene
    """The scene."""
    dataset: rasterio.DatasetReader
    """The open dataset."""

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Read a window, which may reach beyond the scene; the scene is continued by reflection.

        Returns:
            Pixels ``(band, height, width)`` in DN and their mask, None where all are valid.

        Raises:
            ReadError: the window cannot be read.

        """
        scene = self.scene
        rows = reflect(window.row, window.height, scene.height)
        cols = reflect(window.col, window.width, scene.width)
        inner = Window(
            int(rows.min()), int(cols.min()), int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1
        )
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
            # GDAL's settings belong to a thread, and tiles are read ahead on one of their own.
            with rasterio.Env(**STRICT):
                pixels = self.dataset.read(list(scene.bands), window=area)
                if not scene.masked:
                    return pixels, None
                mask = self.dataset.read_masks(list(scene.bands), window=area) != 0
        except RasterioError as error:
            raise read_error(scene.source, self.dataset, window, error) from error
        mask &= is_measured(pixels, scene.fill)
        return pixels, None if mask.all() else mask


def _name_inside(dataset: DatasetReader) -> str:
    """The addresses to give in place of a container's name."""
    names = dataset.subdatasets
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more (see gdalinfo)" if len(names) > SHOWN else ""
    return (
        f"; give one of its {len(names)} variables by address: {' or '.join(names[:SHOWN])}{more}"
    )


def _one_dtype(source: str, dataset: rasterio.DatasetReader) -> str:
    dtypes = sorted(set(dataset.dtypes))
    if len(dtypes) > 1:
        raise InputError(
            f"{source}: bands of several types ({', '.join(dtypes)}); split them into one file a"
            " type"
        )
    if dtypes[0] not in DTYPES:
        raise InputError(
            f"{source}: {dtypes[0]} data cannot be restored; convert it first, complex SAR to"
            " amplitude"
        )
    return str(dtypes[0])


def _verdicts(
    source: str, dataset: DatasetReader, only: tuple[int, ...] | None
) -> dict[int, Verdict]:
    """Decide what each band is; those that ``only`` names are measurements whatever the file
    states.
    """
    missing = sorted(set(only or ()) - set(dataset.indexes))
    if missing:
        raise InputError(
            f"{dataset.name}: has bands 1 to {dataset.count}, not {missing[0]}; correct --bands"
        )
    # Each of these lists is made anew whenever it is asked for.
    bands = zip(dataset.indexes, dataset.colorinterp, dataset.descriptions, strict=True)
    restored = dataset.tags(ns="GEOAE").get("BANDS", "").split(",")
    file = interpret_file_name(source)
    few = dataset.count <= MOST_BANDS  # more are refused, whatever their values are
    if dataset.count > 1:  # what is true of one band need not be true of all
        file = Meaning(file.kind, sure=False)
    found = {}
    for band, colour, name in bands:
        bits = dataset.get_tag_item("NBITS", "IMAGE_STRUCTURE", bidx=band)
        flags = bool(CF_FLAGS & {key.rpartition("#")[2] for key in dataset.tags(band)})
        claims = Claims(colour, name or "", bits, str(band) in restored, file, flags)
        asked = band in (only or ())
        needed = few and not asked and (only is None or claims.kind == "alpha")
        found[band] = judge(
            claims, _values(source, dataset, band, claims) if needed else [], asked=asked
        )
    return found


def _values(
    source: str, dataset: DatasetReader, band: int, claims: Claims
) -> list[NDArray[np.float64]]:
    """Read windows of a band in DN, NaN in place of nodata, if its claims require them."""

    def read(window: Window) -> NDArray[np.float64]:
        area = RasterWindow(window.col, window.row, window.width, window.height)
        try:
            pixels = dataset.read(band, window=area).astype(np.float64)
        except RasterioError as error:
            raise read_error(source, dataset, window, error) from error
        return np.where(pixels == dataset.nodatavals[band - 1], np.nan, pixels)

    if claims.kind is None and not claims.restored:
        with suppress(ReadError):  # restoring will say where the damage is
            return gather_values(read, dataset.height, dataset.width)
    found: list[NDArray[np.float64]] = []
    for grid in grids() if claims.kind == "alpha" else ():
        found = [read(window) for window in windows(dataset.height, dataset.width, *grid)]
        if sum(np.count_nonzero(np.nan_to_num(pixels)) for pixels in found) >= FEW:
            break
    return found


def _give_copy_reasons(
    verdicts: Mapping[int, Verdict], only: tuple[int, ...] | None
) -> dict[int, str]:
    """Return the bands that are not restored, with the reason."""
    others = {} if only is None else dict.fromkeys(set(verdicts) - set(only), "not among --bands")
    kinds = {band: verdict.kind for band, verdict in verdicts.items() if verdict.kind}
    return dict(sorted((others | kinds).items()))


def _masks_others(dataset: DatasetReader) -> bool:
    """Whether GDAL uses an alpha band as mask of the others: it must be the last of two or four."""
    return any(MaskFlags.alpha in flags for flags in dataset.mask_flag_enums)


def _is_masked(
    dataset: DatasetReader, bands: tuple[int, ...], verdicts: Mapping[int, Verdict]
) -> bool:
    """Whether any pixel of ``bands`` may be invalid."""
    if dataset.dtypes[0].startswith("float"):
        return True
    if _masks_others(dataset):
        return verdicts[dataset.count].kind == "alpha"
    flags = dataset.mask_flag_enums
    return any(flags[band - 1] != [MaskFlags.all_valid] for band in bands)


def _losses(source: str, dataset: DatasetReader) -> Iterator[str]:
    """Yield one line for all that an output cannot hold."""
    pages = [name for name in dataset.subdatasets if name.startswith("GTIFF_DIR:")]
    if len(pages) > 1:
        yield (
            f"{source}: has {len(pages)} pages, of which only the first is restored and written;"
            f" restore another by its address, like {pages[1]}"
        )


def _notes(
    source: str,
    dataset: DatasetReader,
    verdicts: Mapping[int, Verdict],
    only: tuple[int, ...] | None,
) -> Iterator[str]:
    """Yield one line for each band about which the file is wrong, or only its name tells."""
    named = interpret_file_name(source).kind
    for band, verdict in verdicts.items():
        if (
            named
            and verdict.kind == named
            and not interpret_name(dataset.descriptions[band - 1] or "").kind
        ):
            yield (
                f"{source}: band {band} is copied, since the file's name says {named}; to"
                " restore it, name it in --bands"
            )
        if verdict.kind == BY_VALUES:
            yield (
                f"{source}: band {band} is copied, since its values look like flags or classes; to"
                " restore it, name it in --bands"
            )
        if verdict.against is None:
            continue
        claim = f"{source}: band {band} {CLAIMS[verdict.against]}"
        if band in (only or ()):
            yield f"{claim}, but is restored since --bands names it"
        elif only is None:
            yield (
                f"{claim}, but holds a measurement, so it is restored; to copy it, name the others"
                " in --bands"
            )
        elif _masks_others(dataset):
            yield f"{claim}, but holds a measurement, so it does not say which pixels are valid"


def _crs_name(dataset: rasterio.DatasetReader) -> str:
    crs = dataset.crs or dataset.gcps[1]
    if not crs:
        return "none"
    code = crs.to_epsg()
    return (
        f"EPSG:{code}"
        if code
        else (crs.to_wkt().split('"')[1] if '"' in crs.to_wkt() else "custom")
    )


def _local_files(source: str, dataset: rasterio.DatasetReader) -> tuple[str, ...]:
    """List local files of pixels and masks (a mosaic's, an archive); no overviews or statistics."""
    names = [source, *dataset.files]
    found = {on_disk(name) for name in names if not name.endswith((".ovr", ".aux.xml"))}
    return tuple(sorted(path for path in found if path))


def _state(files: tuple[str, ...]) -> str:
    """Hash size and times of ``files``, the inode's time too, which nobody can set back."""
    facts = [
        (now.st_size, now.st_mtime_ns, now.st_ctime_ns) if (now := stat_file(name)) else None
        for name in files
    ]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _identity(source: str, dataset: rasterio.DatasetReader, files: tuple[str, ...]) -> str:
    stats = [(now.st_size, now.st_mtime_ns) for name in files if (now := stat_file(name))]
    spaces = {None, *dataset.tag_namespaces()} - {"DERIVED_SUBDATASETS"}
    facts = (
        dataset.shape,
        dataset.dtypes,
        dataset.nodatavals,
        dataset.descriptions,
        str(dataset.crs),
        tuple(dataset.transform),
        sorted((str(space), sorted(dataset.tags(ns=space).items())) for space in spaces),
        stats,
    )
    beside = read_sidecar_facts(source, dataset)
    return hashlib.sha256(repr((*facts, beside) if beside else facts).encode()).hexdigest()
