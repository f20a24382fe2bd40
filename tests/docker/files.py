"""What docker/ says, as the tests read it: instructions, services, values filled in."""

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
EXAMPLE = ROOT / "docker" / ".env.example"

# What somebody has to make up before anything starts.
REQUIRED = {
    "GEOAE_API_PASSWORD": "a word: with a colon",
    "GEOAE_DATABASE_PASSWORD": "p@ss/word%",
    "GEOAE_INBOX": "/host/inbox",
    "GEOAE_OUTBOX": "/host/outbox",
    "GEOAE_MODELS": "/host/models",
}

VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<other>[^}]*))?\}")


def fill(text: str, **values: str) -> str:
    """``text`` as compose reads it with ``values`` in its environment; ``LookupError`` where one
    must be set.
    """

    def value(match: re.Match[str]) -> str:
        name, how, other = match["name"], match["how"], match["other"]
        if values.get(name):
            return values[name]
        if how == ":-":
            return other
        raise LookupError(f"{name}: {other or 'has no default'}")

    return VARIABLE.sub(value, text)


def services(**values: str) -> dict[str, dict[str, Any]]:
    """Every service of the compose file, whatever its profile."""
    return _filled(yaml.safe_load(COMPOSE.read_text())["services"], REQUIRED | values)


def _filled(tree: Any, values: dict[str, str]) -> Any:
    if isinstance(tree, dict):
        return {key: _filled(value, values) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_filled(value, values) for value in tree]
    return fill(tree, **values) if isinstance(tree, str) else tree


@cache
def stages() -> dict[str, list[tuple[str, str]]]:
    """Stage name to its instructions ``(KEYWORD, value)``, the FROM first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for entry in DockerfileParser(path=str(DOCKERFILE)).structure:
        keyword, value = entry["instruction"].upper(), entry["value"]
        if keyword == "COMMENT":
            continue
        if keyword == "FROM":
            found[value.split()[-1]] = current = []
        current.append((keyword, value))
    return found


def base(stage: str) -> str:
    """What a stage is built on: an image, or another stage."""
    return stages()[stage][0][1].split()[0]


def lineage(stage: str) -> list[tuple[str, str]]:
    """Instructions that make up the image of ``stage``, those of the stages below it first."""
    below = base(stage)
    return (lineage(below) if below in stages() else []) + stages()[stage]


def effective(stage: str, keyword: str) -> str:
    """The last value of ``keyword``, which is the one in force."""
    return [value for key, value in lineage(stage) if key == keyword][-1]


def exec_form(value: str) -> list[str]:
    """The command in the value of a CMD, ENTRYPOINT or HEALTHCHECK, which must be in exec form."""
    return json.loads(value[value.index("[") :])


def environment(stage: str) -> dict[str, str]:
    """The variables that the image of ``stage`` sets."""
    words = [word for key, value in lineage(stage) if key == "ENV" for word in shlex.split(value)]
    return dict(word.split("=", 1) for word in words)
