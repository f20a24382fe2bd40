"""Spread the scenes of an archive over the workers of the pool that its run belongs to.

Shards become runs of the deployment ``restore-shard/on-pool``. The run of the archive holds a place
of the pool itself, so it restores scenes too, and looks after the shards between two of them. It
takes a shard back that no worker has begun when it has nothing else to do. So one worker that takes
one run at a time restores all. Of a shard that has begun it then restores the last scenes: the
process of a shard starts later than its own, by half a minute on a busy machine.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, cast
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkerFilter,
    WorkerFilterStatus,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import FlowRunContext
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled, Cancelling

from flows.artifacts import progress, read_outcomes
from flows.recover import STARTS
from flows.shards import DoneScenes, SharedOptions, restore_refs
from geoae.archive.failures import Failures
from geoae.archive.triage import Outcome, describe_counts, triage
from geoae.catalog.sources import SceneRef
from geoae.pipeline.run import Progress

__all__ = ["can_spread", "restore_spread"]

DEPLOYMENT = "restore-shard/on-pool"
# Shards in flight at most: the server gives so many runs in one answer.
MOST = 200
IN_FLIGHT = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
# Seconds between two looks at shards while there is nothing else to do.
EVERY = 2.0
# Seconds until a shard is started again that has lost its process. A worker reports that twice
# within ten seconds, and automations start runs again themselves.
GRACE = timedelta(seconds=15)


def can_spread() -> bool:
    """Whether this run belongs to a pool for which there is a deployment of shards."""
    context = FlowRunContext.get()
    pool = context.flow_run.work_pool_name if context and context.flow_run else None
    if pool is None:
        return False
    with get_client(sync_client=True) as client:
        try:
            return client.read_deployment_by_name(DEPLOYMENT).work_pool_name == pool
        except ObjectNotFound:
            get_run_logger().warning(
                "there is no deployment %s, so this run restores all scenes itself; run geoae"
                " deploy again",
                DEPLOYMENT,
            )
            return False


def restore_spread(todo: Sequence[SceneRef], shared: SharedOptions, most: int) -> list[Outcome]:
    """Restore scenes in this run and in shards that other workers of its pool take.

    Args:
        todo: the scenes.
        shared: what they have in common.
        most: most scenes of a shard.

    Returns:
        The outcome of each scene, in the order in which they are known.

    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("scenes are spread from within a flow run")
    with get_client(sync_client=True) as client:
        spread = _Spread(client, context.flow_run, todo, shared, most)
        own = restore_refs(spread.own(), shared)
    return _choose([*own, *spread.outcomes])


