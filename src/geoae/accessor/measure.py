"""Measure a scene in a Dask array, as one node of the graph."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Self

import dask.array

from geoae.accessor.bands import select_measurements, warn
from geoae.errors import InputError
from geoae.pipeline.distributed import RemoteWork, load_same
from geoae.pipeline.job import Job, ModelSpec
from geoae.pipeline.preparation.explain import explain_empty
from geoae.pipeline.preparation.measure import draw
from geoae.pipeline.preparation.prepare import prepare
from geoae.pipeline.recipe import Recipe
from geoae.radiometry.validity.nodata import is_measured
from geoae.tiling.window import Window, reflect_inside
from geoae.types import Mask, Nodata, Pixels, Samples

__all__ = ["Asked", "LazyReader", "LazySource", "decide_lazily"]

# A scene of fewer bytes is read whole where more of it is asked for than its first windows.
AT_ONCE = 512 << 20


class LazySource:
    """A scene whose pixels are computed only when they are read.

    It is no dataclass, since Dask would look into one and compute its pixels before.

    Args:
        pixels: the restored bands ``(band, row, col)`` in DN.
        nodata: their values that mark invalid pixels.
        source: name for messages.
        bands: their numbers, from 1 on.

    """

    def __init__(
        self, pixels: dask.array.Array, nodata: Nodata, source: str, bands: Sequence[int]
    ) -> None:
        self.pixels, self.source, self.fill = pixels, source, nodata
        self.bands: tuple[int, ...] = tuple(bands)
        self.dtype = pixels.dtype.name
        self.height, self.width = pixels.shape[1:]
        self._known: Mapping[Window, Pixels] = {}

    @property
    def identity(self) -> str:
        """Name of the graph of its pixels: equal where Dask takes the pixels for the same."""
        return str(self.pixels.name)

    @property
    def nodata(self) -> Sequence[Nodata]:
        """Values of each band that mark invalid pixels, the same of all."""
        return [self.fill] * len(self.bands)

    def know(self, windows: Mapping[Window, Pixels]) -> Self:
        """Return the scene, of which some windows have been computed before."""
        known = copy(self)
        known._known = windows
        return known

    def restrict(self, indices: Sequence[int]) -> Self:
        """Return the scene with some of its bands; see ``Source.restrict``."""
        kept, some = list(indices), copy(self)
        some.pixels = self.pixels[kept]
        some.bands = tuple(self.bands[index] for index in kept)
        some._known = {window: pixels[kept] for window, pixels in self._known.items()}
        return some

    @contextmanager
    def reader(self) -> Iterator["LazyReader"]:
        """Give a reader, which may compute the whole scene at its first window."""
        yield LazyReader(self, self._known)


class LazyReader:
    """Computes windows of a scene."""

    def __init__(self, scene: LazySource, known: Mapping[Window, Pixels]) -> None:
        self._scene, self._known, self._pixels = scene, known, scene.pixels

    def read(self, window: Window) -> tuple[Pixels, Mask]:
        """Compute one window, which may reach beyond the scene; see ``Reader.read``."""
        inner, continued = reflect_inside(window, self._scene.height, self._scene.width)
        pixels = self._known.get(inner)
        if pixels is None:
            pixels = self._whole()[(slice(None), *inner.slices())].compute()
        pixels = continued(pixels)
        return pixels, is_measured(pixels, self._scene.fill)

    def _whole(self) -> dask.array.Array:
        # Chunks may be as large as the scene, and each window would compute them again.
        if self._pixels.nbytes <= AT_ONCE and self._pixels is self._scene.pixels:
            self._pixels = dask.array.from_array(self._pixels.compute(), chunks=-1)
        return self._pixels


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for, and with which model."""

    job: Job
    """The job."""
    options: Recipe
    """Its resolved options."""
    digest: str
    """Digest of the model where the graph was built."""


def decide_lazily(
    asked: Asked,
    scene: LazySource,
    windows: Sequence[Window],
    looks: Sequence[Pixels],
    names: Sequence[str] | None,
) -> RemoteWork:
    """Decide everything about a scene; Python warnings name the bands that will stay as they are.

    Args:
        asked: what is asked for.
        scene: the scene, with the bands to restore.
        windows: the first windows of it that are looked at; mostly they are enough.
        looks: their pixels, ``(band, row, col)`` each.
        names: name of each band, or None where all are measurements, whatever their values.

    Raises:
        GeoaeError: the scene cannot be restored.

    """
    scene = scene.know(dict(zip(windows, looks, strict=True)))
    options = asked.options
    measured, samples = draw(scene, options.speckle)
    empty = [band for band in scene.bands if band not in measured.bands]
    for line in explain_empty(scene.source, empty):
        warn(line)
    if names is not None and measured.bands:
        measured, samples = _without_classes(scene, measured, samples, names)
    spec = ModelSpec.of(asked.job, options)
    restorer = load_same(spec, asked.digest)
    prepared = prepare(asked.job, options, restorer, scene, (measured, samples))
    if prepared.unknown:
        raise InputError(prepared.unknown)
    for line in prepared.warnings:
        warn(line)
    kept = [scene.bands.index(band) for band in measured.bands]
    return RemoteWork.of(prepared).embed(kept, len(scene.bands))


def _without_classes(
    scene: LazySource, measured: LazySource, samples: Samples, names: Sequence[str]
) -> tuple[LazySource, Samples]:
    """Leave out the bands whose values are those of flags or classes."""
    kept = [scene.bands.index(band) for band in measured.bands]
    called = [names[index] or str(scene.bands[index]) for index in kept]
    indices = select_measurements(scene.source, called, samples)
    some = [(pixels[indices], mask[indices]) for pixels, mask in samples]
    return measured.restrict(indices), some
