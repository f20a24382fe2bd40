"""The process that computes a flow run, so that a run whose process is gone can be recognised."""

import os
from pathlib import Path
from typing import Literal

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

__all__ = ["LABEL", "find_process", "has_process", "remember_process"]

Found = Literal["lives", "gone", "unknown"]
LABEL = "geoae.process"


def remember_process() -> None:
    """Write this process into the labels of the flow run that it computes.

    Runs inside another run are left out, unless they have a deployment and so a process of their
    own: they end with the run around them.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.state is None or not has_process(run):
        return
    words = [str(run.state.id), *_here(), str(os.getpid()), _start_time(os.getpid())]
    if all(words):
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(run.id, {LABEL: " ".join(words)})


def has_process(run: FlowRun) -> bool:
    """Whether a run has a process of its own: it is not computed by the run around it."""
    return run.parent_task_run_id is None or run.deployment_id is not None


def find_process(run: FlowRun) -> Found:
    """Look for the process that computes ``run`` among those of this machine.

    Returns:
        ``lives``, ``gone``, or ``unknown`` where this machine cannot tell: the run belongs to
        another machine or container, or to an earlier boot, or its process has not written its
        label yet.

    """
    words = str(run.labels.get(LABEL, "")).split(" ")
    if len(words) != 5 or words[:3] != [str(run.state_id), *_here()]:
        return "unknown"
    pid, start_time = words[3:]
    now = _start_time(int(pid))
    if now == start_time:
        return "lives"
    return "unknown" if not now and _is_hidden(int(pid)) else "gone"


def _here() -> list[str]:
    """Return boot and PID namespace of this machine; within them PID and start time identify a
    process.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return [boot, str(Path("/proc/self/ns/pid").readlink())]
    except OSError:  # a system without /proc
        return ["", ""]


def _start_time(pid: int) -> str:
    """Return the start of a process in clock ticks since boot, see proc(5); empty where there is
    none.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def _is_hidden(pid: int) -> bool:
    """Whether the process exists, but belongs to a user whose processes /proc does not show."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False
