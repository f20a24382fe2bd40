"""Decide which scenes of an archive still need restoring."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import Any, Literal, get_args

from geoae.archive.cache import DoneCache
from geoae.archive.failures import Failures
from geoae.catalog.sources import SceneRef
from geoae.errors import InputError
from geoae.models.restorer import Restorer
from geoae.pipeline.fingerprint import ALGORITHM, request_digest
from geoae.pipeline.job import Job, ModelSpec, resolve_options, target_of
from geoae.pipeline.preparation.prepare import load_restorer, prepare
from geoae.pipeline.recipe import Recipe
from geoae.radiometry.psd import digest_psd
from geoae.raster.checks.validate import FEW_BLOCKS, reads_whole
from geoae.raster.scene import Scene
from geoae.raster.tags import read_tags
from geoae.system.files import is_local, to_gdal_name

__all__ = [
    "DONE",
    "STATUSES",
    "Outcome",
    "Status",
    "Triage",
    "count_by_status",
    "describe_counts",
    "digest_options",
    "has_too_many_failures",
    "is_done",
    "job_below",
    "split_stable",
    "triage",
]

Status = Literal["failed", "growing", "planned", "restored", "skipped"]
# In the order of tables: those that need a person come first.
STATUSES: tuple[Status, ...] = get_args(Status)
UNTRIED = "(not tried again: unchanged)"
DONE = "already restored with this model and these options"


def is_done(job: Job, options: Recipe, restorer: Restorer) -> bool:
    """Whether the target already is the result of a job.

    For a local source this reads headers and a few blocks of the target. For any other source it
    reads a sample of its pixels too, since they may have changed without a sign. A source that
    cannot be opened is not done: its restoration will say why.

    Args:
        job: the job.
        options: its resolved options.
        restorer: its model.

    """
    try:
        return _holds_result(job, options, restorer)
    except InputError:
        return False


def _holds_result(job: Job, options: Recipe, restorer: Restorer) -> bool:
    """As ``is_done``; raises ``InputError`` for a source that cannot be opened."""
    tags = read_tags(target_of(job))
    if not tags or job.fresh or not reads_whole(target_of(job), FEW_BLOCKS):
        return False
    if is_local(job.source) and "ORDER" in tags:
        bands = None if options.bands is None else tuple(options.bands)
        scene = Scene.open(job.source, bands, options.nodata)
        # The header of a VRT does not name the files behind the VRTs that it refers to.
        if scene.driver != "VRT":
            return tags["ORDER"] == request_digest(options, scene, restorer, job.precision)
    return tags.get("FINGERPRINT") == prepare(job, options).fingerprint


def split_stable(
    found: Sequence[SceneRef], seconds: float, sleep: Callable[[float], None] = time.sleep
) -> tuple[list[SceneRef], list[SceneRef]]:
    """Separate scenes that are complete from those that are still being written.

    Args:
        found: scenes.
        seconds: time between two looks at them.
        sleep: waits that long.

    Returns:
        Scenes that stayed unchanged, and the others.

    """
    before = {one: one.stamp for one in found}
    if any(before.values()):
        sleep(seconds)
    same = [one for one in found if one.stamp == before[one] != "gone"]
    return same, [one for one in found if one not in same]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to a scene."""

    source: str
    """The scene."""
    target: str
    """Its output."""
    status: Status
    """restored, skipped, failed, growing (still being written) or, in a dry run, planned."""
    reason: str = ""
    """Why, in words."""
    seconds: float = 0.0
    """Time that it took."""
    began: float = 0.0
    """When that began, in seconds since 1970; 0 where nothing was done."""
    megapixels: float = 0.0
    """Pixels of one band that were restored, in millions."""
    warnings: tuple[str, ...] = ()
    """What its user should know."""


@dataclass(frozen=True, slots=True)
class Triage:
    """The scenes of an archive, sorted by what is left to do."""

    todo: list[SceneRef]
    """Scenes to restore."""
    outcomes: list[Outcome]
    """Outcomes of the scenes that are done, or that have failed before and not changed."""
    options_digest: str
    """Digest of model and options, under which failures are recorded."""
    plain: Job
    """The job of each scene, without the scene."""
    options: Recipe
    """Its resolved options."""
    model_digest: str
    """Digest of its model."""
    target: str
    """Folder of the outputs."""
    cache: DoneCache
    """Which scenes are known to be done."""

    def job_of(self, found: SceneRef) -> Job:
        """Return the job of a scene."""
        return job_below(self.plain, self.target, found)

    def jobs(self, limit: int | None = None) -> Iterator[tuple[SceneRef, Job]]:
        """Yield at most ``limit`` of the scenes to restore, with their jobs, made one by one."""
        return ((found, self.job_of(found)) for found in islice(self.todo, limit))


