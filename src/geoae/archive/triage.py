"""Decide which scenes still need restoring."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from geoae.archive.failures import Failures
from geoae.catalog.sources import Found
from geoae.errors import InputError
from geoae.models.restorer import Restorer
from geoae.pipeline.fingerprint import ALGORITHM, order_of
from geoae.pipeline.job import Job, ModelSpec, merged, target_of
from geoae.pipeline.prepare import load_restorer, prepare
from geoae.pipeline.recipe import Recipe
from geoae.raster.scene import Scene
from geoae.raster.tags import noted
from geoae.raster.validate import FEW_BLOCKS, reads_whole
from geoae.system.files import is_local

__all__ = [
    "STATUSES",
    "Outcome",
    "Status",
    "Triage",
    "count",
    "is_done",
    "settled",
    "tally",
    "too_many_failed",
    "triage",
]

Status = Literal["failed", "growing", "planned", "restored", "skipped"]
# Those that need a person first.
STATUSES: tuple[Status, ...] = get_args(Status)
UNTRIED = "(not tried again: unchanged)"


def is_done(job: Job, options: Recipe, restorer: Restorer) -> bool:
    """Whether the target already is the result of ``job`` with its resolved ``options`` and
    ``restorer``.

    Reads headers, and a few blocks of the target, where the source is a local file; else a sample
    of its pixels too, since they may have changed unseen. Raises ``InputError`` for a source that
    cannot be opened.
    """
    tags = noted(target_of(job))
    if not tags or job.fresh or not reads_whole(target_of(job), FEW_BLOCKS):
        return False
    if is_local(job.source) and "ORDER" in tags:
        bands = None if options.bands is None else tuple(options.bands)
        scene = Scene.open(job.source, bands, options.nodata)
        # What a VRT of VRTs reads its pixels from is not told by its header.
        if scene.driver != "VRT":
            return tags["ORDER"] == order_of(options, scene, restorer, job.precision)
    return tags.get("FINGERPRINT") == prepare(job, options).fingerprint


def settled(
    found: Sequence[Found], seconds: float, sleep: Callable[[float], None] = time.sleep
) -> tuple[list[Found], list[Found]]:
    """Scenes unchanged between two looks ``seconds`` apart, and those that still grow."""
    before = {one: one.stamp for one in found}
    if any(before.values()):
        sleep(seconds)
    same = [one for one in found if one.stamp == before[one] != "gone"]
    return same, [one for one in found if one not in same]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a scene: ``status`` is restored, skipped, failed, growing or, in a dry run,
    planned.
    """

    source: str
    target: str
    status: Status
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Triage:
    """``todo``: orders still to be carried out; ``outcomes``: of the scenes that need nothing or
    cannot be helped.

    ``order``: digest of model and options, under which failures are noted.
    """

    todo: list[tuple[Found, Job]]
    outcomes: list[Outcome]
    order: str


def triage(
    found: Sequence[Found], target: str, options: dict[str, Any], failures: Failures
) -> Triage:
    """Sort scenes by what is left to do.

    ``target``: the folder of outputs; ``options``: fields of ``Job``. Done ones are told by their
    fingerprint, broken ones by what they failed with before. Raises a ``GeoaeError`` where the
    model or an option is of no use.
    """
    plain = Job.checked(source="", **options)
    resolved = merged(plain)
    restorer = load_restorer(ModelSpec.of(plain, resolved))
    order = _attempt(plain, resolved, restorer)
    sorted_out = Triage([], [], order)
    for one in found:
        job = plain.model_copy(
            update={"source": one.source, "target": f"{target.rstrip('/')}/{one.name}"}
        )
        known = failures.known(one, order)
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
    """Digest under which failures are noted: the algorithm, the model and the options that are set,
    so that a new option that nobody uses forgets no failure.
    """
    given = [sorted(chosen.model_dump(exclude_defaults=True).items()) for chosen in (job, options)]
    return hashlib.sha256(repr((ALGORITHM, restorer.digest, *given)).encode()).hexdigest()


def _is_done(job: Job, options: Recipe, restorer: Restorer) -> bool:
    """As ``is_done``; a source that cannot be opened is not, and restoring it will say why."""
    try:
        return is_done(job, options, restorer)
    except InputError:
        return False


def tally(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many of each status there are."""
    numbers = Counter(one.status for one in outcomes)
    return {status: numbers[status] for status in STATUSES if numbers[status]}


def count(outcomes: Sequence[Outcome]) -> str:
    """The same in words."""
    return (
        ", ".join(f"{number} {status}" for status, number in tally(outcomes).items()) or "no scenes"
    )


def too_many_failed(outcomes: Sequence[Outcome], share: float) -> bool:
    """Whether more than ``share`` of the scenes tried failed."""
    tried = [
        one
        for one in outcomes
        if one.status in ("restored", "failed") and not one.reason.endswith(UNTRIED)
    ]
    failed = sum(one.status == "failed" for one in tried)
    return failed > share * len(tried)
