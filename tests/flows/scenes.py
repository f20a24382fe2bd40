"""Small scenes for flows, cut from a real noisy one, and questions to Prefect's server."""

from pathlib import Path
from typing import Any

import pytest
import rasterio
from rasterio.windows import Window

from geoae.archive.triage import digest_options
from geoae.pipeline.job import Job, ModelSpec, resolve_options
from geoae.pipeline.preparation.prepare import load_restorer
from tests.support.rasters import SHARED

REAL = SHARED / "scenes" / "real_noise" / "l5_tm_19880814_6band_30m.tif"


def crop(path: Path, row: int = 0, col: int = 0, side: int = 64, source: Path = REAL) -> Path:
    """``side`` px of a real scene, from ``row`` and ``col`` on."""
    if not source.exists():
        pytest.skip(f"{source} is not there")
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(source) as whole:
        window = Window(col, row, side, side)
        profile = whole.profile | {
            "driver": "GTiff",
            "width": side,
            "height": side,
            "transform": whole.window_transform(window),
        }
        with rasterio.open(path, "w", **profile) as part:
            part.write(whole.read(window=window))
    return path


def archive(folder: Path, count: int, **more: Any) -> Path:
    """A folder of so many scenes, ``in`` of ``folder``; ``more`` as for ``crop``."""
    for index in range(count):
        crop(folder / "in" / f"s{index:03d}.tif", row=10 * index, **more)
    return folder / "in"


def digest_of(plain: Job) -> str:
    """Digest of model and options, under which an archive records its failures."""
    options = resolve_options(plain)
    return digest_options(plain, options, load_restorer(ModelSpec.of(plain, options)))


def artifacts(flow_run_id: Any) -> dict[str, Any]:
    """Artifacts of a run by key."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
        )
    return {one.key: one for one in found}


def task_runs(flow_run_id: Any) -> list[Any]:
    """Task runs of a run, by name."""
    import time

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    time.sleep(3)  # the server hears of them by events
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
        )
    return sorted(found, key=lambda one: one.name)


def flow_runs(name: str) -> list[Any]:
    """All runs of the flow ``name``."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[name])), limit=200
        )
