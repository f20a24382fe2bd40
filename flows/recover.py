"""Restart flow runs whose process is gone: ``python -m flows.recover``, before a worker starts.

After a power cut nothing reports that a run has ended: it would stay Running, and keep its place in
the pool, for ever. Runs of this machine are looked up among its processes. For all others, their
heartbeat decides.
"""

import time
from collections.abc import Iterable, Iterator
from platform import node
from threading import get_native_id
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.events import Event
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled, Crashed

from flows.process import find_process, has_process

__all__ = ["recover"]

# States in which a run has, or is about to have, a process.
STATES = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
# Tag of all deployments in prefect.yaml; their runs send a heartbeat every 30 s.
TAG = "geoae"
SILENCE = 90.0
EVERY = 2.0
# Most starts of a run, since it may be the run that crashes its machine. As in
# `automations/start-again.json`.
STARTS = 3
# `automations/silent-runs.json` counts this event as a heartbeat.
RECOVERED = "geoae.flow-run.recovered"
# Differs from the automations' message, for which they would start the run once more. It names the
# machine and the thread that says so, which know their own states by that.
MESSAGE = "Its process is gone, says {} ({}). What is finished is kept."


def recover() -> Iterator[str]:
    """Set runs that have lost their process to Crashed, and start them again.

    A run of this machine is identified by its process. Any other counts as lost if it sends no
    heartbeat for 90 s from now on. Earlier heartbeats do not count: the server may have been away
    and missed them.

    Yields:
        A line for people about each run that is lost, and about those that are waited for.

    """
    with get_client(sync_client=True) as client:
        families = _families(client)
        found = {root: find_process(family[0]) for root, family in families.items()}
        for root in (root for root in families if found[root] == "gone"):
            yield _start_again(client, families[root])
        unknown = [root for root in families if found[root] == "unknown"]
        if unknown:
            yield (
                f"waiting {SILENCE:.0f} s at most for a sign of life of"
                f" {', '.join(families[root][0].name for root in unknown)}"
            )
        for root in _silent(client, unknown):
            yield _start_again(client, families[root])


def _families(client: SyncPrefectClient) -> dict[UUID, list[FlowRun]]:
    """Return unfinished runs of geoae's deployments, each followed by the runs inside it."""
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=STATES)))
    runs = client.read_flow_runs(flow_run_filter=wanted, limit=200)
    families = {run.id: [run] for run in runs if run.deployment_id and TAG in run.tags}
    for run in runs:
        root = _root(client, run)
        if root in families and root != run.id:
            families[root].append(run)
    return families


def _root(client: SyncPrefectClient, run: FlowRun) -> UUID | None:
    """Return the run around ``run`` whose process computes it; None where the server no longer
    knows it.
    """
    try:
        while not has_process(run) and run.parent_task_run_id:
            parent = client.read_task_run(run.parent_task_run_id).flow_run_id
            if parent is None:
                return None
            run = client.read_flow_run(parent)
    except ObjectNotFound:
        return None
    return run.id


def _start_again(client: SyncPrefectClient, family: list[FlowRun]) -> str:
    """End a run and those inside it; start it again unless it was being cancelled, or started too
    often.
    """
    root, *inner = family
    taken = f"{root.name} ({root.id}) is started again by another worker"
    if client.read_flow_run(root.id).state_id != root.state_id:
        return taken
    cancelling = root.state_type is StateType.CANCELLING
    message = MESSAGE.format(node(), get_native_id())
    ended: State[Any] = Cancelled(message=message) if cancelling else Crashed(message=message)
    # Inner runs first: a run that starts again would adopt one that has not ended.
    for run in inner:
        client.set_flow_run_state(run.id, ended)
    if not _is_set(client, root.id, ended):
        return taken
    if cancelling or root.run_count >= STARTS:
        return f"{root.name} ({root.id}) has lost its process; it is {ended.name}"
    time.sleep(EVERY)  # so that another worker that looks now finds it Crashed
    client.set_flow_run_state(
        root.id, AwaitingRetry(message="Started again, since its process was lost.")
    )
    # A server that has just started processes no state for minutes, and would miss a heartbeat.
    event = Event(event=RECOVERED, resource={"prefect.resource.id": f"prefect.flow-run.{root.id}"})
    client.request("POST", "/events", json=[event.model_dump(mode="json")]).raise_for_status()
    return f"{root.name} ({root.id}) has lost its process; it starts again"


def _is_set(client: SyncPrefectClient, run: UUID, state: State[Any]) -> bool:
    """Set the state of a run; whether it was this process that did.

    A client whose answer is lost asks again, and the server refuses what it has done already.
    """
    if client.set_flow_run_state(run, state).status is SetStateStatus.ACCEPT:
        return True
    found = client.read_flow_run(run).state
    return found is not None and (found.type, found.message) == (state.type, state.message)


def _silent(client: SyncPrefectClient, runs: Iterable[UUID]) -> list[UUID]:
    """Return those of ``runs`` that neither send a heartbeat nor change their state for a while."""
    before = {run: _sign_of_life(client, run) for run in runs}
    until = time.monotonic() + SILENCE
    while before and time.monotonic() < until:
        time.sleep(EVERY)
        before = {run: sign for run, sign in before.items() if _sign_of_life(client, run) == sign}
    return list(before)


def _sign_of_life(client: SyncPrefectClient, run: UUID) -> tuple[UUID | None, list[UUID]]:
    """Return state and last heartbeat of a run: one of them changes while the run lives."""
    heartbeats = EventFilter(
        event=EventNameFilter(name=["prefect.flow-run.heartbeat"]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run}"]),
    )
    events = client.read_events(heartbeats, limit=1).events
    return client.read_flow_run(run).state_id, [event.id for event in events]


if __name__ == "__main__":
    for line in recover():
        print(line, flush=True)
