"""Known degradations of clean scenes, for training, tests and ``geoae degrade``.

A new degradation is a frozen data class in one of the files here and a line in ``DEGRADATIONS``.
"""

import math
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np
from pydantic import TypeAdapter, ValidationError

from geoae.errors import RecipeError
from geoae.simulation.compression import Jpeg, Jpeg2000
from geoae.simulation.correlated import Correlated
from geoae.simulation.detector import DeadLines, DeadPixels, Stripes
from geoae.simulation.noise import (
    ClippedGaussian,
    Gaussian,
    PoissonGaussian,
    Quantisation,
    Speckle,
)
from geoae.simulation.optics import Blur, Haze, LowContrast
from geoae.simulation.scanner import Bursts, TiltedStripes
from geoae.types import Floats

__all__ = [
    "DEGRADATIONS",
    "Blur",
    "Bursts",
    "ClippedGaussian",
    "Correlated",
    "DeadLines",
    "DeadPixels",
    "Degradation",
    "Gaussian",
    "Haze",
    "Jpeg",
    "Jpeg2000",
    "LowContrast",
    "PoissonGaussian",
    "Quantisation",
    "Speckle",
    "Stripes",
    "TiltedStripes",
    "build",
]


class Degradation(Protocol):
    """A degradation of pixels ``(band, row, col)`` in DN, float64; each call is one random
    realisation.
    """

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return degraded ``pixels``; the input stays unchanged.

        Raises:
            RecipeError: the parameters do not fit the number of bands.

        """
        ...

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance of the result for each of ``pixels``, which a contract test
        verifies.
        """
        ...


DEGRADATIONS: dict[str, type[Degradation]] = {
    "gaussian": Gaussian,
    "clipped-gaussian": ClippedGaussian,
    "poisson-gaussian": PoissonGaussian,
    "correlated": Correlated,
    "stripes": Stripes,
    "tilted-stripes": TiltedStripes,
    "bursts": Bursts,
    "dead-lines": DeadLines,
    "dead-pixels": DeadPixels,
    "blur": Blur,
    "speckle": Speckle,
    "quantisation": Quantisation,
    "jpeg": Jpeg,
    "jpeg2000": Jpeg2000,
    "low-contrast": LowContrast,
    "haze": Haze,
}


def build(kind: str, parameters: Mapping[str, Any]) -> Degradation:
    """Build a degradation from a config.

    Args:
        kind: key of ``DEGRADATIONS``.
        parameters: arguments of that class; a list gives one value for each band.

    Returns:
        The degradation.

    Raises:
        RecipeError: the kind or a parameter is unknown, or a value is not valid.

    """
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
