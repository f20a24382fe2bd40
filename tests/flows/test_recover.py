"""Runs that have lost their process start again; those that live, here or elsewhere, are left
alone.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any
from uuid import UUID

import pytest

from tests.flows.test_kill import environment
from tests.flows.test_process import label

__all__ = ["environment"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("environment"), pytest.mark.timeout(600)]


@pytest.fixture
def client(server):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def running(client) -> Iterator[Any]:
    """Make a run of a deployment that says that it is Running; all runs are deleted in the end."""
    from prefect.client.schemas.objects import StateType
    from prefect.states import Running, State

    runs = []

    def make(pid=None, starts=1, cancelling=False, around=None, **changed):
        deployment = client.read_deployment_by_name("restore-scene/on-demand")
        run = client.create_flow_run_from_deployment(
            deployment.id, parameters={"source": "scene.tif"}, parent_task_run_id=around
        )
        runs.append(run.id)
        for _ in range(starts):
            client.set_flow_run_state(run.id, State(type=StateType.PENDING), force=True)
            client.set_flow_run_state(run.id, Running(), force=True)
        if cancelling:
            client.set_flow_run_state(run.id, State(type=StateType.CANCELLING), force=True)
        run = client.read_flow_run(run.id)
        if pid:
            client.update_flow_run_labels(run.id, label(pid, run.state_id, **changed))
        return run.id

    yield make
    for run in runs:
        client.delete_flow_run(run)


@pytest.fixture
def gone() -> Iterator[int]:
    """A process that has ended, of which nobody has asked for the exit status."""
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        process.stdout.read()  # until it ends
        yield process.pid


@pytest.fixture
def lives() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid


@pytest.fixture
def recover(monkeypatch):
    def recover() -> str:
        from flows.recover import recover

        monkeypatch.setattr("flows.recover.SILENCE", 10.0)
        return "\n".join(recover())

    return recover


@contextmanager
def heartbeats(client, run: UUID) -> Iterator[None]:
    """What a run sends that computes on another machine."""
    from prefect.events import Event

    def send():
        while not stop.wait(1):
            event = Event(
                event="prefect.flow-run.heartbeat",
                resource={"prefect.resource.id": f"prefect.flow-run.{run}"},
            )
            client.request(
                "POST", "/events", json=[event.model_dump(mode="json")]
            ).raise_for_status()

    stop = threading.Event()
    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def states(client, run: UUID) -> list[str]:
    return [
        state.name
        for state in sorted(client.read_flow_run_states(run), key=lambda state: state.timestamp)
    ]


def inside(client, run: UUID) -> UUID:
    """A run inside of ``run``, which has no process and no deployment of its own."""
    from prefect import flow, task
    from prefect.states import Running

    step = task(lambda: None, name="inner")
    around = client.create_task_run(step, flow_run_id=run, dynamic_key="inner-0", state=Running())
    return client.create_flow_run(
        flow(lambda: None, name="inner"), parent_task_run_id=around.id, state=Running()
    ).id


def test_a_run_that_has_lost_its_process_starts_again(client, running, recover, gone):
    run = running(gone)
    inner = inside(client, run)
    said = recover()
    assert f"({run}) has lost its process; it starts again" in said
    assert states(client, run)[-3:] == ["Running", "Crashed", "AwaitingRetry"]
    assert states(client, inner)[-1] == "Crashed"
    assert "waiting" not in said


def test_a_run_starts_again_whose_server_answers_late(client, running, recover, gone, late):
    run = running(gone)
    late.clear()
    assert f"({run}) has lost its process; it starts again" in recover()
    assert len(late) > 2
    assert states(client, run)[-3:] == ["Running", "Crashed", "AwaitingRetry"]


@pytest.mark.parametrize("lost", ["inner", "outer"])
def test_a_run_of_its_own_process_inside_another_starts_again_alone(
    client, running, recover, gone, lives, lost
):
    """As a shard of an archive, whose worker was killed or that of the archive."""
    outer = running(gone if lost == "outer" else lives)
    step = client.read_flow_run(inside(client, outer)).parent_task_run_id
    inner = running(gone if lost == "inner" else lives, around=step)
    kept = {"inner": outer, "outer": inner}[lost]
    said = recover()
    assert f"({outer if lost == 'outer' else inner}) has lost its process; it starts again" in said
    assert str(kept) not in said
    assert states(client, kept)[-1] == "Running"


def test_an_inner_run_whose_outer_run_is_unknown_is_left_alone(client, running, recover, gone):
    """As after the server died before it heard of the step that the inner run belongs to."""
    run = running(gone)
    inner = inside(client, run)
    client.delete_task_run(client.read_flow_run(inner).parent_task_run_id)
    assert f"({run}) has lost its process; it starts again" in recover()


def test_a_run_that_lives_here_is_left_alone(client, running, recover, lives):
    run = running(lives)
    assert recover() == ""
    assert states(client, run)[-1] == "Running"


def test_a_run_that_lives_on_another_machine_is_left_alone(client, running, recover, gone):
    """Its PID is free here, which says nothing; beside it is one that is silent."""
    run, silent = running(gone, boot="another"), running(gone, boot="another")
    inner = inside(client, run)
    with heartbeats(client, run):
        said = recover()
    assert f"({silent}) has lost its process; it starts again" in said
    assert f"({run})" not in said
    assert states(client, silent)[-2:] == ["Crashed", "AwaitingRetry"]
    assert states(client, run)[-1] == states(client, inner)[-1] == "Running"


def test_a_run_that_begins_meanwhile_is_left_alone(client, running, recover):
    """As one that another worker is about to start."""
    from prefect.states import Running

    run = running()
    begin = threading.Timer(4, lambda: client.set_flow_run_state(run, Running(), force=True))
    begin.start()
    assert "has lost its process" not in recover()
    begin.join()
    assert states(client, run)[-1] == "Running"


def test_a_run_is_started_three_times_at_most(client, running, recover, gone):
    run = running(gone, starts=3)
    assert f"({run}) has lost its process; it is Crashed" in recover()
    assert states(client, run)[-1] == "Crashed"


def test_a_run_that_was_being_cancelled_is_cancelled(client, running, recover, gone):
    run = running(gone, cancelling=True)
    assert f"({run}) has lost its process; it is Cancelled" in recover()
    assert states(client, run)[-1] == "Cancelled"


def test_two_workers_start_it_again_once(client, running, recover):
    run = running()
    said: list[str] = []
    # A thread has settings of its own unless it is given these.
    both = [
        threading.Thread(target=copy_context().run, args=(lambda: said.append(recover()),))
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert states(client, run).count("AwaitingRetry") == 1
    assert sum("starts again" in one for one in said) == 1
