"""``da.geoae.restore(...)``: a lazy, Dask-backed DataArray, equal to what the command writes.

Importing this module registers the accessor with xarray.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
import dask.array
import numpy as np
import rioxarray  # noqa: F401  registers da.rio, which knows an array's nodata
import xarray
from numpy.typing import NDArray
from rioxarray.exceptions import RioXarrayError

from geoae.diagnose import Facts, Samples, enough, grids, windows
from geoae.engine import Work, restore_slabs
from geoae.errors import InputError
from geoae.fillvalues import both, refuse_foreign_fill
from geoae.order import Job, load_restorer, merged, plan_for
from geoae.plan import Slab, TilePlan
from geoae.radiometry import Nodata, is_measured
from geoae.spread import restorer_of
from geoae.window import Window, reflect

__all__ = ["GeoaeAccessor"]

# Tile rows a chunk: each chunk computes one more row of tiles above it.
TILE_ROWS = 4
Pixels = NDArray[Any]


@xarray.register_dataarray_accessor("geoae")
class GeoaeAccessor:
    """Restoration of a DataArray of dimensions (band, y, x) or (y, x), pixels in DN."""

    def __init__(self, array: xarray.DataArray) -> None:
        self._array = array

    def restore(self, **options: Any) -> xarray.DataArray:
        """The restored array, lazily: same dimensions, coordinates, attributes, dtype and nodata.

        ``options`` as for ``geoae.restore``, without those about files. Noise and map to model units
        are one node of the graph, drawn from windows all over the array; each slab is another. Raises
        ``InputError`` for other dimensions or complex data, ``RecipeError`` for options that do not fit.
        """
        job = Job.checked(source=str(self._array.name or "DataArray"), **options)
        array = self._array
        if not _is_raster(array) or array.dtype.kind not in "iuf":
            raise InputError(
                f"{job.source}: {array.dims} of {array.dtype} cannot be restored; give real (band, y, x) or (y, x)"
            )
        array = array if array.ndim == 3 else array.expand_dims("band")
        restored = _restored(job, dask.array.asarray(array.data), self._array.rio.nodata)
        return self._array.copy(data=restored.reshape(self._array.shape))


def _is_raster(array: xarray.DataArray) -> bool:
    """Whether the last of two or three dimensions are those that rioxarray takes for space."""
    try:
        return array.ndim in (2, 3) and array.dims[-2:] == (array.rio.y_dim, array.rio.x_dim)
    except RioXarrayError:
        return False


@dataclass(frozen=True, slots=True)
class _Region:
    """Full-width rows of a scene in memory, from ``row`` on, read like the scene itself."""

    pixels: Pixels
    row: int
    height: int
    nodata: Nodata

    def read(self, window: Window) -> tuple[Pixels, NDArray[np.bool_] | None]:
        rows = reflect(window.row, window.height, self.height) - self.row
        cols = reflect(window.col, window.width, self.pixels.shape[2])
        pixels = self.pixels[:, rows[:, None], cols[None, :]]
        mask = is_measured(pixels, self.nodata)
        return pixels, None if mask.all() else mask


def _restored(job: Job, scene: dask.array.Array, declared: float | None) -> dask.array.Array:
    """The graph: facts from sampled windows, then one node for each slab."""
    options = merged(job)
    refuse_foreign_fill(job.source, scene.dtype.name, options.nodata)
    nodata = both(declared, options.nodata)
    count, height, width = scene.shape
    chosen = list(range(count)) if options.bands is None else sorted(band - 1 for band in options.bands)
    if max(chosen) >= count:
        raise InputError(f"{job.source}: has bands 1 to {count}, not {max(chosen) + 1}; correct bands")
    sigma = options.known_sigma(job.source, [band + 1 for band in chosen])
    restorer = load_restorer(job)
    plan = plan_for(options, restorer, height, width, len(chosen))
    bands = scene[chosen]
    samples = [[bands[(slice(None), *window.slices())] for window in windows(height, width, *grid)] for grid in grids()]
    facts = dask.delayed(_facts)(samples, nodata, sigma)
    node = dask.delayed(_slab)
    rows = []
    for slab in plan.slabs(TILE_ROWS):
        first, stop = _needed(plan, slab)
        part = node(
            job, restorer.digest, plan, slab, bands[:, first:stop], first, nodata, facts, options.ramp or "smooth"
        )
        rows.append(dask.array.from_delayed(part, (len(chosen), slab.window.height, width), dtype=scene.dtype))
    restored = dask.array.concatenate(rows, axis=1)
    untouched = [scene[band : band + 1] for band in range(count)]
    merged_bands = [
        restored[chosen.index(b) : chosen.index(b) + 1] if b in chosen else untouched[b] for b in range(count)
    ]
    return dask.array.concatenate(merged_bands, axis=0)


def _needed(plan: TilePlan, slab: Slab) -> tuple[int, int]:
    """Start and stop of the rows from which ``slab`` is computed, its lead-in and holes' filling included."""
    top = plan.rows.start(max(slab.first - 1, 0)) - plan.halo
    bottom = plan.rows.start(slab.stop - 1) + plan.rows.tile + plan.halo
    rows = reflect(top, bottom - top, plan.rows.size)
    return int(rows.min()), int(rows.max()) + 1


def _facts(samples: list[list[Pixels]], nodata: Nodata, sigma: list[float] | None) -> Facts:
    found: Samples = []
    for grid in samples:
        found = [(pixels, is_measured(pixels, nodata)) for pixels in grid]
        if enough(found):
            break
    return Facts.of(found, sigma)


def _slab(
    job: Job,
    digest: str,
    plan: TilePlan,
    slab: Slab,
    pixels: Pixels,
    row: int,
    nodata: Nodata,
    facts: Facts,
    ramp: str,
) -> Pixels:
    restorer = restorer_of(job, digest)
    work = Work(plan, facts.scale(restorer.channels), restorer, [nodata] * len(pixels), ramp)
    result = np.empty((len(pixels), slab.window.height, slab.window.width), pixels.dtype)

    @contextmanager
    def sink(_: Slab) -> Iterator[_Memory]:
        yield _Memory(result, slab.window.row)

    restore_slabs(work, _Region(pixels, row, plan.rows.size, nodata).read, [slab], sink)
    return result


@dataclass(frozen=True, slots=True)
class _Memory:
    """A sink that keeps a slab in an array."""

    pixels: Pixels
    row: int

    def write(self, window: Window, pixels: Pixels) -> None:
        self.pixels[(slice(None), *window.slices(self.row))] = pixels
