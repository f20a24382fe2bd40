"""Runs that have lost their process start again; those that live, here or elsewhere, are left alone."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.flows.test_kill import environment
from tests.flows.test_process import label_of

__all__ = ["environment"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("environment"), pytest.mark.timeout(600)]

MESSAGE = "Its process is gone"


@pytest.fixture
def client():
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def started(client) -> Iterator:
    """Make a run that says that it is Running; all are deleted in the end."""
    from prefect.client.schemas.objects import StateType
    from prefect.states import Running

    runs = []

    def start(name="restore-scene/on-demand", times=1, cancelling=False):
        deployment = client.read_deployment_by_name(name)
        run = client.create_flow_run_from_deployment(deployment.id, parameters={"source": "scene.tif"})
        runs.append(run.id)
        for _ in range(times):
            client.set_flow_run_state(run.id, Running(), force=True)
        if cancelling:
            client.set_flow_run_state(run.id, Running(type=StateType.CANCELLING), force=True)
        return client.read_flow_run(run.id)

    yield start
    for run in runs:
        client.delete_flow_run(run)


@pytest.fixture
def ended() -> int:
    """A process that has ended, and is there until it is asked for its exit status."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        yield process
