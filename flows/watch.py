"""A flow for scenes as they arrive: ``watch_inbox``."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.artifacts import show_outcomes
from flows.notifications import on_end
from flows.parameters import INBOX, OUTBOX, SCHEDULER, ensure_inbox, with_options
from flows.process import remember_process
from flows.restore import TIMEOUT
from flows.shards import SHARD, SharedOptions, restore_refs
from flows.spread import can_spread, restore_spread
from geoae.archive.failures import Failures
from geoae.archive.triage import (
    Outcome,
    count_by_status,
    describe_counts,
    has_too_many_failures,
    split_stable,
    triage,
)
from geoae.catalog.sources import SceneRef, scenes
from geoae.errors import BusyError, GeoaeError, OutputError
from geoae.system.files import is_local
from geoae.system.locks import hold

__all__ = ["watch_inbox"]


def _name() -> str:
    return f"watch {flow_run.parameters['source']}"


@flow(name="watch-inbox", flow_run_name=_name, log_prints=True, persist_result=False, **on_end())
@with_options
def watch_inbox(
    source: str = INBOX,
    target: str = OUTBOX,
    *,
    settle: float = 10.0,
    since: datetime | timedelta | None = None,
    limit: int | None = None,
    most_failed: float = 0.0,
    timeout: float = TIMEOUT,
    scheduler: str | None = SCHEDULER,
    **options: Any,
) -> dict[str, int]:
    """Restore what has arrived and stopped growing; how many of each outcome.

    A run of a deployment shares the scenes with the other workers of its pool. Moves and deletes
    nothing: what is done is told by the outputs. A scene that is broken is tried, and fails the
    run, once; it is tried again when it changes.

    Args:
        source: folder that scenes are put into, or a STAC collection.
        target: folder of the outputs, which mirror the source's subfolders.
        settle: seconds between two looks at a scene, which must not change its size or time in
            between.
        since: only scenes changed at this time or later, or at most so long ago, like P7D.
        limit: restore at most so many scenes.
        most_failed: share of the scenes tried that may fail before this run counts as failed.
        timeout: seconds after which restoring one scene is given up.
        scheduler: address of a Dask scheduler whose workers see source and target under the same
            names.

    """
    remember_process()
    log = get_run_logger()
    _make_outbox(target)
    failures = Failures.below(target)
    try:
        with hold(Path(target) / ".geoae-watch.lock"):
            sorted_out = triage(
                scenes(ensure_inbox(source), since=since, beside=target), target, options, failures
            )
            same, growing = split_stable(sorted_out.todo, settle)
            outcomes = [*sorted_out.outcomes, *(_report_growing(one, target) for one in growing)]
            todo = same[:limit]
            log.info(
                "%d to restore, %d still growing, %d need nothing",
                len(todo),
                len(growing),
                len(sorted_out.outcomes),
            )
            shared = SharedOptions(
                sorted_out.plain, target, sorted_out.options_digest, timeout, scheduler
            )
            outcomes += _restore(todo, shared)
    except BusyError:
        log.info("another run is watching for %s; it takes what there is", target)
        return {}
    show_outcomes("inbox", outcomes)
    if has_too_many_failures(outcomes, most_failed):
        raise GeoaeError(f"{describe_counts(outcomes)}; the table geoae-scenes says why")
    return count_by_status(outcomes)


def _make_outbox(target: str) -> None:
    """Make the folder of the outputs; raise ``OutputError`` where it is not on this machine."""
    if not is_local(target):
        raise OutputError(f"{target}: is no folder of this machine; an inbox needs one for outputs")
    Path(target).mkdir(parents=True, exist_ok=True)


def _restore(todo: list[SceneRef], shared: SharedOptions) -> list[Outcome]:
    """Restore scenes, with the other workers of the pool where there is one."""
    if todo and can_spread():
        return restore_spread(todo, shared, SHARD)
    return restore_refs(todo, shared)


def _report_growing(found: SceneRef, target: str) -> Outcome:
    """The outcome of a scene that is still being written."""
    reason = "is still being written; the next look takes it"
    return Outcome(found.source, f"{target}/{found.name}", "growing", reason)
