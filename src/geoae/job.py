"""A restoration as an order of strings and numbers, and what carries it out."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal, Self

import rasterio
import rasterio.shutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geoae.diagnose import Facts, sample
from geoae.engine import Work, restore_slabs
from geoae.errors import OutputError, RecipeError
from geoae.plan import Slab, TilePlan
from geoae.recipe import Recipe, explain
from geoae.report import RestoreReport
from geoae.restorer import Identity, Restorer
from geoae.scene import Scene
from geoae.tilestore import PartStore
from geoae.writer import assemble

__all__ = ["Job", "Prepared", "Progress", "prepare", "run"]

# Raised whenever the same order would give other pixels.
ALGORITHM = 1
DEFAULT_MODEL = "res-cae"
IDENTITY_TILE = 1024
# A tile in model units with its residual: what bounds memory for scenes of very many bands.
TILE_BYTES = 256 << 20


class Job(BaseModel):
    """One scene to restore. Everything is a string or a number, so it travels to any worker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="scene to restore: anything GDAL opens by name")
    target: str | None = Field(None, description="file to write; by default NAME_restored.tif beside the source")
    model: str | None = Field(None, description="shipped model's name, or path of a model folder")
    sigma: Annotated[float, Field(ge=0)] | Literal["auto"] | None = Field(None, description="noise in DN, or auto")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="arithmetic of the network")
    recipe: str | None = Field(None, description="shipped recipe's name, or path of a TOML file")
    tile: int | None = Field(None, gt=0, description="largest side of a tile in pixels")
    overlap: int | None = Field(None, gt=0, description="least overlap of tiles in pixels")
    batch_size: int | None = Field(None, gt=0, description="samples of one forward pass")
    bands: list[int] | None = Field(None, min_length=1, description="1-based bands to restore; others are copied")
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
class Progress:
    """How far a run is: ``done`` of ``total`` tiles, ``resumed`` of them from an earlier run."""

    done: int
    total: int
    resumed: int


@dataclass(frozen=True, eq=False, slots=True)
class Prepared:
    """A job decided in full: what is read, with which plan, map and model."""

    job: Job
    options: Recipe
    scene: Scene
    facts: Facts
    work: Work

    @property
    def target(self) -> str:
        """Where the result goes."""
        return self.job.target or _default_target(self.job.source)

    @property
    def fingerprint(self) -> str:
        """Digest of all that decides the result: input, model, options, algorithm."""
        plan = self.work.plan
        decided = (
            ALGORITHM, self.scene.identity, self.facts.digest, self.scene.bands, self.facts.sigma.tolist(), self.work.restorer.digest,
            plan, self.work.ramp, self.job.precision, self.options.profile,
        )  # fmt: skip
        return hashlib.sha256(repr(decided).encode()).hexdigest()


def prepare(job: Job) -> Prepared:
    """Read what ``job`` names and decide everything; touches no output. Raises a ``GeoaeError``."""
    options = _merged(job)
    scene = Scene.open(job.source, None if options.bands is None else tuple(options.bands))
    restorer = _restorer(job, options)
    if scene.bands:
        with scene.reader() as reader:
            samples = sample(reader.read, scene.height, scene.width)
        facts = Facts.of(samples, None if options.sigma == "auto" else options.sigma)
    else:
        facts = Facts.none()
    plan = TilePlan.fitted(
        scene.height, scene.width, tile=options.tile or _largest_tile(restorer, len(scene.bands)),
        overlap=options.overlap, halo=restorer.halo, multiple=restorer.multiple,
    )  # fmt: skip
    work = Work(plan, facts.scale(restorer.channels), restorer, scene.nodata, options.ramp or "smooth")
    return Prepared(job, options, scene, facts, work)


