"""Artifacts of a run in Prefect: progress, image, figures, links, tables."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
)
from prefect.client.schemas.sorting import ArtifactSort

from geoae.archive.triage import STATUSES, Outcome, describe_counts
from geoae.audit.quicklook import draw_quicklook
from geoae.pipeline.report import RestoreReport
from geoae.pipeline.run import Progress
from geoae.system.files import is_local

__all__ = ["ROWS", "TABLE", "progress", "read_outcomes", "show_outcomes", "show_report"]

# Seconds between updates: each is a request to the server.
EVERY = 5.0
# Seconds until the next request to a server that did not answer: Prefect waits half a minute for
# each.
AWAY = 300.0
# A table is one row of the server's database, so of a large archive only the first rows are shown.
ROWS = 500
COLUMNS = ("source", "target", "status", "reason")
# Key of the table of scenes.
TABLE = "geoae-scenes"


def progress(what: str) -> Callable[[Progress], None]:
    """Create a progress artifact and return the function that updates it every few seconds.

    While the server does not answer, updates are rare.

    Args:
        what: what is counted, like ``tiles of scene.tif``.

    """
    artifact = cast(UUID, create_progress_artifact(0.0, key="geoae-progress", description=what))
    following = time.monotonic() + EVERY

    def update(done: Progress) -> None:
        nonlocal following
        if done.done < done.total and time.monotonic() < following:
            return
        try:
            update_progress_artifact(artifact, 100 * done.done / done.total)
            following = time.monotonic() + EVERY
        except httpx.HTTPError:  # a lost progress update must not fail the scene
            following = time.monotonic() + AWAY

    return update


def show_report(report: RestoreReport, written: str | None) -> None:
    """Create image, figures and links of one restored scene.

    Args:
        report: the report of the run.
        written: path of the report's file, or None.

    """
    name = Path(report.target).name
    if report.bands:
        picture = draw_quicklook(report.source, report.target, tuple(report.bands))
        shown = f"{name}: before, after, difference x 3"
        if report.mtf is not None:
            shown += f"; sharpened, a modulation transfer of {report.mtf:.2g} undone"
        create_image_artifact(picture, key="geoae-picture", description=shown)
    bands = zip(report.bands, report.sigma_before, report.sigma_after, report.bias, strict=True)
    common = {
        "seconds": round(report.seconds, 2),
        "Mpx/s": round(report.megapixels_per_second, 3),
        "model": report.model,
    }
    rows = [
        {
            "band": band,
            f"noise before ({report.unit})": f"{before:.4g}",
            f"noise after ({report.unit})": f"{after:.4g}",
            "bias (DN)": f"{bias:+.3g}",
        }
        | common
        for band, before, after, bias in bands
    ]
    rows += [
        {"band": band, f"noise before ({report.unit})": f"copied: {reason}"}
        for band, reason in report.copied.items()
    ]
    create_table_artifact(
        rows,
        key="geoae-figures",
        description=(
            f"{name}: {report.height} x {report.width} px, {report.tiles} tiles, {report.setting}"
        ),
    )
    for key, text, place in (
        ("geoae-output", name, report.target),
        ("geoae-report", "report", written),
    ):
        if place:
            create_link_artifact(_link(place), link_text=text, key=key, description=place)


def _link(place: str) -> str:
    return Path(place).resolve().as_uri() if is_local(place) else place


def show_outcomes(title: str, outcomes: Sequence[Outcome]) -> None:
    """Create a table of scenes; those that need a person come first.

    Args:
        title: what the table shows.
        outcomes: outcomes of all scenes.

    """
    rows = sorted(outcomes, key=lambda one: (STATUSES.index(one.status), one.source))
    more = f"; the first {ROWS} are shown" if len(rows) > ROWS else ""
    table = [
        {name: getattr(row, name) for name in COLUMNS} | {"seconds": round(row.seconds, 1)}
        for row in rows[:ROWS]
    ]
    create_table_artifact(
        table, key=TABLE, description=f"{title}: {describe_counts(outcomes)}{more}"
    )


def read_outcomes(client: SyncPrefectClient, run: UUID) -> list[Outcome]:
    """Read the table of scenes of a run, which may have been computed anywhere.

    Args:
        client: client of Prefect's server.
        run: a run that has called ``show_outcomes`` with at most ``ROWS`` outcomes.

    Returns:
        The outcomes of its scenes; none where it left no table.

    """
    tables = client.read_artifacts(
        artifact_filter=ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[run]), key=ArtifactFilterKey(any_=[TABLE])
        ),
        sort=ArtifactSort.CREATED_DESC,
        limit=1,
    )
    return [Outcome(**row) for table in tables for row in json.loads(str(table.data))]
