"""Decide everything about a job before any work: scene, statistics, model and plan."""

from dataclasses import dataclass

import numpy as np

from geoae.diagnosis.sampling import sample
from geoae.diagnosis.statistics import Facts
from geoae.errors import InputError
from geoae.models.restorer import Identity, Restorer, SelfEnsemble
from geoae.pipeline.engine import Work
from geoae.pipeline.fingerprint import ALGORITHM, hash_texts, order_of, plan_text
from geoae.pipeline.job import Job, ModelSpec, merged, target_of
from geoae.pipeline.recipe import Recipe
from geoae.radiometry.nodata import FillValue, border, find_fill
from geoae.raster.scene import Scene
from geoae.raster.tags import history, remark
from geoae.system.memory import release_memory
from geoae.tiling.plan import TilePlan

__all__ = ["Prepared", "load_restorer", "plan_for", "prepare"]

# A tile in model units with its noise level and its residual, 4 bytes each: what bounds memory for
# scenes of very many bands.
TILE_BYTES = 384 << 20


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """A job on which everything is decided: what is read, with which plan, map and model."""

    job: Job
    """The job."""
    options: Recipe
    """Its resolved options. The recipe is not read again, so a run keeps the options it began
    with.
    """
    scene: Scene
    """The source."""
    facts: Facts
    """Statistics of the source."""
    work: Work
    """Plan, map and model."""
    history: list[dict[str, str]]
    """The restorations that made the source, if it is an output of geoae."""
    fill: FillValue | None = None
    """A value that fills much of the source although nothing declares it as nodata."""

    @property
    def warnings(self) -> list[str]:
        """What the user should know before the work begins."""
        warning = remark(self.job.source, self.history)
        return [*self.notes, *([warning] if warning else [])]

    @property
    def notes(self) -> list[str]:
        """What the user should look at in the scene before it is restored."""
        return [*self.scene.notes, *([self.fill.note(self.job.source)] if self.fill else [])]

    @property
    def target(self) -> str:
        """Path of the output."""
        return target_of(self.job)

    @property
    def order(self) -> str:
        """Digest of all that is known before a pixel is read."""
        return order_of(self.options, self.scene, self.work.restorer, self.job.precision)

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides the result: input, model, options, algorithm."""
        scene, facts, work = self.scene, self.facts, self.work
        noise = (facts.sigma.tolist(), facts.slope.tolist())
        given = (ALGORITHM, scene.identity, facts.digest, scene.bands, *noise, work.restorer.digest)
        chosen = (work.ramp, self.job.precision, self.options.profile)
        nodata = [] if scene.fill is None else [scene.fill]
        return hash_texts(*map(repr, given), plan_text(work.plan), *map(repr, [*chosen, *nodata]))


def prepare(job: Job, options: Recipe | None = None) -> Prepared:
    """Read the scene of a job and decide everything; no output is touched.

    Args:
        job: the job.
        options: its resolved options, where the caller has resolved them before.

    Returns:
        The job with all decisions.

    Raises:
        GeoaeError: the scene, the model or an option cannot be used.

    """
    options = options or merged(job)
    scene = Scene.open(
        job.source, None if options.bands is None else tuple(options.bands), options.nodata
    )
    restorer = load_restorer(ModelSpec.of(job, options))
    facts, fill = Facts.none(), None
    if scene.bands:
        sigma = options.known_sigma(job.source, scene.bands)
        with scene.reader() as reader:
            samples = sample(reader.read, scene.height, scene.width)
            edges = border(reader.read, scene.height, scene.width)
        release_memory()  # of GDAL's blocks
        facts, fill = Facts.of(samples, sigma), find_fill(samples, edges)
        del samples
        release_memory()
    if not np.isfinite([*facts.sigma, *facts.slope]).all():
        raise InputError(f"{job.source}: its noise cannot be estimated; give --sigma")
    plan = plan_for(options, restorer, scene.height, scene.width, len(scene.bands))
    work = Work(
        plan, facts.scale(restorer.channels), restorer, scene.nodata, options.ramp or "smooth"
    )
    return Prepared(job, options, scene, facts, work, history(job.source), fill)


def load_restorer(spec: ModelSpec) -> Restorer:
    """Load the model of ``spec`` on its device; raise ``ModelError`` or ``DeviceError``."""
    if spec.model == "identity":
        return Identity()
    from geoae.models.folder import load  # torch loads only where a network runs

    restorer = load(
        spec.model, device=spec.device, precision=spec.precision, batch_size=spec.batch_size
    )
    return SelfEnsemble(restorer) if spec.tta else restorer


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
    return TilePlan.fitted(
        height,
        width,
        tile=tile,
        overlap=options.overlap,
        halo=restorer.halo,
        multiple=restorer.multiple,
    )