def _merged(job: Job) -> Recipe:
    """The recipe with the job's own options over it and the defaults under it."""
    recipe = Recipe.read(job.recipe) if job.recipe else Recipe()
    asked = job.model_dump(include={"model", "sigma", "tile", "overlap", "bands", "profile"}, exclude_none=True)
    defaults = {"model": DEFAULT_MODEL, "sigma": "auto", "profile": "cog"}
    return Recipe.model_validate(defaults | recipe.model_dump(exclude_none=True) | asked)


def _restorer(job: Job, options: Recipe) -> Restorer:
    if options.model == "identity":
        return Identity()
    from geoae.weights import load  # torch loads only where a network runs

    return load(str(options.model), device=job.device, precision=job.precision, batch_size=job.batch_size)


def _largest_tile(restorer: Restorer, bands: int) -> int:
    """The card's tile, less where a scene's bands would make one too heavy."""
    card = getattr(restorer, "card", None)
    side = card.tile if card else IDENTITY_TILE
    heaviest = int((TILE_BYTES / (8 * max(bands, 1))) ** 0.5)
    return max(min(side, heaviest), 4 * (restorer.halo + restorer.multiple))


def _is_local(name: str) -> bool:
    return not name.startswith("/vsi") and "://" not in name


def _default_target(source: str) -> str:
    stem = Path(source)
    if not _is_local(source):
        raise RecipeError(f"{source}: is not a local file, so there is no folder beside it; name the output with -o")
    return str(stem.with_name(f"{stem.stem}_restored.tif"))


def run(job: Job, on_progress: Callable[[Progress], None] = lambda progress: None) -> RestoreReport:
    """Restore one scene as ``job`` says.

    The target appears under its name only when complete. A run that was killed goes on from its
    finished slabs. A target that already is this very result is left alone. Raises a
    ``GeoaeError``.
    """
    started = time.monotonic()
    prepared = prepare(job)
    target = prepared.target
    if _is_same_file(job.source, target):
        raise OutputError(f"{target}: is the input itself; name another output with -o")
    finished = _fingerprint_of(target)
    if finished == prepared.fingerprint and not job.fresh:
        return _report(prepared, started, status="skipped")
    if finished is not None and not job.overwrite:
        raise OutputError(f"{target}: exists and is not this result; give --overwrite or another -o")
    with _parts(prepared) as store:
        done = [slab for slab in prepared.work.plan.slabs() if store.finished(slab)] if prepared.scene.bands else []
        counts = _compute(prepared, store, done, on_progress)
        after = _publish(prepared, store)
        store.remove()
    return _report(prepared, started, status="restored", resumed=len(done), counts=counts, after=after)


def _is_same_file(source: str, target: str) -> bool:
    return Path(target).exists() and Path(source).exists() and Path(source).samefile(target)


def _fingerprint_of(target: str) -> str | None:
    """The fingerprint in ``target``; empty where it has none, None where nothing is there."""
    if _is_local(target) and not Path(target).exists():
        return None
    try:
        with rasterio.open(target) as dataset:
            return str(dataset.tags(ns="GEOAE").get("FINGERPRINT", ""))
    except rasterio.errors.RasterioError:
        return "" if _is_local(target) else None


@contextmanager
def _parts(prepared: Prepared) -> Iterator[PartStore]:
    """The part store: beside a local target, in a work folder of this machine for a remote one."""
    target = Path(prepared.target)
    if _is_local(prepared.target):
        if not target.parent.is_dir():
            raise OutputError(f"{target.parent}: no such folder; create it or choose another -o")
        folder = target.with_name(f".{target.name}.geoae")
    else:
        folder = Path(tempfile.gettempdir()) / f"geoae-{hashlib.sha256(prepared.target.encode()).hexdigest()[:16]}"
    order = {"fingerprint": prepared.fingerprint, "setting": prepared.work.restorer.setting}
    scene = prepared.scene
    with PartStore.opened(folder, order, bands=len(scene.bands), dtype=scene.dtype, fresh=prepared.job.fresh) as store:
        yield store


