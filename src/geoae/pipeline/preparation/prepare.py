"""Decide everything about a job before any work: scene, statistics, model and plan."""

from collections.abc import Sequence
from typing import Any, TypeVar, overload

import numpy as np

from geoae.corrections.chain import NONE, Corrections
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import InputError
from geoae.models.restorer import Identity, Restorer, SelfEnsemble
from geoae.pipeline.job import Job, ModelSpec, resolve_options
from geoae.pipeline.preparation import explain
from geoae.pipeline.preparation.measure import (
    GivenNoise,
    Measured,
    measure,
    release_leftovers,
)
from geoae.pipeline.preparation.prepared import Prepared
from geoae.pipeline.preparation.speckle_bias import keep_means
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.tiles import Work
from geoae.radiometry.psd import read_psd
from geoae.radiometry.scale import Scale
from geoae.radiometry.speckle import Speckle
from geoae.raster.scene import Scene
from geoae.raster.tags import read_history
from geoae.tiling.plan import TilePlan
from geoae.tiling.source import Source
from geoae.types import Samples

__all__ = [
    "build_work",
    "given_noise",
    "load_restorer",
    "plan_for",
    "prepare",
]

S = TypeVar("S", bound=Source)

# A tile in model units with its noise level and its residual, 4 bytes each: what bounds memory for
# scenes of very many bands.
TILE_BYTES = 384 << 20


@overload
def prepare(
    job: Job, options: Recipe | None = None, restorer: Restorer | None = None
) -> Prepared[Scene]: ...


@overload
def prepare(
    job: Job,
    options: Recipe | None,
    restorer: Restorer | None,
    source: S,
    drawn: tuple[S, Samples] | None = None,
) -> Prepared[S]: ...


def prepare(
    job: Job,
    options: Recipe | None = None,
    restorer: Restorer | None = None,
    source: Source | None = None,
    drawn: tuple[Any, Samples] | None = None,
) -> Prepared[Any]:
    """Read the scene of a job and decide everything; no output is touched.

    Args:
        job: the job.
        options: its resolved options, where the caller has resolved them before.
        restorer: its model, where the caller has loaded it before.
        source: the scene, where it is no raster that the job names; its bands are restored,
            whatever the options say of bands and nodata.
        drawn: as for ``measure``.

    Returns:
        The job with all decisions.

    Raises:
        GeoaeError: the scene, the model or an option cannot be used.

    """
    options = options or resolve_options(job)
    history: list[dict[str, str]] = []
    opening: tuple[str, ...] = ()
    scene = source
    if scene is None:
        only = None if options.bands is None else tuple(options.bands)
        opened = Scene.open(job.source, only, options.nodata)
        scene, opening = opened, (*opened.losses, *opened.notes)
        history = read_history(job.source)
    # After the scene, since torch takes seconds to load, and a wrong path is the usual mistake.
    restorer = restorer or load_restorer(ModelSpec.of(job, options))
    found = _measure(scene, job, options, restorer, drawn)
    told = found.facts if found.sharpened is None else found.sharpened
    scale = told.scale(restorer.channels, shares_gain=restorer.shares_gain)
    work = build_work(options, restorer, found.scene, scale, found.corrections, found.speckle)
    work = keep_means(work, found.samples)
    sharpens = options.sharpen is not None
    ignored = explain.explain_ignored(restorer, options.psd, sharpens=sharpens)
    return Prepared(
        job,
        options,
        found.scene,
        found.facts,
        work,
        history,
        opening,
        found.fill,
        found.empty,
        (*found.unchanged, *ignored),
        found.unknown,
        found.sharpened,
    )


def _measure(
    scene: S,
    job: Job,
    options: Recipe,
    restorer: Restorer,
    drawn: tuple[S, Samples] | None,
) -> Measured[S]:
    """Measure what the options ask for; nothing where no band is restored."""
    if not scene.bands:
        return Measured(scene, SceneStatistics.none())
    given = given_noise(options, job.source, scene.bands, restorer)
    found = measure(
        scene,
        given,
        options.chosen_steps,
        options.speckle,
        options.sharpen,
        is_noise_needed=not isinstance(restorer, Identity),
        drawn=drawn,
    )
    release_leftovers(scene)
    if not np.isfinite([*found.facts.sigma, *found.facts.slope]).all():
        raise InputError(
            f"{job.source}: its noise cannot be estimated; give --sigma, the noise in DN"
        )
    return found


def given_noise(
    options: Recipe, source: str, bands: Sequence[int], restorer: Restorer
) -> GivenNoise:
    """Return what the options say of the noise of the restored bands.

    Args:
        options: the resolved options.
        source: name of the scene for messages.
        bands: the restored bands, from 1.
        restorer: the model.

    Raises:
        RecipeError: there is not one value for each band.

    """
    psd = options.psd
    # What sharpening makes of a noise level depends on the spectrum, whatever the network takes.
    is_used = restorer.takes_spectrum or options.sharpen is not None
    return GivenNoise(
        options.known_sigma(source, bands),
        read_psd(psd, len(bands)) if psd is not None and is_used else None,
        seeks_spectrum=psd is None and restorer.takes_spectrum,
    )


def load_restorer(spec: ModelSpec) -> Restorer:
    """Load the model of ``spec`` on its device; raise ``ModelError`` or ``DeviceError``."""
    if spec.model == "identity" or not spec.denoises:
        return Identity()
    from geoae.models.folder import load  # torch loads only where a network runs

    restorer = load(
        spec.model, device=spec.device, precision=spec.precision, batch_size=spec.batch_size
    )
    return SelfEnsemble(restorer) if spec.tta else restorer


def build_work(
    options: Recipe,
    restorer: Restorer,
    source: Source,
    scale: Scale,
    corrections: Corrections = NONE,
    speckle: Speckle | None = None,
) -> Work:
    """Put together what the engine needs: the one place where this is done.

    The same arguments give the same plan, so workers far from each other agree on their tiles.

    Args:
        options: resolved options; tile, overlap and ramp count here.
        restorer: the model.
        source: what is restored.
        scale: the map to model units of the whole scene.
        corrections: corrections of the whole scene.
        speckle: logarithm of the whole scene; None for none.

    """
    plan = plan_for(options, restorer, source.height, source.width, len(source.bands))
    nodata = source.nodata if speckle is None else speckle.with_zero(source.nodata)
    ramp = options.ramp or "smooth"
    return Work(plan, scale, restorer, nodata, ramp, corrections, speckle)


def plan_for(options: Recipe, restorer: Restorer, height: int, width: int, bands: int) -> TilePlan:
    """Plan the tiles of a scene.

    The largest tile is that of the options or else of the model, smaller where many bands would
    need too much memory.

    Args:
        options: resolved options.
        restorer: the model.
        height: rows of the scene.
        width: columns of the scene.
        bands: number of bands to restore.

    Returns:
        The plan.

    Raises:
        RecipeError: tile or overlap is too small for the model's halo.

    """
    heaviest = int((TILE_BYTES / (12 * max(bands, 1))) ** 0.5)
    least = 4 * (restorer.halo + restorer.multiple)
    tile = options.tile or max(min(restorer.tile, heaviest), least)
    return TilePlan.fit(
        height,
        width,
        tile=tile,
        overlap=options.overlap,
        halo=restorer.halo,
        multiple=restorer.multiple,
    )
