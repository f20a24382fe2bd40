"""Archives that the workers of a pool share, on real workers."""

import json
import os
import signal
import time
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from geoae.archive.batch import BatchOptions, restore_archive
from tests.flows.scenes import artifacts, crop
from tests.flows.test_kill import (
    SCENE,
    environment,
    prefect,
    restoring,
    seconds_until,
    slabs,
    state_of,
    worker,
)
from tests.support.rasters import read

__all__ = ["environment"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server"), pytest.mark.timeout(900)]

OPTIONS = {"precision": "fp32", "device": "cpu", "profile": "gtiff"}


@pytest.fixture
def two_places(environment):
    prefect(environment, "work-pool", "set-concurrency-limit", "gpu", "2")
    yield environment
    prefect(environment, "work-pool", "set-concurrency-limit", "gpu", "1")


def archive(folder: Path, count: int, side: int = 64, **more) -> Path:
    for index in range(count):
        crop(folder / "in" / f"s{index:03d}.tif", row=10 * index, side=side, **more)
    return folder / "in"


def ordered(source: Path, name: str = "restore-archive/nightly", **options) -> str:
    """Ask for an archive; the run's id."""
    from prefect.deployments import run_deployment

    given = {"source": str(source), "target": str(source.parent / "out")} | OPTIONS | options
    return str(run_deployment(name, parameters=given, timeout=0).id)


def inside(run_id: str) -> list[Any]:
    """Runs inside of a run, and inside of these."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

    given = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=given, limit=200)
    return [*runs, *(one for run in runs for one in inside(run.id))]


def split(run_id: str) -> tuple[list[Any], list[Any]]:
    """Shards of a run, and the runs of its scenes."""
    runs = inside(run_id)
    return [run for run in runs if run.deployment_id], [
        run for run in runs if not run.deployment_id
    ]


def table_of(run_id: str) -> str:
    return artifacts(run_id)["geoae-scenes"].description


def written(source: Path) -> list[str]:
    """All that is below the folder of outputs but the outputs' reports."""
    out = source.parent / "out"
    return sorted(
        str(path.relative_to(out))
        for path in out.rglob("*")
        if path.is_file() and path.suffix != ".json"
    )


def as_by_hand(source: Path) -> bool:
    by_hand = source.parent / "by_hand"
    restore_archive(str(source), str(by_hand), BatchOptions(), OPTIONS)
    return all(
        (read(path) == read(source.parent / "out" / path.name)).all()
        for path in by_hand.glob("*.tif")
    )


def test_two_workers_share_an_archive(two_places, tmp_path, record_property):
    source = archive(tmp_path, 16, side=512)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(worker(two_places))
        run_id = ordered(source)
        seconds_until(lambda: state_of(run_id) in ("Completed", "Failed", "Crashed"), 600)
    assert state_of(run_id) == "Completed"
    shards, scenes = split(run_id)
    assert "Completed" in {run.state.name for run in shards} <= {"Completed", "Cancelled"}
    assert table_of(run_id) == "archive: 16 restored"
    assert len(scenes) == 16
    times = sorted((run.start_time, run.end_time) for run in scenes)
    overlapping = sum(next_one[0] < one[1] for one, next_one in pairwise(times))
    record_property("consecutive scenes that overlapped, of 15", overlapping)
    assert overlapping >= 8
    assert written(source) == sorted([*(f"s{index:03d}.tif" for index in range(16))])
    assert as_by_hand(source)


def test_one_worker_restores_all(two_places, tmp_path):
    """Of one run at a time, though the pool has another place: nobody begins the shards."""
    source = archive(tmp_path, 6)
    (source / "bad.tif").write_bytes(b"bad")
    with worker(two_places):
        run_id = ordered(source, model="identity", most_failed=0.5)
        seconds_until(lambda: state_of(run_id) in ("Completed", "Failed", "Crashed"), 300)
    assert state_of(run_id) == "Completed"
    shards, scenes = split(run_id)
    assert {run.state.name for run in shards} == {"Cancelled"}
    assert len(scenes) == 7
    assert table_of(run_id) == "archive: 1 failed, 6 restored"
