"""A job with all that is decided about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from geoae.corrections.findings import find_steps
from geoae.diagnosis.statistics import SceneStatistics
from geoae.models.restorer import Identity
from geoae.pipeline.fingerprint import ALGORITHM, hash_texts, plan_text, request_digest
from geoae.pipeline.job import Job, target_of
from geoae.pipeline.preparation import explain
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.tiles import Work
from geoae.radiometry.validity.nodata import FillValue
from geoae.raster.scene import Scene
from geoae.raster.tags import already_restored_warning
from geoae.tiling.source import Source

__all__ = ["Prepared"]

S = TypeVar("S", bound=Source)


@dataclass(frozen=True, eq=False, slots=True)
class Prepared(Generic[S]):
    """A job decided in full: what is read, with which plan, map and model."""

    job: Job
    """The job."""
    options: Recipe
    """Its resolved options. The recipe is not read again, so a run keeps the options it began
    with.
    """
    scene: S
    """The source."""
    facts: SceneStatistics
    """Statistics of the source."""
    work: Work
    """Plan, map and model."""
    history: Sequence[dict[str, str]] = ()
    """The restorations that made the source, if it is an output of geoae."""
    opening: tuple[str, ...] = ()
    """Lines on the source as it was opened."""
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
        return [*self.opening, *fill, *self.unchanged, *unknown]

    @property
    def steps(self) -> list[str]:
        """What is done to the scene, and why: one line each."""
        bands, restorer, speckle = self.scene.bands, self.work.restorer, self.work.speckle
        done = self.work.corrections.describe(bands)
        if not isinstance(restorer, Identity):
            done += [speckle.describe()] if speckle is not None and self.facts.sigma.any() else []
            done += explain.describe_noise(bands, self.facts, self.unit)
            done += explain.describe_between(bands, self.facts.between)
            done += explain.describe_components(self.facts.signal)
        if self.sharpened is not None:
            done += explain.describe_sharpened(bands, self.sharpened, restorer)
        return done

    @property
    def missed(self) -> list[str]:
        """Steps that the user asks for and that have nothing to do: one line each."""
        noisy = isinstance(self.work.restorer, Identity) or bool(self.facts.sigma.any())
        found = find_steps(self.work.corrections) | ({"noise"} if noisy else set())
        return explain.explain_missed(self.options.steps or (), self.options.chosen_steps, found)

    @property
    def unit(self) -> str:
        """Unit of the noise."""
        return "DN" if self.work.speckle is None else self.work.speckle.unit

    @property
    def target(self) -> str:
        """Path of the output."""
        return target_of(self.job)

    @property
    def request_digest(self: "Prepared[Scene]") -> str:
        """Digest of all that was known before a pixel was read."""
        bands = tuple(sorted((*self.scene.bands, *self.empty)))
        opened = replace(self.scene, bands=bands)
        return request_digest(self.options, opened, self.work.restorer, self.job.precision)

    @property
    def fingerprint(self: "Prepared[Scene]") -> str:
        """Digest of all that decides the result: input, model, options, algorithm."""
        scene, facts, work = self.scene, self.facts, self.work
        noise = (facts.sigma.tolist(), facts.slope.tolist())
        given = (ALGORITHM, scene.identity, facts.digest, scene.bands, *noise, work.restorer.digest)
        chosen = (work.ramp, self.job.precision, self.options.profile)
        nodata = [] if scene.fill is None else [scene.fill]
        # Facts newer than geoae 0.1 count only where there are any.
        newer = [*chosen, *nodata]
        is_used = work.restorer.takes_spectrum or self.sharpened is not None
        if facts.correlation is not None and is_used:
            newer.append(facts.correlation.tolist())
        if facts.between is not None:
            newer.append(facts.between.tolist())
        if work.corrections.digest:
            newer.append(work.corrections.digest)
        if work.speckle is not None:
            newer.append(work.speckle.kind)  # the rest follows from the sample and the model
        return hash_texts(*map(repr, given), plan_text(work.plan), *map(repr, newer))