def _compute(
    prepared: Prepared, store: PartStore, done: Sequence[Slab], on_progress: Callable[[Progress], None]
) -> dict[bool, int]:
    """Restore the slabs that are not ``done``; how many tiles were computed and how many empty."""
    counts = {True: 0, False: 0}
    if not prepared.scene.bands:
        return counts
    plan, finished = prepared.work.plan, {slab.index for slab in done}
    resumed = sum(slab.stop - slab.first for slab in done) * plan.cols.count

    def count(computed: bool) -> None:
        counts[computed] += 1
        on_progress(Progress(resumed + sum(counts.values()), plan.tiles, resumed))

    for missing, slabs in groupby(plan.slabs(), lambda slab: slab.index not in finished):
        if missing:
            with prepared.scene.reader() as reader:
                restore_slabs(prepared.work, reader.read, list(slabs), store.writer, count)
    return counts


def _publish(prepared: Prepared, store: PartStore) -> Facts:
    """Assemble the parts, measure the result, and let it appear under the target's name."""
    scene, target = prepared.scene, prepared.target
    local = Path(target) if _is_local(target) else store.folder / Path(target).name
    draft = local.with_name(f"{local.name}.part")
    parts = [store.part(slab) for slab in prepared.work.plan.slabs()] if scene.bands else []
    try:
        assemble(scene.source, parts, scene.bands, draft, profile=prepared.options.profile, tags=_tags(prepared))
        after = _facts_after(prepared, draft)
        draft.replace(local)
    finally:
        draft.unlink(missing_ok=True)
    if not _is_local(target):
        try:
            rasterio.shutil.copyfiles(str(local), target)
        except rasterio.errors.RasterioError as error:
            raise OutputError(f"{target}: could not be uploaded ({error}); the result is in {local}") from error
    return after


def _facts_after(prepared: Prepared, draft: Path) -> Facts:
    """The same estimate, on the same windows, of what was written."""
    scene = Scene.open(str(draft), prepared.scene.bands)
    if not scene.bands:
        return Facts.none()
    with scene.reader() as reader:
        return Facts.of(sample(reader.read, scene.height, scene.width))


def _tags(prepared: Prepared) -> dict[str, str]:
    """Provenance, kept in the output's metadata domain GEOAE."""
    restorer = prepared.work.restorer
    return {
        "FINGERPRINT": prepared.fingerprint,
        "VERSION": version("geoae"),
        "ALGORITHM": str(ALGORITHM),
        "MODEL": restorer.name,
        "MODEL_DIGEST": restorer.digest,
        "SETTING": restorer.setting,
        "SOURCE": Path(prepared.job.source).name,
        "SOURCE_IDENTITY": prepared.scene.identity,
        "RECIPE": prepared.job.recipe or "",
        "BANDS": ",".join(map(str, prepared.scene.bands)),
        "SIGMA": ",".join(f"{sigma:.6g}" for sigma in prepared.facts.sigma),
    }


def _report(
    prepared: Prepared, started: float, *, status: Literal["restored", "skipped"], resumed: int = 0,
    counts: dict[bool, int] | None = None, after: Facts | None = None,
) -> RestoreReport:  # fmt: skip
    scene, plan, restorer = prepared.scene, prepared.work.plan, prepared.work.restorer
    seconds = time.monotonic() - started
    counts = counts or {True: 0, False: 0}
    return RestoreReport(
        status=status, source=prepared.job.source, target=prepared.target, model=restorer.name, digest=restorer.digest,
        setting=restorer.setting, fingerprint=prepared.fingerprint, height=scene.height, width=scene.width,
        bands=list(scene.bands), copied=scene.copied, tile=(plan.rows.tile, plan.cols.tile), overlap=plan.rows.overlap,
        tiles=plan.tiles, tiles_computed=counts[True], tiles_empty=counts[False], slabs_resumed=resumed, seconds=seconds,
        megapixels_per_second=scene.height * scene.width / 1e6 / seconds, sigma_before=prepared.facts.sigma.tolist(),
        sigma_after=after.sigma.tolist() if after else [],
    )  # fmt: skip
