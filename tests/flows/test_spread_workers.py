"""Archives that the workers of a pool share, on real workers."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from geoae.archive.batch import BatchOptions, restore_archive
from tests.flows.conftest import ROOT
from tests.flows.scenes import archive, artifacts
from tests.flows.test_kill import (
    SCENE,
    environment,
    message_of,
    prefect,
    seconds_until,
    slabs,
    state_of,
    worker,
)
from tests.support.rasters import read

__all__ = ["environment"]

slow = pytest.mark.slow
pytestmark = pytest.mark.timeout(900)

OPTIONS = {"precision": "fp32", "device": "cpu", "profile": "gtiff"}


@pytest.fixture
def two_places(environment):
    prefect(environment, "work-pool", "set-concurrency-limit", "gpu", "2")
    yield environment
    prefect(environment, "work-pool", "set-concurrency-limit", "gpu", "1")


def ordered(source: Path, name: str = "restore-archive/nightly", **options: Any) -> str:
    """Ask for an archive; the run's id."""
    from prefect.deployments import run_deployment

    given = {"source": str(source), "target": str(source.parent / "out")} | OPTIONS | options
    return str(run_deployment(name, parameters=given, timeout=0).id)


def ended(run_id: str) -> bool:
    return state_of(run_id) in ("Completed", "Failed", "Crashed", "Cancelled")


def inside(run_id: Any) -> list[Any]:
    """Runs inside of a run, and inside of these."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId

    given = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(flow_run_filter=given, limit=200)
    return [*runs, *(one for run in runs for one in inside(run.id))]


def shards_of(run_id: str) -> list[Any]:
    return [run for run in inside(run_id) if run.deployment_id]


def scene_runs(run_id: str) -> list[Any]:
    return [run for run in inside(run_id) if not run.deployment_id]


def must_complete(run_id: str) -> None:
    """Fail with the run's own message and its table where it has not completed."""
    told = [message_of(run_id), *(one.data for one in artifacts(run_id).values())]
    assert state_of(run_id) == "Completed", "\n".join(map(str, told))


def table_of(run_id: str) -> str:
    return artifacts(run_id)["geoae-scenes"].description


def written(source: Path) -> list[str]:
    """All files below the folder of outputs, but reports and what the archive keeps."""
    out = source.parent / "out"
    found = (
        path
        for path in out.rglob("*")
        if path.is_file() and path.suffix != ".json" and not path.name.startswith(".geoae-")
    )
    return sorted(str(path.relative_to(out)) for path in found)


def as_by_hand(source: Path, **more: Any) -> bool:
    by_hand = source.parent / "by_hand"
    report = restore_archive(str(source), str(by_hand), BatchOptions(), OPTIONS | more)
    return all(
        (read(Path(one.target)) == read(source.parent / "out" / Path(one.target).name)).all()
        for one in report.outcomes
    )


def workers() -> set[str]:
    """Names of the workers that are there."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.read_workers_for_work_pool("gpu")
    return {one.name for one in found if one.status and one.status.value == "ONLINE"}


@contextmanager
def two_workers(environment: dict[str, str]) -> Iterator[None]:
    """Two workers that look for runs already; others have ended, though the server may not know."""
    before = workers()
    with worker(environment), worker(environment):
        seconds_until(lambda: len(workers() - before) == 2, 120)
        yield


@slow
def test_two_workers_share_an_inbox(two_places, tmp_path, record_property):
    source = archive(tmp_path, 8, side=256, source=SCENE)
    with two_workers(two_places):
        run_id = ordered(source, "watch-inbox/every-10-minutes", settle=1)
        seconds_until(lambda: ended(run_id), 300)
    must_complete(run_id)
    assert table_of(run_id) == "inbox: 8 restored"
    assert (
        "Completed" in {run.state.name for run in shards_of(run_id)} <= {"Completed", "Cancelled"}
    )
    times = sorted((run.start_time, run.end_time) for run in scene_runs(run_id))
    assert len(times) == 8
    record_property("overlapping", sum(later[0] < one[1] for one, later in pairwise(times)))
    assert written(source) == [f"s{index:03d}.tif" for index in range(8)]
    assert as_by_hand(source)


@slow
def test_one_worker_restores_all(two_places, tmp_path):
    """It takes one run at a time, though the pool has another place: nobody begins the shards."""
    source = archive(tmp_path, 4)
    (source / "bad.tif").write_bytes(b"bad")
    with worker(two_places):
        run_id = ordered(source, model="identity", most_failed=0.5)
        seconds_until(lambda: ended(run_id), 300)
    must_complete(run_id)
    assert {run.state.name for run in shards_of(run_id)} == {"Cancelled"}
    assert len(scene_runs(run_id)) == 5
    assert table_of(run_id) == "archive: 1 failed, 4 restored"


def with_process(run_id: Any) -> Any:
    """A run, once it has told which process computes it."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        run = client.read_flow_run(run_id)
    return run if "geoae.process" in run.labels else None


def kill(run: Any) -> None:
    """The process of a run and its worker, at once."""
    process = psutil.Process(int(run.labels["geoae.process"].split()[3]))
    family = [process.parent(), process]
    for one in family:
        one.send_signal(signal.SIGKILL)
    psutil.wait_procs(family, timeout=20)


def recover(environment: dict[str, str]) -> str:
    """What a worker does before it starts."""
    command = [sys.executable, "-m", "flows.recover"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def resumed(out: Path) -> list[str]:
    """Outputs that were finished from slabs."""
    reports = {path.name: json.loads(path.read_text()) for path in out.glob("*.json")}
    return [name for name, report in reports.items() if report["slabs_resumed"]]


@slow
@pytest.mark.parametrize("victim", ["shard", "archive"])
def test_one_of_two_workers_is_killed(two_places, tmp_path, victim):
    """In the middle of a scene of the shard. Where it had the run of the archive, another worker
    takes that while the shard is running.
    """
    source, out = archive(tmp_path, 4, side=450, source=SCENE), tmp_path / "out"
    names = sorted(path.name for path in source.iterdir())
    with ExitStack() as stack:
        stack.enter_context(two_workers(two_places))
        run_id = ordered(source, tile=272)
        seconds_until(lambda: any(with_process(run.id) for run in shards_of(run_id)), 120)
        shard = next(run for run in shards_of(run_id) if with_process(run.id))
        seconds_until(lambda: slabs(out / shard.parameters["scenes"][0]["name"]), 120)
        kill(with_process(shard.id if victim == "shard" else run_id))
        done = {path: path.stat().st_mtime_ns for path in out.glob("*.tif")}
        assert "it starts again" in recover(two_places)
        if victim == "archive":
            stack.enter_context(worker(two_places))
        seconds_until(lambda: ended(run_id), 300)
    must_complete(run_id)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert written(source) == names
    assert "failed" not in table_of(run_id)
    assert resumed(out) or victim == "archive"  # which may have been waiting for its shard
    assert as_by_hand(source, tile=272)