def job_below(plain: Job, target: str, found: SceneRef) -> Job:
    """Return the job of a scene whose output goes below a folder.

    Args:
        plain: the job without the scene.
        target: folder of the outputs.
        found: the scene.

    """
    output = f"{target.rstrip('/')}/{found.name}"
    return plain.model_copy(update={"source": found.source, "target": output})


def digest_options(plain: Job, options: Recipe, restorer: Restorer) -> str:
    """Compute the digest under which failures are recorded: algorithm, model, and options that are
    set.

    Options that are not set are left out, so a new option that nobody uses forgets no failure.

    Args:
        plain: a job, whose scene does not matter.
        options: its resolved options.
        restorer: its model.

    """
    given = [
        sorted(chosen.model_dump(exclude_defaults=True).items()) for chosen in (plain, options)
    ]
    return hashlib.sha256(repr((ALGORITHM, restorer.digest, *given)).encode()).hexdigest()


def triage(
    found: Sequence[SceneRef], target: str, options: dict[str, Any], failures: Failures
) -> Triage:
    """Sort scenes by what is left to do.

    A scene is done if its output holds the expected fingerprint; it has failed if the record says
    so.

    Args:
        found: scenes.
        target: folder of the outputs.
        options: fields of ``Job``.
        failures: record of the scenes that cannot be restored.

    Returns:
        What to restore, and the outcomes of the others.

    Raises:
        GeoaeError: the model or an option cannot be used.

    """
    plain, target = Job.checked(source="", **options), to_gdal_name(target)
    resolved = resolve_options(plain)
    restorer = load_restorer(ModelSpec.of(plain, resolved))
    digest = digest_options(plain, resolved, restorer)
    cache = DoneCache(target, _cache_key(digest, resolved))
    sorted_out = Triage([], [], digest, plain, resolved, restorer.digest, target, cache)
    with cache:
        for one in found:
            outcome = _look(one, sorted_out, failures, restorer)
            if outcome is None:
                sorted_out.todo.append(one)
            else:
                sorted_out.outcomes.append(outcome)
    return sorted_out


def _look(
    found: SceneRef, so_far: Triage, failures: Failures, restorer: Restorer
) -> Outcome | None:
    """Return the outcome of a scene with which nothing is to be done, else None."""
    cache, output = so_far.cache, f"{so_far.target.rstrip('/')}/{found.name}"
    if not so_far.plain.fresh and cache.holds(found):
        return Outcome(found.source, output, "skipped", DONE)
    if known := failures.find(found, so_far.options_digest):
        return Outcome(found.source, output, "failed", f"{known.reason} {UNTRIED}")
    stamp = found.stamp
    if cache.misses(found) or not is_done(so_far.job_of(found), so_far.options, restorer):
        return None
    cache.add(found, stamp)
    return Outcome(found.source, output, "skipped", DONE)


def _cache_key(options_digest: str, options: Recipe) -> str:
    """Compute the digest under which scenes are known to be done.

    Another version of geoae may take other bands for measurements, so it looks at the outputs.
    """
    spectrum = None if options.psd is None else digest_psd(options.psd)  # a file may change
    facts = repr((version("geoae"), options_digest, spectrum))
    return hashlib.sha256(facts.encode()).hexdigest()


def count_by_status(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Count the outcomes of each status."""
    numbers = Counter(one.status for one in outcomes)
    return {status: numbers[status] for status in STATUSES if numbers[status]}


def describe_counts(outcomes: Sequence[Outcome]) -> str:
    """Describe the counts in words."""
    return (
        ", ".join(f"{number} {status}" for status, number in count_by_status(outcomes).items())
        or "no scenes"
    )


def has_too_many_failures(outcomes: Sequence[Outcome], share: float) -> bool:
    """Whether more than a share of the scenes that were tried have failed.

    Args:
        outcomes: outcomes of all scenes.
        share: share between 0 and 1.

    """
    tried = [
        one
        for one in outcomes
        if one.status in ("restored", "failed") and not one.reason.endswith(UNTRIED)
    ]
    failed = sum(one.status == "failed" for one in tried)
    return failed > share * len(tried)
