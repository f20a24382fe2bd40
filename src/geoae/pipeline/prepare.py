"""A restoration as an order of strings and numbers, and all that follows from it before any work."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geoae.config import explain
from geoae.diagnosis.sampling import Facts, sample
from geoae.errors import InputError, RecipeError
from geoae.models.restorer import Identity, Restorer, SelfEnsemble
from geoae.pipeline.engine import Work
from geoae.pipeline.recipe import FILL, Bands, Fill, Recipe, Sigma
from geoae.radiometry.nodata import FillValue, border, find_fill
from geoae.raster.scene import Scene
from geoae.raster.tags import history, remark
from geoae.system.memory import release_memory
from geoae.tiling.plan import TilePlan

__all__ = [
    "ALGORITHM",
    "Job",
    "ModelSpec",
    "Prepared",
    "is_local",
    "load_restorer",
    "merged",
    "order_of",
    "plan_for",
    "prepare",
    "target_of",
]

# Raised whenever the same order would give other pixels; tests/pipeline/test_fingerprint.py says what else a raise takes.
ALGORITHM = 4
# The options of geoae 0.1. Digests name these even where they are unset, as the digests in its outputs do.
FIRST_OPTIONS = ("bands", "overlap", "profile", "ramp", "sigma", "tile", "tta")
DEFAULT_MODEL = "res-cae"
# A tile in model units with its noise level and its residual, 4 bytes each: what bounds memory for scenes of very many bands.
TILE_BYTES = 384 << 20


class Job(BaseModel):
    """One scene to restore. Everything is a string or a number, so it travels to any worker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="scene to restore: anything GDAL opens by name")
    target: str | None = Field(None, description="file to write; by default NAME_restored.tif beside the source")
    model: str | None = Field(None, description="shipped model's name, or path of a model folder")
    sigma: Sigma | None = Field(None, description="noise in DN, of all restored bands or of each; or auto")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="arithmetic of the network")
    recipe: str | None = Field(None, description="shipped recipe's name, or path of a TOML file")
    tile: int | None = Field(None, gt=0, description="largest side of a tile in pixels")
    overlap: int | None = Field(None, gt=0, description="least overlap of tiles in pixels")
    batch_size: int | None = Field(None, gt=0, description="samples of one forward pass")
    bands: Bands | None = Field(None, description="1-based bands to restore, like 1-3,7; others are copied")
    nodata: Fill = Field(None, description=FILL)
    tta: bool | None = Field(
        None, description="self-ensemble: the mean over eight turns and flips, eight times as slow"
    )
    profile: Literal["cog", "gtiff"] | None = Field(None, description="kind of file written")
    overwrite: bool = Field(False, description="replace a target that is another result")
    fresh: bool = Field(False, description="discard what an interrupted run left")

    @classmethod
    def checked(cls, **options: object) -> Self:
        """A job from options of people; raises ``RecipeError`` with the first that is wrong."""
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            raise RecipeError(explain(error, cls)) from error


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model computes, and how: all that any worker needs to load it.

    ``model`` is a shipped name or the path of a model folder; the other fields are those of ``Job``.
    """

    model: str
    tta: bool = False
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None

    @classmethod
    def of(cls, job: Job, options: Recipe) -> Self:
        """The model of the resolved ``options``, computing as ``job`` says."""
        return cls(str(options.model), bool(options.tta), job.device, job.precision, job.batch_size)


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """A job decided in full: what is read, with which plan, map and model.

    ``options``: the job's and its recipe's, resolved; the recipe is not read again, so that a run keeps to
    the options that it began with. ``history``: the restorations that made the scene, where it is an output
    of geoae. ``fill``: a value that fills much of the scene, though nothing says that it is nodata.
    """

    job: Job
    options: Recipe
    scene: Scene
    facts: Facts
    work: Work
    history: list[dict[str, str]]
    fill: FillValue | None = None

    @property
    def warnings(self) -> list[str]:
        """What whoever gave the order ought to hear before the work begins."""
        warning = remark(self.job.source, self.history)
        return [*self.notes, *([warning] if warning else [])]

    @property
    def notes(self) -> list[str]:
        """What to look at in the scene before it is restored."""
        return [*self.scene.notes, *([self.fill.note(self.job.source)] if self.fill else [])]

    @property
    def target(self) -> str:
        """Where the result goes."""
        return target_of(self.job)

    @property
    def order(self) -> str:
        """Digest of all that was known before a pixel was read."""
        return order_of(self.options, self.scene, self.work.restorer, self.job.precision)

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides the result: input, model, options, algorithm."""
        scene, facts, work = self.scene, self.facts, self.work
        noise = (facts.sigma.tolist(), facts.slope.tolist())
        given = (ALGORITHM, scene.identity, facts.digest, scene.bands, *noise, work.restorer.digest)
        chosen = (work.ramp, self.job.precision, self.options.profile)
        nodata = [] if scene.fill is None else [scene.fill]
        return _digest(*map(repr, given), _plan_text(work.plan), *map(repr, [*chosen, *nodata]))


