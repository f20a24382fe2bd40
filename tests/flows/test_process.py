"""Whether the process of a run is gone, told by the label that the run left."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

pytest.importorskip("prefect")


@pytest.fixture
def process():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def label(pid: int, state_id: UUID, **changed: str) -> dict[str, str]:
    """What a run is labelled with that the process ``pid`` computes, but for what is
    ``changed``.
    """
    from flows.process import LABEL

    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    words = {
        "state": str(state_id),
        "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "namespace": str(Path("/proc/self/ns/pid").readlink()),
        "pid": str(pid),
        "start_time": fields[19],
    }
    return {LABEL: " ".join((words | changed).values())}


def left_by(pid: int, **changed: str):
    """A run that is labelled so."""
    from prefect.client.schemas.objects import FlowRun

    state_id = uuid4()
    return FlowRun(flow_id=uuid4(), state_id=state_id, labels=label(pid, state_id, **changed))


def find(run) -> str:
    from flows.process import find_process

    return find_process(run)


def test_a_process_that_lives_is_found(process):
    assert find(left_by(process.pid)) == "lives"


def test_a_process_that_was_killed_is_gone(process):
    run = left_by(process.pid)
    process.kill()
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        pass
    assert find(run) == "gone"  # nobody has asked for its exit status yet
    process.wait()
    assert find(run) == "gone"


def test_a_pid_may_belong_to_another_process_by_now(process):
    assert find(left_by(process.pid, start_time="1")) == "gone"


@pytest.mark.parametrize("changed", ["state", "boot", "namespace"])
def test_it_is_told_of_this_machine_boot_and_attempt_alone(process, changed):
    run = left_by(process.pid, **{changed: "another"})
    process.kill()
    process.wait()
    assert find(run) == "unknown"


@pytest.mark.parametrize("labels", [{}, {"geoae.process": ""}, {"geoae.process": "a b"}])
def test_it_cannot_be_told_without_a_label(labels):
    from prefect.client.schemas.objects import FlowRun

    assert find(FlowRun(flow_id=uuid4(), state_id=uuid4(), labels=labels)) == "unknown"


def test_it_cannot_be_told_where_proc_does_not_show_a_process(process, monkeypatch):
    """As of another user where /proc is mounted with hidepid."""
    run = left_by(process.pid)
    read = Path.read_text

    def hidden(path, *arguments, **options):
        if str(path) == f"/proc/{process.pid}/stat":
            raise FileNotFoundError
        return read(path, *arguments, **options)

    def forbidden(pid, number):
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", hidden)
    monkeypatch.setattr(os, "kill", forbidden)
    assert find(run) == "unknown"
