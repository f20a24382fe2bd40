"""The fields of ``geoae.pipeline.job.Job`` as parameters of flows, with descriptions for Prefect's
form.
"""

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from geoae.pipeline.job import Job

__all__ = ["INBOX", "OUTBOX", "SCHEDULER", "ensure_inbox", "with_options"]

F = TypeVar("F", bound=Callable[..., Any])

# Where scenes arrive and outputs go unless a run says otherwise.
INBOX = os.environ.get("GEOAE_INBOX", "inbox")
OUTBOX = os.environ.get("GEOAE_OUTBOX", "outbox")
# The model where a run names none: a shipped name, or a folder like one's own `current`.
MODEL = os.environ.get("GEOAE_MODEL") or None
# Dask's own name for the cluster that is used where none is named.
SCHEDULER = os.environ.get("DASK_SCHEDULER_ADDRESS") or None


def ensure_inbox(place: str | list[str]) -> str | list[str]:
    """Return ``place``; make the default inbox where it is missing, but no folder that a user
    named.
    """
    if place == INBOX:
        Path(INBOX).mkdir(parents=True, exist_ok=True)
    return place


def with_options(function: F) -> F:
    """Replace ``**options`` of ``function`` by one parameter for each field of ``Job`` that it
    lacks.

    Prefect reads descriptions from the section ``Args:`` of a docstring, with which that of
    ``function`` must end.
    """
    own = [
        p for p in inspect.signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD
    ]
    defaults = {"model": MODEL}
    fields = {
        name: field for name, field in Job.model_fields.items() if name not in {p.name for p in own}
    }
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(name, field.default),
            annotation=Annotated[field.annotation, field],
        )
        for name, field in fields.items()
    ]
    function.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    lines = (f"    {name}: {field.description}." for name, field in fields.items())
    function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), *lines])
    return function
