"""A flow for a folder, glob, list or STAC collection of scenes: ``restore_archive``."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run
from pydantic import Field

from flows.artifacts import ROWS, show_outcomes
from flows.notifications import on_end
from flows.parameters import INBOX, OUTBOX, SCHEDULER, ensure_inbox, with_options
from flows.process import remember_process
from flows.restore import TIMEOUT
from flows.shards import SHARD, SharedOptions, restore_shard
from flows.spread import can_spread, restore_spread
from geoae.archive.failures import Failures
from geoae.archive.triage import (
    Outcome,
    count_by_status,
    describe_counts,
    has_too_many_failures,
    triage,
)
from geoae.catalog.sources import SortKey, sort_scenes
from geoae.catalog.sources import scenes as scenes_of
from geoae.errors import GeoaeError

__all__ = ["restore_archive"]


def _name() -> str:
    source = flow_run.parameters["source"]
    return f"archive {source if isinstance(source, str) else f'{len(source)} scenes'}"


@flow(
    name="restore-archive", flow_run_name=_name, log_prints=True, persist_result=False, **on_end()
)
@with_options
def restore_archive(
    source: str | list[str] = INBOX,
    target: str = OUTBOX,
    *,
    order: SortKey = "name",
    limit: int | None = None,
    since: datetime | timedelta | None = None,
    dry_run: bool = False,
    shard: Annotated[int, Field(ge=1, le=ROWS)] = SHARD,
    most_failed: float = 0.1,
    timeout: float = TIMEOUT,
    scheduler: str | None = SCHEDULER,
    **options: Any,
) -> dict[str, int]:
    """Restore all scenes of an archive that are not done; how many of each outcome.

    A run of a deployment shares the scenes with the other workers of its pool.

    Outputs mirror the source's subfolders. A scene that fails does not stop the others. Running it
    again does only what is missing.

    Args:
        source: folder, glob, list of scenes, STAC catalog.json or collection.json (here or at
            s3://), or address of a STAC API's collection.
        target: folder of the outputs.
        order: which scenes come first.
        limit: restore at most so many scenes.
        since: only scenes changed at this time or later, or at most so long ago, like P7D.
        dry_run: only say what would be done.
        shard: most scenes of one run of restore-shard, which has a table of its own.
        most_failed: share of the scenes tried that may fail before this run counts as failed.
        timeout: seconds after which restoring one scene is given up.
        scheduler: address of a Dask scheduler whose workers see source and target under the same
            names.

    """
    remember_process()
    found = sort_scenes(scenes_of(ensure_inbox(source), since=since, beside=target), order, None)
    failures = Failures.below(target)
    sorted_out = triage(found, target, options, failures)
    todo, outcomes = sorted_out.todo[:limit], list(sorted_out.outcomes)
    get_run_logger().info("%d scenes, %d to restore now", len(found), len(todo))
    if dry_run:
        planned = sorted_out.jobs(limit)
        outcomes += [Outcome(one.source, str(job.target), "planned") for one, job in planned]
        todo = []
    shared = SharedOptions(sorted_out.plain, target, sorted_out.options_digest, timeout, scheduler)
    if todo and can_spread():
        outcomes += restore_spread(todo, shared, shard)
    else:
        for first in range(0, len(todo), shard):
            label = f"shard {first // shard + 1} of {-(-len(todo) // shard)}"
            outcomes += restore_shard(label, todo[first : first + shard], shared)
    show_outcomes("dry run" if dry_run else "archive", outcomes)
    if has_too_many_failures(outcomes, most_failed):
        raise GeoaeError(
            f"{describe_counts(outcomes)}; more than {most_failed:.0%} failed, the table"
            " geoae-scenes says why"
        )
    return count_by_status(outcomes)
