"""Decide which scenes of an archive still need restoring."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from geoae.archive.failures import Failures
from geoae.catalog.sources import SceneRef
from geoae.errors import InputError
from geoae.models.restorer import Restorer
from geoae.pipeline.fingerprint import ALGORITHM, request_digest
from geoae.pipeline.job import Job, ModelSpec, resolve_options, target_of
from geoae.pipeline.prepare import load_restorer, prepare
from geoae.pipeline.recipe import Recipe
from geoae.raster.scene import Scene
from geoae.raster.tags import read_tags
from geoae.raster.validate import FEW_BLOCKS, reads_whole
from geoae.system.files import is_local

__all__ = [
    "STATUSES",
    "Outcome",
    "Status",
    "Triage",
    "count_by_status",
    "describe_counts",
    "has_too_many_failures",
    "is_done",
    "split_stable",
    "triage",
]

Status = Literal["failed", "growing", "planned", "restored", "skipped"]
# In the order of tables: those that need a person come first.
STATUSES: tuple[Status, ...] = get_args(Status)
UNTRIED = "(not tried again: unchanged)"


def is_done(job: Job, options: Recipe, restorer: Restorer) -> bool:
    """Whether the target already is the result of a job.

    For a local source this reads headers and a few blocks of the target. For any other source it
    reads a sample of its pixels too, since they may have changed without a sign.

    Args:
        job: the job.
        options: its resolved options.
        restorer: its model.

    Raises:
        InputError: the source cannot be opened.

    """
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


@dataclass(frozen=True, slots=True)
class Triage:
    """The scenes of an archive, sorted by what is left to do."""

    todo: list[tuple[SceneRef, Job]]
    """Scenes to restore, with their jobs."""
    outcomes: list[Outcome]
    """Outcomes of the scenes that are done, or that have failed before and not changed."""
    options_digest: str
    """Digest of model and options, under which failures are recorded."""


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
    plain = Job.checked(source="", **options)
    resolved = resolve_options(plain)
    restorer = load_restorer(ModelSpec.of(plain, resolved))
    digest = _attempt(plain, resolved, restorer)
    sorted_out = Triage([], [], digest)
    for one in found:
        job = plain.model_copy(
            update={"source": one.source, "target": f"{target.rstrip('/')}/{one.name}"}
        )
        known = failures.find(one, digest)
        if known:
            outcome = Outcome(one.source, str(job.target), "failed", f"{known.reason} {UNTRIED}")
        elif _is_done(job, resolved, restorer):
            outcome = Outcome(
                one.source,
                str(job.target),
                "skipped",
                "already restored with this model and these options",
            )
        else:
            sorted_out.todo.append((one, job))
            continue
        sorted_out.outcomes.append(outcome)
    return sorted_out


def _attempt(job: Job, options: Recipe, restorer: Restorer) -> str:
    """Compute the digest under which failures are recorded: algorithm, model, and options that are
    set.

    Options that are not set are left out, so a new option that nobody uses forgets no failure.
    """
    given = [sorted(chosen.model_dump(exclude_defaults=True).items()) for chosen in (job, options)]
    return hashlib.sha256(repr((ALGORITHM, restorer.digest, *given)).encode()).hexdigest()


def _is_done(job: Job, options: Recipe, restorer: Restorer) -> bool:
    """As ``is_done``; False for a source that cannot be opened, whose restoration will say why."""
    try:
        return is_done(job, options, restorer)
    except InputError:
        return False


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
