"""Archives that the workers of a pool share, on a server that is played."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from geoae.archive.triage import Outcome
from geoae.catalog.sources import SceneRef, scenes
from geoae.pipeline.job import Job
from geoae.pipeline.run import run as run_job
from tests.flows.scenes import archive, digest_of


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
