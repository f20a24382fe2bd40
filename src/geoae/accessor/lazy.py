"""Restore a scene in a Dask array lazily: its statistics are one node of the graph, each slab
another.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import dask
import dask.array
import numpy as np

from geoae.accessor.bands import select_measurements, warn
from geoae.corrections.chain import MOST_HALO, NONE, Corrections, plan_corrections, reads_scene
from geoae.corrections.correction import cut_strips
from geoae.diagnosis.sampling import Drawn, draw_sample, has_enough_valid, sample
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import InputError
from geoae.models.restorer import Identity, Restorer
from geoae.pipeline.distributed import RemoteWork
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.explain import (
    explain_empty,
    explain_ignored,
    explain_unchanged,
    explain_unknown,
)
from geoae.pipeline.job import Job, ModelSpec, resolve_options
from geoae.pipeline.measure import GivenNoise
from geoae.pipeline.prepare import choose_steps, given_noise, load_restorer, plan_for
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.speckle_bias import keep_means
from geoae.radiometry.nodata import combine_nodata, is_measured, refuse_foreign_fill
from geoae.radiometry.speckle import REACH, Speckle, SpeckleKind, hide_zeros, refuse_other_units
from geoae.raster.memory import ArraySink, ArraySource, write_into
from geoae.tiling.plan import Slab, TilePlan
from geoae.tiling.window import Read, Window, reflect, windows
from geoae.types import Mask, Nodata, Pixels, Samples

__all__ = ["LazyRestoration"]

# Tile rows a chunk: each chunk computes one more row of tiles above it.
TILE_ROWS = 4
# A scene of fewer bytes is read whole where it is searched for valid pixels.
AT_ONCE = 512 << 20


@dataclass(frozen=True, eq=False, slots=True)
class LazyRestoration:
    """How scenes of one shape are restored: decided once, applied to each scene."""

    source: str
    """Name of the array, for messages."""
    options: Recipe
    """Resolved options."""
    model: ModelSpec
    """The model, for workers."""
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
                f"{job.source}: has bands 1 to {count}, not {chosen[-1] + 1}; correct bands"
            )
        refuse_foreign_fill(job.source, dtype.name, options.nodata)
        given = None if options.nodata is None else dtype.type(options.nodata).item()
        model = ModelSpec.of(job, options)
        restorer = load_restorer(model)
        plan = plan_for(options, restorer, height, width, len(chosen))
        undecided = None if options.bands else [names[band] for band in chosen]
        nodata = combine_nodata(declared, given)
        return cls(job.source, options, model, restorer, plan, chosen, nodata, undecided)

    def build(self, given: dask.array.Array) -> dask.array.Array:
        """Return the restored scene of ``given`` (band, y, x) in DN, of the same type, as a
        graph.
        """
        if not self.chosen:
            return given
        scene = _to_working_dtype(given)
        plan, (count, height, width) = self.plan, scene.shape
        bands, numbers = scene[self.chosen], [band + 1 for band in self.chosen]
        given_levels = given_noise(self.options, self.source, numbers, self.restorer)
        for line in explain_ignored(self.restorer, self.options.psd):
            warn(line)
        looks = [bands[(slice(None), *window.slices())] for window in windows(height, width)]
        whole = _Unread(bands, self.nodata, self.source, numbers, self.options.speckle)
        is_noise_needed = given_levels.sigma is None and not isinstance(self.restorer, Identity)
        remote = dask.delayed(_measure)(
            looks,
            whole,
            given_levels,
            choose_steps(self.options),
            self.names,
            is_noise_needed,
            partial(RemoteWork, self.model, self.restorer.digest, self.options),
        )
        node = dask.delayed(_slab)
        rows = []
        for slab in plan.slabs(TILE_ROWS):
            first, stop = _find_source_rows(plan, slab)
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


def _find_source_rows(plan: TilePlan, slab: Slab) -> tuple[int, int]:
    """Return start and stop of the rows that ``slab`` is computed from, with lead-in, filling and
    corrections.
    """
    around = plan.halo + MOST_HALO + REACH
    top = plan.rows.start(max(slab.first - 1, 0)) - around
    bottom = plan.rows.start(slab.stop - 1) + plan.rows.tile + around
    rows = reflect(top, bottom - top, plan.rows.size)
    return int(rows.min()), int(rows.max()) + 1


class _Unread:
    """Bands of a scene that are read only when they are asked for: Dask does not look into it."""

    __slots__ = ("bands", "kind", "nodata", "numbers", "source")

    def __init__(
        self,
        bands: dask.array.Array,
        nodata: Nodata,
        source: str,
        numbers: Sequence[int],
        kind: SpeckleKind | None,
    ) -> None:
        self.bands, self.nodata, self.source, self.numbers = bands, nodata, source, numbers
        self.kind = kind

    @contextmanager
    def only(self, indices: Sequence[int]) -> Iterator[Read]:
        """Open the bands of some ``indices``."""
        bands = self.bands[list(indices)]
        if bands.nbytes <= AT_ONCE:  # its chunks may be as large as the scene
            bands = dask.array.from_array(bands.compute(), chunks=-1)

        def read(window: Window) -> tuple[Pixels, Mask]:
            pixels = bands[(slice(None), *window.slices())].compute()
            return pixels, is_measured(pixels, self.nodata)

        yield hide_zeros(self.kind, read, *bands.shape[1:])


def _measure(
    first: list[Pixels],
    whole: _Unread,
    given: GivenNoise,
    steps: Sequence[str],
    names: Sequence[str] | None,
    is_noise_needed: bool,
    remote: Callable[[SceneStatistics, Corrections, Speckle | None], RemoteWork],
) -> RemoteWork:
    """Measure a scene; Python warnings name the bands that will stay as they are.

    Args:
        first: windows of the first grid, ``(band, row, col)`` each; mostly they are enough.
        whole: the scene, which is read where they are not, and for corrections.
        given: what is known of the noise of each band.
        steps: which corrections to look for.
        names: name of each band, or None where all are measurements, whatever their values.
        is_noise_needed: whether the user must be told of bands whose noise is not known.
        remote: puts together what workers need.

    """
    bands, height, width = whole.bands.shape
    samples: Samples = [(pixels, is_measured(pixels, whole.nodata)) for pixels in first]
    if whole.kind is not None:
        refuse_other_units(whole.kind, samples, whole.source)
    drawn = Drawn(samples, list(range(bands)))
    if whole.kind is not None or not has_enough_valid(samples):
        drawn = draw_sample(whole.only, bands, height, width)
    numbers = [whole.numbers[band] for band in drawn.kept]
    lines = explain_empty(whole.source, [one for one in whole.numbers if one not in numbers])
    if names is not None and drawn.kept:
        kept_names = [names[band] or str(whole.numbers[band]) for band in drawn.kept]
        drawn = _select(drawn, select_measurements(whole.source, kept_names, drawn.samples))
        numbers = [whole.numbers[band] for band in drawn.kept]
    facts, corrections, speckle = SceneStatistics.none(), NONE, None
    if drawn.kept:
        if reads_scene(steps):
            corrections, drawn = _correct(whole, drawn, steps)
        if whole.kind is not None:
            speckle, in_dn = (
                Speckle.of(whole.kind, drawn.samples, whole.bands.dtype.name),
                drawn.samples,
            )
            drawn = Drawn(speckle.sample_to_log(in_dn), drawn.kept)
        facts = given.measure(drawn.samples, drawn.kept, whole.kind)
        if speckle is not None:
            speckle = speckle.with_limits(facts.sigma.tolist())
            window = ArraySource(in_dn[0][0], nodata=[whole.nodata] * len(drawn.kept))
            work = remote(facts, NONE, speckle).build(window)
            speckle = keep_means(work, in_dn).speckle
    if is_noise_needed:
        if unknown := explain_unknown(whole.source, drawn.samples, facts):
            raise InputError(unknown)
        lines += explain_unchanged(whole.source, numbers, drawn.samples, facts)
    for line in lines:
        warn(line)
    return remote(
        facts.embed(drawn.kept, bands),
        corrections.embed(drawn.kept, bands),
        speckle and speckle.embed(drawn.kept, bands),
    )


def _correct(whole: _Unread, drawn: Drawn, steps: Sequence[str]) -> tuple[Corrections, Drawn]:
    """Plan the corrections of the sampled bands; return them, and the corrected sample."""
    _, height, width = whole.bands.shape
    with whole.only(drawn.kept) as read:
        strips = partial(cut_strips, read, len(drawn.kept), height, width)
        corrections = plan_corrections(strips, height, width, steps)
        if corrections.steps:
            clean = sample(corrections.wrap(read, height, width), height, width)
            drawn = Drawn(clean, drawn.kept)
    return corrections, drawn


def _select(drawn: Drawn, indices: Sequence[int]) -> Drawn:
    """Return the sample of the bands of some ``indices``."""
    samples = [(pixels[list(indices)], mask[list(indices)]) for pixels, mask in drawn.samples]
    return Drawn(samples, [drawn.kept[index] for index in indices])


def _slab(
    remote: RemoteWork, slab: Slab, pixels: Pixels, row: int, height: int, nodata: Nodata
) -> Pixels:
    """Restore one slab from the rows of the scene that it needs, of which ``row`` is the first."""
    source = ArraySource(pixels, nodata=[nodata] * len(pixels), row=row, rows=height)
    result = np.empty((len(pixels), slab.window.height, slab.window.width), pixels.dtype)
    sink = write_into(ArraySink(result, slab.window.row))
    restore_slabs(remote.build(source), source.read, [slab], sink)
    return result
