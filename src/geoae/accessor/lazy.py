"""A scene held in a Dask array, restored lazily: facts are one node of the graph, each slab is
another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask
import dask.array
import numpy as np

from geoae.accessor.bands import find_measured
from geoae.diagnosis.sampling import Samples, enough
from geoae.diagnosis.statistics import Facts
from geoae.errors import InputError
from geoae.models.restorer import Restorer
from geoae.pipeline.distributed import restorer_of
from geoae.pipeline.engine import Work, restore_slabs
from geoae.pipeline.job import Job, ModelSpec, merged
from geoae.pipeline.prepare import load_restorer, plan_for
from geoae.pipeline.recipe import Recipe
from geoae.radiometry.nodata import Nodata, both, is_measured, refuse_foreign_fill
from geoae.raster.memory import ArraySink, Region, write_into
from geoae.tiling.plan import Slab, TilePlan
from geoae.tiling.window import grids, reflect, windows
from geoae.types import Pixels

__all__ = ["LazyRestoration"]

# Tile rows a chunk: each chunk computes one more row of tiles above it.
TILE_ROWS = 4


@dataclass(frozen=True, eq=False, slots=True)
class LazyRestoration:
    """How scenes of one shape are restored: decided once, built for each scene."""

    source: str
    options: Recipe
    model: ModelSpec
    restorer: Restorer
    plan: TilePlan
    chosen: list[int]
    """Indices of the bands that are restored."""
    nodata: Nodata
    names: Sequence[str] | None = None
    """Names of the chosen bands whose values decide too; None where the job names its bands."""

    @classmethod
    def of(
        cls,
        job: Job,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        *,
        declared: float | None,
        copied: Sequence[int],
        names: Sequence[str],
    ) -> "LazyRestoration":
        """Decide for scenes of ``shape`` (band, y, x).

        Args:
            job: what is asked for.
            shape: bands, rows and columns of each scene.
            dtype: type of their pixels.
            declared: the value of invalid pixels that the array declares, in DN, or None.
            copied: indices of bands that are restored only where the job names them.
            names: what each band is called, empty where nothing says.

        Raises:
            InputError: the job names a band that is not there, or a nodata value that ``dtype``
                cannot hold.
            RecipeError, ModelError, DeviceError: options that do not fit.

        """
        options = merged(job)
        count, height, width = shape
        measured = [band for band in range(count) if band not in copied]
        chosen = sorted(band - 1 for band in options.bands) if options.bands else measured
        if chosen and chosen[-1] >= count:
            raise InputError(
                f"{job.source}: has bands 1 to {count}, not {chosen[-1] + 1}; correct bands"
            )
        refuse_foreign_fill(job.source, dtype.name, options.nodata)
        given = None if options.nodata is None else dtype.type(options.nodata).item()
        model = ModelSpec.of(job, options)
        restorer = load_restorer(model)
        plan = plan_for(options, restorer, height, width, len(chosen))
        undecided = None if options.bands else [names[band] for band in chosen]
        nodata = both(declared, given)
        return cls(job.source, options, model, restorer, plan, chosen, nodata, undecided)

    def build(self, given: dask.array.Array) -> dask.array.Array:
        """Return the restored scene of ``given`` (band, y, x) in DN, of the same type, as a
        graph.
        """
        if not self.chosen:
            return given
        scene = _to_working_dtype(given)
        plan, (count, height, width) = self.plan, scene.shape
        sigma = self.options.known_sigma(self.source, [band + 1 for band in self.chosen])
        bands = scene[self.chosen]
        samples = [
            [bands[(slice(None), *window.slices())] for window in windows(height, width, *grid)]
            for grid in grids()
        ]
        measured = dask.delayed(_measured)(self.source, self.names, samples, self.nodata)
        facts = dask.delayed(_facts)(samples, self.nodata, sigma, measured)
        node, ramp = dask.delayed(_slab), self.options.ramp or "smooth"
        rows = []
        for slab in plan.slabs(TILE_ROWS):
            first, stop = _needed(plan, slab)
            pixels = bands[:, first:stop]
            part = node(
                self.model,
                self.restorer.digest,
                plan,
                slab,
                pixels,
                first,
                self.nodata,
                facts,
                ramp,
                measured,
            )
            rows.append(
                dask.array.from_delayed(
                    part, (len(bands), slab.window.height, width), dtype=scene.dtype
                )
            )
        restored = iter(dask.array.concatenate(rows, axis=1))
        merged_bands = [
            next(restored) if band in self.chosen else scene[band] for band in range(count)
        ]
        return _from_working_dtype(dask.array.stack(merged_bands), given.dtype)


def _to_working_dtype(scene: dask.array.Array) -> dask.array.Array:
    """The types that the engine computes with: the machine's byte order, and float32 for
    float16.
    """
    return scene.astype(np.float32 if scene.dtype == np.float16 else scene.dtype.newbyteorder("="))


def _from_working_dtype(scene: dask.array.Array, dtype: np.dtype[Any]) -> dask.array.Array:
    """Back to ``dtype``; finite values beyond float16 saturate, as for every other type."""
    if dtype == np.float16:
        limit = np.finfo(np.float16).max
        scene = dask.array.where(
            dask.array.isfinite(scene), dask.array.clip(scene, -limit, limit), scene
        )
    return scene.astype(dtype)


def _needed(plan: TilePlan, slab: Slab) -> tuple[int, int]:
    """Start and stop of the rows from which ``slab`` is computed, its lead-in and holes' filling
    included.
    """
    top = plan.rows.start(max(slab.first - 1, 0)) - plan.halo
    bottom = plan.rows.start(slab.stop - 1) + plan.rows.tile + plan.halo
    rows = reflect(top, bottom - top, plan.rows.size)
    return int(rows.min()), int(rows.max()) + 1


def _measured(
    source: str, names: Sequence[str] | None, samples: list[list[Pixels]], nodata: Nodata
) -> list[int]:
    """Indices of the chosen bands that are measurements by their values."""
    if names is None:
        return list(range(len(samples[0][0])))
    return find_measured(source, names, _enough(samples, nodata))


def _enough(samples: list[list[Pixels]], nodata: Nodata) -> Samples:
    found: Samples = []
    for grid in samples:
        found = [(pixels, is_measured(pixels, nodata)) for pixels in grid]
        if enough(found):
            break
    return found


def _facts(
    samples: list[list[Pixels]], nodata: Nodata, sigma: list[float] | None, measured: list[int]
) -> Facts:
    if not measured:
        return Facts.none()
    grids_of = [[pixels[measured] for pixels in grid] for grid in samples]
    known = None if sigma is None else [sigma[index] for index in measured]
    return Facts.of(_enough(grids_of, nodata), known)


def _slab(
    model: ModelSpec,
    digest: str,
    plan: TilePlan,
    slab: Slab,
    pixels: Pixels,
    row: int,
    nodata: Nodata,
    facts: Facts,
    ramp: str,
    measured: list[int],
) -> Pixels:
    result = pixels[:, slab.window.row - row : slab.window.stop_row - row].copy()
    if not measured:
        return result
    restorer = restorer_of(model, digest)
    work = Work(plan, facts.scale(restorer.channels), restorer, [nodata] * len(measured), ramp)
    restored = np.empty((len(measured), *result.shape[1:]), pixels.dtype)
    sink = write_into(ArraySink(restored, slab.window.row))
    region = Region(pixels[measured], row, plan.rows.size, nodata)
    restore_slabs(work, region.read, [slab], sink)
    result[measured] = restored
    return result
