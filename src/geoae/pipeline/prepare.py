"""Decide everything about a job before any work: scene, statistics, model and plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoae.corrections.chain import NONE, STEPS, Corrections
from geoae.corrections.findings import find_steps
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import InputError
from geoae.models.restorer import Identity, Restorer, SelfEnsemble
from geoae.pipeline import explain
from geoae.pipeline.engine import Work
from geoae.pipeline.fingerprint import ALGORITHM, hash_texts, plan_text, request_digest
from geoae.pipeline.job import Job, ModelSpec, resolve_options, target_of
from geoae.pipeline.measure import GivenNoise, Measured, measure
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.speckle_bias import keep_means
from geoae.radiometry.nodata import FillValue
from geoae.radiometry.psd import read_psd
from geoae.radiometry.scale import Scale
from geoae.radiometry.speckle import Speckle
from geoae.raster.scene import Scene
from geoae.raster.tags import already_restored_warning, read_history
from geoae.system.memory import release_memory
from geoae.tiling.plan import TilePlan
from geoae.tiling.source import Source

__all__ = [
    "Prepared",
    "build_work",
    "choose_steps",
    "given_noise",
    "load_restorer",
    "plan_for",
    "prepare",
]

# A tile in model units with its noise level and its residual, 4 bytes each: what bounds memory for
# scenes of very many bands.
TILE_BYTES = 384 << 20


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """A job decided in full: what is read, with which plan, map and model."""

    job: Job
    """The job."""
    options: Recipe
    """Its resolved options. The recipe is not read again, so a run keeps the options it began
    with.
    """
    scene: Scene
    """The source."""
    facts: SceneStatistics
    """Statistics of the source."""
    work: Work
    """Plan, map and model."""
    history: list[dict[str, str]]
    """The restorations that made the source, if it is an output of geoae."""
    fill: FillValue | None = None
    """A value that fills much of the source, though nothing says that it is nodata."""
    empty: tuple[int, ...] = ()
    """Bands that are copied, since none of their pixels is valid."""
    unchanged: tuple[str, ...] = ()
    """Lines on bands that will stay as they are."""
    unknown: str = ""
    """Why nothing can be restored unless the noise is given; empty where something can."""
    sharpened: SceneStatistics | None = None
    """Statistics of the source after sharpening; None for none."""

    @property
    def told(self) -> SceneStatistics:
        """Statistics of what the network gets: noise and signal after sharpening."""
        return self.facts if self.sharpened is None else self.sharpened

    @property
    def warnings(self) -> list[str]:
        """What the user should know before the work begins."""
        warning = already_restored_warning(self.job.source, self.history)
        return [*self.notes, *([warning] if warning else [])]

    @property
    def notes(self) -> list[str]:
        """What to look at in the scene before it is restored."""
        fill = [self.fill.note(self.job.source)] if self.fill else []
        unknown = [self.unknown] if self.unknown else []
        return [*self.scene.losses, *self.scene.notes, *fill, *self.unchanged, *unknown]

    @property
    def steps(self) -> list[str]:
        """What is done to the scene, and why: one line each."""
        done, speckle = self.work.corrections.describe(), self.work.speckle
        bands, restorer = self.scene.bands, self.work.restorer
        if not isinstance(restorer, Identity):
            done += [] if speckle is None else [speckle.describe()]
            done += explain.describe_noise(bands, self.facts, self.unit)
            done += explain.describe_components(self.facts.signal)
        if self.sharpened is not None:
            done += explain.describe_sharpened(bands, self.sharpened, restorer)
        return done

    @property
    def missed(self) -> list[str]:
        """Steps that the user asks for and that have nothing to do: one line each."""
        noisy = isinstance(self.work.restorer, Identity) or bool(self.facts.sigma.any())
        found = find_steps(self.work.corrections) | ({"noise"} if noisy else set())
        return explain.explain_missed(self.options.steps or (), choose_steps(self.options), found)

    @property
    def unit(self) -> str:
        """Unit of the noise."""
        return "DN" if self.work.speckle is None else self.work.speckle.unit

    @property
    def target(self) -> str:
        """Path of the output."""
        return target_of(self.job)

    @property
    def request_digest(self) -> str:
        """Digest of all that was known before a pixel was read."""
        bands = tuple(sorted((*self.scene.bands, *self.empty)))
        opened = replace(self.scene, bands=bands)
        return request_digest(self.options, opened, self.work.restorer, self.job.precision)

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides the result: input, model, options, algorithm."""
        scene, facts, work = self.scene, self.facts, self.work
        noise = (facts.sigma.tolist(), facts.slope.tolist())
        given = (ALGORITHM, scene.identity, facts.digest, scene.bands, *noise, work.restorer.digest)
        chosen = (work.ramp, self.job.precision, self.options.profile)
        nodata = [] if scene.fill is None else [scene.fill]
        # Facts newer than geoae 0.1 count only where there are any.
        newer = [*chosen, *nodata]
        if facts.correlation is not None and work.restorer.takes_spectrum:
            newer.append(facts.correlation.tolist())
        if work.corrections.digest:
            newer.append(work.corrections.digest)
        if work.speckle is not None:
            newer.append(work.speckle.kind)  # the rest follows from the sample and the model
        return hash_texts(*map(repr, given), plan_text(work.plan), *map(repr, newer))


