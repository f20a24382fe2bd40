"""Many scenes, one after the other, each a run of its own."""

import time
from collections.abc import Iterable
from typing import Any

from prefect import get_run_logger

from flows.restore import restore_scene
from geoae.archive.failures import Failures
from geoae.archive.triage import Outcome
from geoae.catalog.sources import Found
from geoae.errors import BusyError, InputError, RejectedError
from geoae.pipeline.job import Job

__all__ = ["restore_each"]

# Seconds before a scene that would not read, time and again, is tried once more.
PUT_OFF = 6 * 3600.0


def restore_each(
    todo: Iterable[tuple[Found, Job]], failures: Failures, order: str, timeout: float, scheduler: str | None
) -> list[Outcome]:
    """Restore each; one that fails does not stop the others. What is wrong with a scene itself is noted."""
    log = get_run_logger()
    outcomes = []
    for found, job in todo:
        began = time.monotonic()
        given: dict[str, Any] = job.model_dump()
        state = restore_scene(**given, timeout=timeout, scheduler=scheduler, return_state=True)
        result = state.result(raise_on_failure=False)
        if state.is_completed():
            failures.forget(found)
            outcome = Outcome(found.source, str(job.target), result["status"], seconds=time.monotonic() - began)
        elif isinstance(result, BusyError):  # nothing is wrong, and the next look sees whether it came to an end
            outcome = Outcome(found.source, str(job.target), "skipped", "another run is restoring it", time.monotonic() - began)  # fmt: skip
        else:
            reason = str(result) or str(state.message)
            outcome = Outcome(found.source, str(job.target), "failed", reason, time.monotonic() - began)
            if isinstance(result, InputError | RejectedError):
                # What cannot be seen to change, a remote scene or what a VRT refers to, is tried again in time.
                seen = found.stamp and not found.source.endswith(".vrt")
                failures.note(found, order, reason, seconds=None if seen and not result.transient else PUT_OFF)
        log.info("%s: %s%s", found.name, outcome.status, f": {outcome.reason}" if outcome.reason else "")
        outcomes.append(outcome)
    return outcomes
