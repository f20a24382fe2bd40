"""A flow for a folder, glob, list or STAC collection of scenes: ``restore_archive``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.artifacts import show_outcomes
from flows.notifications import on_end
from flows.parameters import INBOX, OUTBOX, SCHEDULER, ensure_inbox, with_options
from flows.process import remember_process
from flows.restore import TIMEOUT, restore_scenes
from geoae.archive.failures import Failures
from geoae.archive.triage import (
    Outcome,
    count_by_status,
    describe_counts,
    has_too_many_failures,
    triage,
)
from geoae.catalog.sources import SceneRef, SortKey, sort_scenes
from geoae.catalog.sources import scenes as scenes_of
from geoae.errors import GeoaeError
from geoae.pipeline.job import Job

__all__ = ["restore_archive"]


def _name() -> str:
    source = flow_run.parameters["source"]
    return f"archive {source if isinstance(source, str) else f'{len(source)} scenes'}"


def _shard_name() -> str:
    return f"{flow_run.parameters['label']}, {len(flow_run.parameters['scenes'])} scenes"


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
    shard: int = 100,
    most_failed: float = 0.1,
    timeout: float = TIMEOUT,
    scheduler: str | None = SCHEDULER,
    **options: Any,
) -> dict[str, int]:
    """Restore all scenes of an archive that are not done; how many of each outcome.

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
        shard: scenes of one run of restore-shard, which has a table of its own.
        most_failed: share of the scenes tried that may fail before this run counts as failed.
        timeout: seconds after which restoring one scene is given up.
        scheduler: address of a Dask scheduler whose workers see source and target under the same
            names.

    """
    remember_process()
    found = sort_scenes(scenes_of(ensure_inbox(source), since=since, beside=target), order, None)
    failures = Failures.below(target)
    sorted_out = triage(found, target, options, failures)
    todo, outcomes = list(sorted_out.jobs(limit)), list(sorted_out.outcomes)
    get_run_logger().info("%d scenes, %d to restore now", len(found), len(todo))
    if dry_run:
        outcomes += [Outcome(one.source, str(job.target), "planned") for one, job in todo]
        todo = []
    for first in range(0, len(todo), shard):
        label = f"shard {first // shard + 1} of {-(-len(todo) // shard)}"
        outcomes += restore_shard(
            label,
            todo[first : first + shard],
            failures,
            sorted_out.options_digest,
            timeout,
            scheduler,
        )
    show_outcomes("dry run" if dry_run else "archive", outcomes)
    if has_too_many_failures(outcomes, most_failed):
        raise GeoaeError(
            f"{describe_counts(outcomes)}; more than {most_failed:.0%} failed, the table"
            " geoae-scenes says why"
        )
    return count_by_status(outcomes)


@flow(
    name="restore-shard",
    flow_run_name=_shard_name,
    log_prints=True,
    persist_result=False,
    validate_parameters=False,
)
def restore_shard(
    label: str,
    scenes: Sequence[tuple[SceneRef, Job]],
    failures: Failures,
    options_digest: str,
    timeout: float,
    scheduler: str | None,
) -> list[Outcome]:
    """A share of an archive, with its own table, so that a large one stays readable."""
    outcomes = restore_scenes(scenes, failures, options_digest, timeout, scheduler)
    show_outcomes(label, outcomes)
    return outcomes
