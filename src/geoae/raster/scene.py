"""A raster to restore: its description, which bands are measurements, and windows of its pixels."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from geoae.errors import InputError
from geoae.radiometry.validity.nodata import combine_nodata, is_measured, refuse_foreign_fill
from geoae.raster.checks.truncation import refuse_cut_short
from geoae.raster.checks.validate import (
    check_dtype,
    check_fits_geotiff,
    read_error,
    refuse_absurd,
    refuse_too_many,
)
from geoae.raster.crs import name_crs
from geoae.raster.dataset import (
    STRICT,
    on_disk,
    open_source,
    refuse_damaged_description,
    stat_file,
)
from geoae.raster.measurement import (
    Verdict,
    describe_verdicts,
    give_copy_reasons,
    judge_bands,
    masks_others,
)
from geoae.raster.sidecars import read_sidecar_facts
from geoae.tiling.window import Window, reflect_inside
from geoae.types import Nodata

__all__ = ["EMPTY", "Reader", "Scene"]

# Why a band without any valid pixel is copied.
EMPTY = "no valid pixel"

# Variables of a container that an error names.
SHOWN = 8


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
            dtype = check_dtype(source, dataset)
            refuse_foreign_fill(source, dtype, fill)
            refuse_absurd(source, dataset)
            files = _local_files(source, dataset)
            refuse_cut_short(source, files)
            verdicts = judge_bands(source, dataset, only)
            copied = give_copy_reasons(verdicts, only)
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
                crs=name_crs(dataset.crs or dataset.gcps[1]),
                pixel_size=dataset.res if georeferenced else None,
                identity=_identity(source, dataset, files),
                files=files,
                state=_state(files),
                mistagged=tuple(
                    band for band, verdict in verdicts.items() if verdict.against == "alpha"
                ),
                notes=tuple(describe_verdicts(source, dataset, verdicts, only)),
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

    def restrict(self, indices: Sequence[int]) -> Self:
        """Return the scene with some of its restored bands; see ``Source.restrict``."""
        bands = tuple(self.bands[index] for index in indices)
        nodata = tuple(self.nodata[index] for index in indices)
        empty = {band: EMPTY for band in self.bands if band not in bands}
        copied = dict(sorted((self.copied | empty).items()))
        return replace(self, bands=bands, nodata=nodata, copied=copied)

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
        inner, continued = reflect_inside(window, scene.height, scene.width)
        pixels, mask = self._read_inside(inner)
        return continued(pixels), None if mask is None else continued(mask)

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


def _is_masked(
    dataset: DatasetReader, bands: tuple[int, ...], verdicts: Mapping[int, Verdict]
) -> bool:
    """Whether any pixel of ``bands`` may be invalid."""
    if dataset.dtypes[0].startswith("float"):
        return True
    if masks_others(dataset):
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