def _choose(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Choose one outcome of each scene: that of the run that did most of it."""
    rank = {"skipped": 0, "failed": 1}
    rising = sorted(outcomes, key=lambda one: rank.get(one.status, 2))
    return list({one.source: one for one in rising}.values())


class _Spread:
    """Scenes that are left, and the shards in flight."""

    def __init__(
        self,
        client: SyncPrefectClient,
        run: FlowRun,
        todo: Sequence[SceneRef],
        shared: SharedOptions,
        most: int,
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._client, self._run, self._shared, self._most = client, run, shared, most
        self._log = get_run_logger()
        self._flying = self._adopt({found.source for found in todo})
        self._waiting: list[UUID] = []
        self._taken: set[UUID] = set()
        self._helped: set[SceneRef] = set()
        self._done = DoneScenes(shared)
        self._given = len(self._flying)
        flying = {found.source for shard in self._flying.values() for found in shard}
        self._todo = deque(found for found in todo if found.source not in flying)
        self._total = len(todo)

    def own(self) -> Iterator[SceneRef]:
        """Yield the scenes that this run restores itself; look after the shards in between."""
        tell = progress("scenes")
        while self._todo or self._flying:
            try:
                self._gather()
                if not self._todo:
                    self._take_back()
                self._give()
            except (httpx.HTTPError, ObjectNotFound) as error:  # this run goes on by itself
                self._log.warning("the server is no help with shards for now: %s", error)
            left = len(self._todo) + sum(map(len, self._flying.values()))
            tell(Progress(self._total - left, self._total, 0))
            if self._todo:
                yield self._todo.popleft()
            elif found := self._help():
                yield found
            elif self._flying:
                time.sleep(EVERY)

    def _help(self) -> SceneRef | None:
        """Return the last scene of the largest shard that has begun and has not come to it yet.

        If it comes to the scene meanwhile, the lock of the scene lets only one restore it.
        """
        if not self._done.is_told:
            return None
        begun = self._flying.keys() - set(self._waiting)
        shards = [[one for one in self._flying[run] if one not in self._helped] for run in begun]
        for shard in sorted(shards, key=len, reverse=True):
            # It goes from first to last, so one of these two may be what it restores now.
            if len(shard) > 1 and not any(one in self._done for one in shard[-2:]):
                self._helped.add(shard[-1])
                return shard[-1]
        return None

    def _adopt(self, wanted: set[str]) -> dict[UUID, list[SceneRef]]:
        """Return the shards that this run had in flight when it lost its process.

        Args:
            wanted: the scenes that are not done.

        """
        shards = FlowRunFilter(
            parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[self._run.id]),
            deployment_id=FlowRunFilterDeploymentId(is_null_=False),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=IN_FLIGHT)),
        )
        runs = self._client.read_flow_runs(flow_run_filter=shards, limit=MOST)
        return {
            run.id: [SceneRef(**one) for one in run.parameters["scenes"] if one["source"] in wanted]
            for run in runs
        }

    def _gather(self) -> None:
        """Look at the shards in flight; take the outcomes of those that have ended."""
        if not self._flying:
            return
        some = FlowRunFilter(id=FlowRunFilterId(any_=list(self._flying)))
        found = self._client.read_flow_runs(flow_run_filter=some, limit=MOST)
        for gone in self._flying.keys() - {run.id for run in found}:  # someone has deleted the run
            self._todo.extend(self._flying.pop(gone))
        self._waiting = []
        for run in found:
            self._look(run)

    def _look(self, run: FlowRun) -> None:
        state = run.state
        if state is None or state.is_scheduled():
            self._waiting.append(run.id)
        elif state.is_completed():
            self._end(run, read_outcomes(self._client, run.id) or self._look_at_scenes(run))
        elif state.is_cancelled() and run.id in self._taken:
            self._todo.extend(self._flying.pop(run.id))
        elif state.is_crashed() and run.run_count < STARTS:
            if state.timestamp + GRACE < datetime.now(UTC):
                self._client.set_flow_run_state(
                    run.id, AwaitingRetry(message="Started again, since its process was lost.")
                )
        elif state.is_final():
            self._end(run, self._look_at_scenes(run))

    def _look_at_scenes(self, run: FlowRun) -> list[Outcome]:
        """Return the outcomes of the scenes of a shard that has not said them."""
        shared, scenes = self._shared, self._flying[run.id]
        options = shared.plain.model_dump(exclude={"source", "target"})
        found = triage(scenes, shared.target, options, Failures.below(shared.target))
        name, said = (run.state.name, run.state.message) if run.state else ("", "")
        reason = f"{run.name} is {name}: {said or 'no reason given'}"
        failed = (
            Outcome(one.source, str(job.target), "failed", reason) for one, job in found.jobs()
        )
        return [*found.outcomes, *failed]

    def _end(self, run: FlowRun, outcomes: list[Outcome]) -> None:
        wanted = {found.source for found in self._flying.pop(run.id)}
        self.outcomes += (one for one in outcomes if one.source in wanted)
        self._log.info("%s: %s", run.name, describe_counts(outcomes))

    def _give(self) -> None:
        """Give away shards, so that one waits for each other place of the pool.

        A shard is what is left, divided by the places ("guided self-scheduling", Polychronopoulos
        and Kuck, 1987): large at first, small at the end, when all are to end together.
        """
        if len(self._todo) < 2:
            return
        places = self._count_places()
        while len(self._waiting) < places - 1 and len(self._flying) < MOST and len(self._todo) > 1:
            size = min(-(-len(self._todo) // places), self._most, len(self._todo) - 1)
            # Not the next ones in a row: the first scenes of the list are to be done first.
            head = list(islice(self._todo, size * places))
            step = len(head) // size
            shard = head[step - 1 :: step][:size]
            self._send(shard)
            given = set(shard)
            for _ in head:
                self._todo.popleft()
            self._todo.extendleft(found for found in reversed(head) if found not in given)

    def _send(self, shard: list[SceneRef]) -> None:
        given = {
            "label": f"shard {self._given + 1}",
            "scenes": [asdict(found) for found in shard],
            "shared": asdict(self._shared) | {"plain": self._shared.plain.model_dump(mode="json")},
        }
        run = cast(FlowRun, run_deployment(DEPLOYMENT, parameters=given, timeout=0))
        self._given += 1
        self._flying[run.id] = shard
        self._waiting.append(run.id)

    def _count_places(self) -> int:
        """Count the runs that the pool computes at a time."""
        pool = str(self._run.work_pool_name)
        limit = self._client.read_work_pool(pool).concurrency_limit
        if limit is not None:
            return limit
        online = WorkerFilter(status=WorkerFilterStatus(any_=["ONLINE"]))
        return len(self._client.read_workers_for_work_pool(pool, worker_filter=online))

    def _take_back(self) -> None:
        """Take back the last shard that no worker has begun."""
        if not self._waiting:
            return
        run = self._client.read_flow_run(self._waiting[-1])
        if run.state is None or run.state.type is not StateType.SCHEDULED:
            return
        # A run that has begun meanwhile is stopped by its worker, and ends as Cancelled too. One
        # that waits to be started again keeps its old process ID, and nobody would stop it.
        ended: State[Any] = Cancelled() if run.infrastructure_pid else Cancelling()
        self._taken.add(run.id)
        self._client.set_flow_run_state(run.id, ended)
        self._gather()