def prepare(job: Job, options: Recipe | None = None) -> Prepared:
    """Read what ``job`` names and decide everything; touches no output.

    Args:
        job: what is asked for.
        options: what ``merged(job)`` gave, where the caller has resolved the options before.

    Raises:
        GeoaeError: the scene, the model or an option cannot be used.

    """
    options = options or merged(job)
    scene = Scene.open(job.source, None if options.bands is None else tuple(options.bands), options.nodata)
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
    work = Work(plan, facts.scale(restorer.channels), restorer, scene.nodata, options.ramp or "smooth")
    return Prepared(job, options, scene, facts, work, history(job.source), fill)


def order_of(options: Recipe, scene: Scene, restorer: Restorer, precision: str) -> str:
    """Digest of input, model and the resolved ``options``. It decides the result of a local file, whose identity
    tells of its size and time of change; of a remote one it does not, since pixels may change unseen.
    """
    network = (restorer.digest, restorer.multiple, restorer.halo, restorer.tile)
    decided = (ALGORITHM, scene.identity, scene.bands, network, _set_options(options), precision)
    return _digest(*map(repr, decided))


def _digest(*texts: str) -> str:
    """Digest of facts in the words of geoae 0.1, which wrote a tuple's ``repr``.

    Only plain values (numbers, strings, lists and tuples of them) may be given as their ``repr``: that of an
    object changes with the names of its class and fields.
    """
    return hashlib.sha256(f"({', '.join(texts)})".encode()).hexdigest()


def _set_options(options: Recipe) -> list[tuple[str, object]]:
    """Options by name, of those later than geoae 0.1 only the ones that are set: a new option that nobody uses
    leaves every digest as it is.
    """
    given = options.model_dump(exclude={"description", "model"}, exclude_defaults=True)
    return sorted((dict.fromkeys(FIRST_OPTIONS) | given).items())


def _plan_text(plan: TilePlan) -> str:
    """The numbers of ``plan`` in the words of geoae 0.1, whatever its classes and fields are named today."""
    rows, cols = (
        f"Axis(size={axis.size}, tile={axis.tile}, overlap={axis.overlap}, pad={axis.pad}, count={axis.count})"
        for axis in (plan.rows, plan.cols)
    )
    return f"TilePlan(rows={rows}, cols={cols}, halo={plan.halo}, multiple={plan.multiple})"


def target_of(job: Job) -> str:
    """Where the result of ``job`` goes."""
    return job.target or _default_target(job.source)


def is_local(name: str) -> bool:
    """Whether ``name`` is a path of this machine rather than something only GDAL knows to open."""
    return not name.startswith("/vsi") and "://" not in name


def _default_target(source: str) -> str:
    # GTIFF_DIR:1:scene.tif and the like are names within a file.
    if not is_local(source) or (":" in source and not Path(source).exists()):
        raise RecipeError(f"{source}: is not a local file, so there is no folder beside it; name the output with -o")
    path = Path(source)
    return str(path.with_name(f"{path.stem}_restored.tif"))


def merged(job: Job) -> Recipe:
    """The recipe with the job's own options over it and the defaults under it; raises ``RecipeError``."""
    recipe = Recipe.read(job.recipe) if job.recipe else Recipe()
    asked = job.model_dump(
        include={"model", "sigma", "tile", "overlap", "bands", "nodata", "tta", "profile"}, exclude_none=True
    )
    if isinstance(recipe.sigma, list) and "bands" in asked and "sigma" not in asked:
        raise RecipeError(f"{job.recipe}: gives the noise of each of its own bands; with --bands give --sigma too")
    defaults = {"model": DEFAULT_MODEL, "sigma": "auto", "profile": "cog"}
    return Recipe.model_validate(defaults | recipe.model_dump(exclude_none=True) | asked)


def load_restorer(spec: ModelSpec) -> Restorer:
    """The model that ``spec`` names, on the device it names. Raises ``ModelError``, ``DeviceError``."""
    if spec.model == "identity":
        return Identity()
    from geoae.models.folder import load  # torch loads only where a network runs

    restorer = load(spec.model, device=spec.device, precision=spec.precision, batch_size=spec.batch_size)
    return SelfEnsemble(restorer) if spec.tta else restorer


def plan_for(options: Recipe, restorer: Restorer, height: int, width: int, bands: int) -> TilePlan:
    """The plan of a scene: the asked or the model's tile, less where many bands would make it heavy."""
    heaviest = int((TILE_BYTES / (12 * max(bands, 1))) ** 0.5)
    least = 4 * (restorer.halo + restorer.multiple)
    tile = options.tile or max(min(restorer.tile, heaviest), least)
    return TilePlan.fitted(
        height, width, tile=tile, overlap=options.overlap, halo=restorer.halo, multiple=restorer.multiple
    )
