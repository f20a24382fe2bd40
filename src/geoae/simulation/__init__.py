"""Known damage for clean scenes: what training, tests and ``geoae degrade`` do to them.

A new one is a frozen data class in one of the files here and a line in ``DEGRADATIONS``.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np
from pydantic import TypeAdapter, ValidationError

from geoae.errors import RecipeError
from geoae.simulation.detector import DeadLines, DeadPixels, Stripes
from geoae.simulation.noise import Gaussian, PoissonGaussian, Quantisation, Speckle
from geoae.simulation.optics import Blur, Haze, LowContrast
from geoae.types import Floats

__all__ = [
    "DEGRADATIONS",
    "Blur",
    "DeadLines",
    "DeadPixels",
    "Degradation",
    "Gaussian",
    "Haze",
    "LowContrast",
    "PoissonGaussian",
    "Quantisation",
    "Speckle",
    "Stripes",
    "build",
]


class Degradation(Protocol):
    """``(band, row, col)`` float64 in DN to the same, one random draw of ``rng`` a call."""

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Degraded ``pixels``, which stay as they were; raises ``RecipeError``."""
        ...

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of the result for each of ``pixels``: what the contract test holds it
        to.
        """
        ...


DEGRADATIONS: dict[str, type[Degradation]] = {
    "gaussian": Gaussian,
    "poisson-gaussian": PoissonGaussian,
    "stripes": Stripes,
    "dead-lines": DeadLines,
    "dead-pixels": DeadPixels,
    "blur": Blur,
    "speckle": Speckle,
    "quantisation": Quantisation,
    "low-contrast": LowContrast,
    "haze": Haze,
}


def build(kind: str, parameters: Mapping[str, Any]) -> Degradation:
    """The degradation that a config names; lists are one value a band. Raises ``RecipeError``."""
    if kind not in DEGRADATIONS:
        raise RecipeError(f"no degradation {kind}; {_nearest(kind, list(DEGRADATIONS))}")
    known = [field.name for field in fields(DEGRADATIONS[kind])]  # type: ignore[arg-type]
    for name in parameters:
        if name not in known:
            raise RecipeError(f"{kind} has no {name}; {_nearest(name, known)}")
    for name, value in parameters.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, float) and not math.isfinite(number):
                raise RecipeError(f"{kind}: {name} = {value}: give finite numbers")
    try:
        return TypeAdapter(DEGRADATIONS[kind]).validate_python(dict(parameters))
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(
            f"{kind}: {first['loc'][0]} = {first['input']!r}: {first['msg'].lower()}"
        ) from error


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
