"""Parse TOML and options into pydantic models; report an error in one line."""

import tomllib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from geoae.errors import GeoaeError

__all__ = ["explain", "read_toml"]

# Names of types that pydantic mixes with the keys of an error's location.
KINDS = ("literal", "constrained", "float", "list[")

M = TypeVar("M", bound=BaseModel)


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Describe the first error of a validation in one line.

    Args:
        error: pydantic's error.
        model: the model that was validated.

    Returns:
        The message; for an unknown key it names the most similar known one.

    """
    first = _most_specific(error)
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


def _most_specific(error: ValidationError) -> Any:
    """Return the first error; for a value of several possible types, that of the closest type."""
    errors = error.errors()
    return max(
        (one for one in errors if one["loc"][:1] == errors[0]["loc"][:1]),
        key=lambda one: len(one["loc"]),
    )


def _holder(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel]:
    """Return the model, ``model`` or one nested in it, that has the last part of ``place`` as a
    key.
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
    """Yield the classes that an annotation contains."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _parts(inner)


def read_toml(path: Path, model: type[M], failure: type[GeoaeError]) -> M:
    """Read a TOML file as a pydantic model.

    Args:
        path: file to read.
        model: model of its content.
        failure: error to raise.

    Returns:
        The model.

    Raises:
        GeoaeError: of the type ``failure``, with the first error in the file.

    """
    try:
        return model.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise failure(f"{path}: cannot be read ({error.strerror}); name a TOML file") from error
    except ValidationError as error:
        raise failure(f"{path}: {explain(error, model)}") from error
    # not text, not TOML, or a number of thousands of digits
    except (ValueError, RecursionError) as error:
        raise failure(f"{path}: not TOML: {error}") from error
