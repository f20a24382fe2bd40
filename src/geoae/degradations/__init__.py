"""Known damage for clean scenes: what training, tests and ``geoae degrade`` do to them.

A new one is a frozen data class in one of the files here and a line in ``DEGRADATIONS``.
"""

from typing import Protocol

import numpy as np

from geoae.degradations.detector import DeadLines, DeadPixels, Stripes
from geoae.degradations.noise import Gaussian, PoissonGaussian, Quantisation, Speckle
from geoae.degradations.optics import Blur, Haze, LowContrast
from geoae.degradations.values import Floats

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
]


class Degradation(Protocol):
    """``(band, row, col)`` float64 in DN to the same, one random draw of ``rng`` a call."""

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Degraded ``pixels``, which stay as they were; raises ``RecipeError``."""
        ...

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of the result for each of ``pixels``: what the contract test holds it to."""
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
