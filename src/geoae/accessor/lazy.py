"""Restore a scene in a Dask array lazily: its statistics are one node of the graph, each slab
another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask
import dask.array
import numpy as np

from geoae.accessor.measure import Asked, LazySource, decide_lazily
from geoae.corrections.chain import most_halo
from geoae.errors import InputError
from geoae.models.restorer import Restorer
from geoae.pipeline.distributed import RemoteWork
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.job import Job, ModelSpec, resolve_options
from geoae.pipeline.preparation.prepare import given_noise, load_restorer, plan_for
from geoae.pipeline.recipe import Recipe
from geoae.radiometry.backscatter import REACH
from geoae.radiometry.validity.nodata import combine_nodata, refuse_foreign_fill
from geoae.raster.memory import ArraySink, ArraySource, write_into
from geoae.tiling.plan import Slab, TilePlan
from geoae.tiling.window import reflect, windows
from geoae.types import Nodata, Pixels

__all__ = ["LazyRestoration"]

# Tile rows a chunk: each chunk computes one more row of tiles above it.
TILE_ROWS = 4


@dataclass(frozen=True, eq=False, slots=True)
class LazyRestoration:
    """How scenes of one shape are restored: decided once, applied to each scene."""

    job: Job
    """What is asked for; its source is the name of the array, for messages."""
    options: Recipe
    """Resolved options."""
    restorer: Restorer
    """The model, loaded."""
    plan: TilePlan
    """Tiles of a scene."""
    chosen: list[int]
    """Indices of the bands that are restored."""
    nodata: Nodata
    """Nodata values of all bands in DN."""
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
        options = resolve_options(job)
        count, height, width = shape
        measured = [band for band in range(count) if band not in copied]
        chosen = sorted(band - 1 for band in options.bands) if options.bands else measured
        if chosen and chosen[-1] >= count:
            raise InputError(
                f"{job.source}: has bands 1 to {count}, not {chosen[-1] + 1}; correct --bands"
            )
        refuse_foreign_fill(job.source, dtype.name, options.nodata)
        given = None if options.nodata is None else dtype.type(options.nodata).item()
        restorer = load_restorer(ModelSpec.of(job, options))
        plan = plan_for(options, restorer, height, width, len(chosen))
        undecided = None if options.bands else [names[band] for band in chosen]
        nodata = combine_nodata(declared, given)
        lazy = cls(job, options, restorer, plan, chosen, nodata, undecided)
        given_noise(options, job.source, lazy.numbers, restorer)  # refuses what does not fit
        return lazy

    @property
    def numbers(self) -> list[int]:
        """Numbers of the bands that are restored, from 1 on."""
        return [band + 1 for band in self.chosen]

    def build(self, given: dask.array.Array) -> dask.array.Array:
        """Return the restored scene of ``given`` (band, y, x) in DN, of the same type, as a
        graph.
        """
        if not self.chosen:
            return given
        scene = _to_working_dtype(given)
        plan, (count, height, width) = self.plan, scene.shape
        bands, looks = scene[self.chosen], list(windows(height, width))
        remote = dask.delayed(decide_lazily)(
            Asked(self.job, self.options, self.restorer.digest),
            LazySource(bands, self.nodata, self.job.source, self.numbers),
            looks,
            [bands[(slice(None), *window.slices())] for window in looks],
            self.names,
        )
        steps, sharpens = self.options.chosen_steps, self.options.sharpen is not None
        node, apron = dask.delayed(_slab), REACH + most_halo(steps, sharpens)
        rows = []
        for slab in plan.slabs(TILE_ROWS):
            first, stop = _find_source_rows(plan, slab, apron)
            pixels = bands[:, first:stop]
            part = node(remote, slab, pixels, first, height, self.nodata)
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
    """Convert to a type that the engine computes with: native byte order, float32 for float16."""
    return scene.astype(np.float32 if scene.dtype == np.float16 else scene.dtype.newbyteorder("="))


def _from_working_dtype(scene: dask.array.Array, dtype: np.dtype[Any]) -> dask.array.Array:
    """Convert back to ``dtype``; finite values beyond float16 saturate, as in every other type."""
    if dtype == np.float16:
        limit = np.finfo(np.float16).max
        scene = dask.array.where(
            dask.array.isfinite(scene), dask.array.clip(scene, -limit, limit), scene
        )
    return scene.astype(dtype)


def _find_source_rows(plan: TilePlan, slab: Slab, apron: int) -> tuple[int, int]:
    """Return start and stop of the rows that ``slab`` is computed from, with lead-in and filling;
    ``apron`` are those that corrections need.
    """
    around = plan.halo + apron
    top = plan.rows.start(max(slab.first - 1, 0)) - around
    bottom = plan.rows.start(slab.stop - 1) + plan.rows.tile + around
    rows = reflect(top, bottom - top, plan.rows.size)
    return int(rows.min()), int(rows.max()) + 1


def _slab(
    remote: RemoteWork, slab: Slab, pixels: Pixels, row: int, height: int, nodata: Nodata
) -> Pixels:
    """Restore one slab from the rows of the scene that it needs, of which ``row`` is the first."""
    source = ArraySource(pixels, nodata=[nodata] * len(pixels), row=row, rows=height)
    result = np.empty((len(pixels), slab.window.height, slab.window.width), pixels.dtype)
    sink = write_into(ArraySink(result, slab.window.row))
    restore_slabs(remote.build(source), source.read, [slab], sink)
    return result
