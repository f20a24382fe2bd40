"""TOML and options to pydantic models; what is wrong with them, in one line."""

import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from geoae.errors import GeoaeError

__all__ = ["explain", "read_toml"]

# How pydantic names what a value may be, among the keys of where it is.
KINDS = ("literal", "constrained", "float", "list[")

M = TypeVar("M", bound=BaseModel)


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing wrong, on one line; an unknown key names the nearest known one."""
    first = _telling(error)
    where = ".".join(str(part) for part in first["loc"] if not str(part).startswith(KINDS))
    where = where if where.isprintable() and (where.strip() or not where) else repr(where)
    fields = _holder(model, first["loc"]).model_fields
    last = str(first["loc"][-1]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        near = get_close_matches(last, fields, 1)
        return f"unknown key {where}" + (
            f"; did you mean {near[0]}?" if near else f"; known are {', '.join(fields)}"
        )
    known = fields.get(last)
    if first["type"] == "missing":
        return f"{where}: is missing" + (
            f" ({known.description})" if known and known.description else ""
        )
    if first["type"] == "string_pattern_mismatch" and known:
        return f"{where} = {first['input']!r}: give {known.description}"
    if first["type"] == "value_error":
        return f"{where}: {first['ctx']['error']}"
    if first["type"] == "json_invalid":
        return f"not JSON: {first['ctx']['error']}"
    return f"{where or 'content'} = {first['input']!r}: {first['msg'].lower()}"


def _telling(error: ValidationError) -> Any:
    """The first error; of a value that may be of several kinds, the one of the kind that came
    furthest.
    """
    errors = error.errors()
    return max(
        (one for one in errors if one["loc"][:1] == errors[0]["loc"][:1]),
        key=lambda one: len(one["loc"]),
    )


def _holder(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """The model, ``model`` itself or one within it, of which the last part of ``place`` is
    a key.
    """
    for part in place[:-1]:
        field = model.model_fields.get(str(part))
        inner = (
            [kind for kind in _parts(field.annotation) if issubclass(kind, BaseModel)]
            if field
            else []
        )
        model = inner[0] if inner else model
    return model


def _parts(annotation: Any) -> Iterator[type]:
    """The classes that an annotation speaks of."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


def read_toml(path: Path, model: type[M], failure: type[GeoaeError]) -> M:
    """The ``model`` that the TOML file ``path`` describes; raises ``failure`` with the first thing
    wrong.
    """
    try:
        return model.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise failure(f"{path}: cannot be read ({error.strerror}); name a TOML file") from error
    except ValidationError as error:
        raise failure(f"{path}: {explain(error, model)}") from error
    # no text, no TOML, numbers of thousands of digits
    except (ValueError, RecursionError) as error:
        raise failure(f"{path}: not TOML: {error}") from error
