"""Notify a Prefect block when a run fails, crashes or is cancelled."""

import os
from typing import Any

from prefect.blocks.core import Block
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow
from prefect.logging import get_logger

from geoae.errors import BusyError

__all__ = ["notify", "on_end"]

# Name of the block, like slack-webhook/ground-segment; without it nobody is notified.
SETTING = "GEOAE_NOTIFY"


def notify(flow: Flow[Any, Any], flow_run: FlowRun, state: State) -> None:
    """Send state and reason to the block that ``GEOAE_NOTIFY`` names.

    Args:
        flow: the flow. Prefect requires these names of the parameters.
        flow_run: its run.
        state: the state that the run has entered.

    """
    name = os.environ.get(SETTING)
    if not name or _is_left_to_another(state):
        return
    subject = f"geoae: {flow_run.name} is {state.name}"
    try:
        block: Any = Block.load(name)
        block.notify(
            body=f"{flow.name}/{flow_run.name} ({flow_run.id}): {state.message}", subject=subject
        )
    except Exception as error:  # a hook's failure must not hide the run's
        get_logger("geoae.flows").warning("nobody was told through %s: %s", name, error)


def _is_left_to_another(state: State) -> bool:
    """Whether another run is restoring the scene, which is not a failure to report."""
    return state.is_failed() and isinstance(state.result(raise_on_failure=False), BusyError)


def on_end() -> dict[str, Any]:
    """Return the hooks of a flow, as arguments of ``@flow``."""
    return {"on_failure": [notify], "on_crashed": [notify], "on_cancellation": [notify]}
