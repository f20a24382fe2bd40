"""Provenance of an output and of the restorations before it: the metadata domain GEOAE."""

import json
from collections.abc import Mapping, Sequence

import rasterio

from geoae.errors import InputError
from geoae.raster.dataset import DAMAGED, check_openable
from geoae.system.warnings import SILENCE

__all__ = ["already_restored_warning", "read_history", "read_tags", "with_history"]

DOMAIN = "GEOAE"
# Earlier restorations, oldest first, as JSON: an output's tags replace those of its source.
EARLIER = "HISTORY"

Step = dict[str, str]


def read_tags(name: str) -> Step | None:
    """Read geoae's tags of the raster ``name``; empty where it has none, None where it cannot be
    opened.
    """
    try:
        check_openable(name)
        with SILENCE, rasterio.open(name) as dataset:
            return dict(dataset.tags(ns=DOMAIN))
    except (InputError, *DAMAGED):
        return None


def read_history(source: str) -> list[Step]:
    """List the restorations that made ``source``, oldest first; none where it is no output of
    geoae.

    A source that cannot be opened has none either; other code reports that.
    """
    tags = read_tags(source) or {}
    if "FINGERPRINT" not in tags:
        return []
    earlier = _parse_steps(tags.pop(EARLIER, "[]"))
    return [*earlier, tags]


def _parse_steps(text: str) -> list[Step]:
    """Parse the steps of a tag, which anyone may have edited: what is not a step is left out."""
    try:
        steps = json.loads(text)
    except ValueError:
        return []
    if not isinstance(steps, list):
        return []
    return [
        {str(key): str(value) for key, value in step.items()}
        for step in steps
        if isinstance(step, dict)
    ]


def with_history(tags: Mapping[str, str], earlier: Sequence[Step]) -> Step:
    """Add the history of the source to the tags of a new output.

    Args:
        tags: tags of the output.
        earlier: restorations that made its source, oldest first.

    Returns:
        Tags with history.

    """
    return dict(tags) | ({EARLIER: json.dumps(earlier)} if earlier else {})


def already_restored_warning(source: str, steps: Sequence[Step]) -> str | None:
    """Warn the user who restores an output of geoae once more.

    Args:
        source: name of the scene.
        steps: restorations that made it, oldest first.

    Returns:
        One line; None where there are no steps.

    """
    if not steps:
        return None
    last, first = steps[-1], steps[0]
    times = "" if len(steps) == 1 else f" {len(steps)} times, last"
    origin = first.get("SOURCE") or "its source"
    return (
        f"{source}: is already restored{times} by geoae {last.get('VERSION', '?')} with model"
        f" {last.get('MODEL', '?')}; restoring again takes away detail rather than noise, restore"
        f" {origin} instead"
    )