def prepare(job: Job, options: Recipe | None = None, restorer: Restorer | None = None) -> Prepared:
    """Read the scene of a job and decide everything; no output is touched.

    Args:
        job: the job.
        options: its resolved options, where the caller has resolved them before.
        restorer: its model, where the caller has loaded it before.

    Returns:
        The job with all decisions.

    Raises:
        GeoaeError: the scene, the model or an option cannot be used.

    """
    options = options or resolve_options(job)
    scene = Scene.open(
        job.source, None if options.bands is None else tuple(options.bands), options.nodata
    )
    restorer = restorer or load_restorer(ModelSpec.of(job, options))
    found = Measured(scene, SceneStatistics.none())
    if scene.bands:
        given = given_noise(options, job.source, scene.bands, restorer)
        is_noise_needed = not isinstance(restorer, Identity)
        steps = choose_steps(options)
        kinds = options.speckle, options.sharpen
        found = measure(scene, given, steps, *kinds, is_noise_needed=is_noise_needed)
        release_memory()
    facts = found.facts
    if not np.isfinite([*facts.sigma, *facts.slope]).all():
        raise InputError(
            f"{job.source}: its noise cannot be estimated; give sigma, the noise in DN"
        )
    told = facts if found.sharpened is None else found.sharpened
    scale = told.scale(restorer.channels)
    work = build_work(options, restorer, found.scene, scale, found.corrections, found.speckle)
    work = keep_means(work, found.samples)
    sharpens = options.sharpen is not None
    ignored = explain.explain_ignored(restorer, options.psd, sharpens=sharpens)
    return Prepared(
        job,
        options,
        found.scene,
        facts,
        work,
        read_history(job.source),
        found.fill,
        found.empty,
        (*found.unchanged, *ignored),
        found.unknown,
        found.sharpened,
    )


def choose_steps(options: Recipe) -> tuple[str, ...]:
    """Return the steps that are looked for and taken before the network, of ``STEPS``.

    Where the user names none, these are all; the model ``identity`` takes none by itself. Bursts
    are not looked for in speckle of linear pixels, where every bright line is noisier.
    """
    default = () if options.model == "identity" else STEPS
    steps = default if options.steps is None else tuple(options.steps)
    multiplicative = options.speckle not in (None, "db")
    return tuple(step for step in steps if not (multiplicative and step == "bursts"))


def given_noise(
    options: Recipe, source: str, bands: Sequence[int], restorer: Restorer
) -> GivenNoise:
    """Return what the options say of the noise of the restored ``bands``.

    Raises:
        RecipeError: there is not one value for each band.

    """
    psd = options.psd
    return GivenNoise(
        options.known_sigma(source, bands),
        None if psd is None or not restorer.takes_spectrum else read_psd(psd, len(bands)),
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
