"""Archives that the workers of a pool share, on real workers and on a server that is played."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest

from geoae.archive.batch import BatchOptions, restore_archive
from geoae.archive.triage import Outcome
from geoae.catalog.sources import SceneRef, scenes
from geoae.pipeline.job import Job
from geoae.pipeline.run import run as run_job
from tests.flows.conftest import ROOT
from tests.flows.scenes import artifacts, crop, digest_of
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


def archive(folder: Path, count: int, **more: Any) -> Path:
    for index in range(count):
        crop(folder / "in" / f"s{index:03d}.tif", row=10 * index, **more)
    return folder / "in"


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


class Played:
    """What a run asks of a server, which answers at once; a worker begins nothing by itself."""

    def __init__(self, limit: int | None = 3) -> None:
        self.runs: dict[UUID, Any] = {}
        self.limit, self.away, self.said, self.tables = limit, False, [], True

    def start(self, name: str, parameters: dict[str, Any], timeout: float) -> Any:
        from prefect.client.schemas.objects import FlowRun
        from prefect.states import Scheduled

        given = json.loads(json.dumps(parameters))
        run = FlowRun(flow_id=uuid4(), name=given["label"], parameters=given, state=Scheduled())
        self.runs[run.id] = run
        return run

    def read_flow_runs(self, *, flow_run_filter: Any, limit: int) -> list[Any]:
        import httpx

        if self.away:
            raise httpx.ConnectError("away")
        if flow_run_filter.id is None:  # what a run had in flight that has lost its process
            return list(self.runs.values())
        return [self.runs[one] for one in flow_run_filter.id.any_ if one in self.runs]

    def read_flow_run(self, run_id: UUID) -> Any:
        return self.runs[run_id]

    def set_flow_run_state(self, run_id: UUID, state: Any) -> None:
        from prefect.states import Cancelled

        self.said.append(state.name)
        self.runs[run_id].state = Cancelled() if state.is_cancelling() else state

    def read_work_pool(self, name: str) -> Any:
        return SimpleNamespace(concurrency_limit=self.limit)

    def read_workers_for_work_pool(self, name: str, worker_filter: Any) -> list[str]:
        assert worker_filter.status.any_ == ["ONLINE"]
        return ["one", "another"]

    def read_artifacts(self, *, artifact_filter: Any, **more: Any) -> list[Any]:
        shard = self.runs[artifact_filter.flow_run_id.any_[0]].parameters["scenes"]
        rows = [
            {
                "source": one["source"],
                "target": "",
                "status": "restored",
                "reason": "",
                "seconds": 1,
            }
            for one in shard
        ]
        return [SimpleNamespace(data=json.dumps(rows))] if self.tables else []


@pytest.fixture
def spread(monkeypatch, tmp_path) -> Iterator[Any]:
    """Make what spreads scenes, for a server that is played."""
    from prefect.client.schemas.objects import FlowRun
    from prefect.logging import disable_run_logger

    from flows import spread
    from flows.shards import SharedOptions

    plain = Job(source="", model="identity")
    shared = SharedOptions(plain, str(tmp_path / "out"), digest_of(plain), 60.0, None)
    run = FlowRun(flow_id=uuid4(), work_pool_name="gpu")
    monkeypatch.setattr(spread, "progress", lambda what: lambda done: None)
    monkeypatch.setattr(spread, "EVERY", 0.0)

    def make(server: Played, todo: list[SceneRef], most: int = 20) -> Any:
        monkeypatch.setattr(spread, "run_deployment", server.start)
        return spread._Spread(server, run, todo, shared, most)

    with disable_run_logger():
        yield make


def refs(count: int) -> list[SceneRef]:
    return [SceneRef(f"s{index}.tif", f"s{index}.tif") for index in range(count)]


def names(server: Played) -> list[list[str]]:
    return [[one["name"] for one in run.parameters["scenes"]] for run in server.runs.values()]


def state(name: str, seconds: float = 0.0) -> Any:
    """A state that was entered so many seconds ago."""
    from prefect.client.schemas.objects import State, StateType

    entered = datetime.now(UTC) - timedelta(seconds=seconds)
    return State(type=StateType[name.upper()], timestamp=entered)


def test_shards_are_bounded_and_one_waits_for_each_other_place(spread):
    server = Played(limit=3)
    own = spread(server, refs(1000), most=20).own()
    assert next(own).name == "s0.tif"
    assert [len(shard) for shard in names(server)] == [20, 20]
    assert names(server)[0][:3] == ["s2.tif", "s5.tif", "s8.tif"]  # the others of three
    next(own)
    assert len(server.runs) == 2


def test_the_last_scenes_are_shared_in_small_shards(spread):
    server = Played(limit=3)
    next(spread(server, refs(6)).own())
    assert [len(shard) for shard in names(server)] == [2, 2]


def test_workers_are_counted_where_the_pool_has_no_limit(spread):
    server = Played(limit=None)
    next(spread(server, refs(10)).own())
    assert [len(shard) for shard in names(server)] == [5]


@pytest.mark.parametrize("limit", [0, 1])
def test_nothing_is_given_away_where_there_is_one_place(spread, limit):
    server = Played(limit=limit)
    assert list(spread(server, refs(5)).own()) == refs(5)
    assert server.runs == {}


def test_what_nobody_begins_is_restored_here_once_each(spread):
    server = Played(limit=4)
    made = spread(server, refs(50))
    assert sorted(made.own(), key=str) == sorted(refs(50), key=str)
    assert {run.state.name for run in server.runs.values()} == {"Cancelled"}
    assert made.outcomes == []


def test_the_outcomes_of_shards_are_gathered(spread):
    server = Played(limit=2)
    made = spread(server, refs(10))
    own = []
    for found in made.own():
        own.append(found.source)
        for run in server.runs.values():
            run.state = state("completed")
    assert sorted(own + [one.source for one in made.outcomes]) == sorted(
        one.source for one in refs(10)
    )
    assert made.outcomes


def test_a_shard_whose_run_was_deleted_is_restored_here(spread):
    server = Played(limit=2)
    own = spread(server, refs(4)).own()
    found = [next(own)]
    server.runs.clear()
    server.limit = 1
    assert sorted([*found, *own], key=str) == refs(4)


@pytest.mark.parametrize(("starts", "seconds", "again"), [(1, 60, True), (1, 5, False)])
def test_a_shard_that_lost_its_process_starts_again_after_a_while(spread, starts, seconds, again):
    server = Played(limit=2)
    own = spread(server, refs(6)).own()
    next(own)
    (run,) = server.runs.values()
    run.state, run.run_count = state("crashed", seconds), starts
    next(own)
    assert server.said == (["AwaitingRetry"] if again else [])


@pytest.mark.parametrize(
    ("name", "starts"), [("crashed", 3), ("failed", 1), ("cancelled", 1), ("completed", 1)]
)
def test_scenes_of_a_shard_that_ended_badly_have_failed(spread, tmp_path, name, starts):
    """As have those of one whose table was deleted."""
    server = Played(limit=2)
    server.tables = False
    found = scenes(str(archive(tmp_path, 2)))
    made = spread(server, found)
    own = made.own()
    assert next(own) == found[0]
    (run,) = server.runs.values()
    run.state, run.run_count = state(name, 60), starts
    assert list(own) == []
    assert [(one.source, one.status) for one in made.outcomes] == [(found[1].source, "failed")]
    assert f"shard 1 is {name.capitalize()}: no reason given" in made.outcomes[0].reason


def test_this_run_restores_the_end_of_a_shard_that_has_begun(spread, tmp_path, monkeypatch):
    """But not the scene that the shard restores now, nor one that is done."""
    server = Played(limit=2)
    found = scenes(str(archive(tmp_path, 8)))
    made = spread(server, found)
    own = made.own()
    first = next(own)
    (run,) = server.runs.values()
    run.state = state("running")
    shard = [SceneRef(**one) for one in run.parameters["scenes"]]
    assert len(shard) == 4
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / shard[0].name
    run_job(Job(source=shard[0].source, target=str(target), model="identity"))

    def end(seconds):
        run.state = state("completed")

    monkeypatch.setattr("flows.spread.time.sleep", end)
    done = [first, *own]
    assert done[4:] == [shard[3], shard[2]]
    assert {one.source for one in made.outcomes} == {one.source for one in shard}


def test_a_scene_has_the_outcome_of_the_run_that_restored_it():
    from flows.spread import _choose

    given = [
        Outcome("a.tif", "", "restored"),
        Outcome("b.tif", "", "skipped"),
        Outcome("c.tif", "", "failed"),
        Outcome("a.tif", "", "skipped"),
        Outcome("b.tif", "", "restored"),
        Outcome("c.tif", "", "skipped"),
    ]
    assert {one.source: one.status for one in _choose(given)} == {
        "a.tif": "restored",
        "b.tif": "restored",
        "c.tif": "failed",
    }


def test_a_run_that_starts_again_goes_on_with_its_shards(spread):
    """Of which one has finished a scene meanwhile, which this run does not look for any more."""
    server = Played(limit=2)
    next(spread(server, refs(6)).own())
    (shard,) = names(server)
    assert shard == ["s1.tif", "s3.tif", "s5.tif"]
    left = [found for found in refs(6) if found.name != "s3.tif"]
    made = spread(server, left)
    own = made.own()
    assert next(own).name == "s0.tif"
    for run in server.runs.values():
        run.state = state("completed")
    server.limit = 1
    assert [found.name for found in own] == ["s2.tif", "s4.tif"]
    assert [one.source for one in made.outcomes] == ["s1.tif", "s5.tif"]


def test_without_a_server_this_run_goes_on(spread):
    server = Played(limit=2)
    own = spread(server, refs(6)).own()
    found = [next(own)]
    server.away = True
    found += [next(own), next(own)]
    server.away = False
    assert sorted([*found, *own], key=str) == refs(6)


def test_a_run_without_a_pool_spreads_nothing():
    from flows.spread import can_spread

    assert not can_spread()
