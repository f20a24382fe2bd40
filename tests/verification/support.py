"""Models that a check passes or fails, and the bench on which they are checked."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from geoae.diagnosis.sampling import sample
from geoae.models.restorer import Identity
from geoae.raster.memory import ArraySource
from geoae.verification.bench import SYNTHETIC, Bench
from geoae.verification.candidate import Subject, subject_of
from geoae.verification.checks import CHECKS

HALO, MULTIPLE = 3, 8
MACHINE = {"identity", "files", "weights"}


def smooth(pixels: np.ndarray, halo: int = HALO) -> np.ndarray:
    side = 2 * halo + 1
    return ndimage.uniform_filter(pixels, (0, 0, side, side), mode="constant")


@dataclass(frozen=True)
class Told(Identity):
    """Half of what a blur leaves over is noise: told that there is none, it may say so."""

    halo: int = HALO
    heeds: bool = True

    def __call__(self, pixels, sigma, shape=None):
        told = (
            (sigma.reshape(*sigma.shape[:2], *(sigma.shape[2:] or (1, 1))) > 0) if self.heeds else 1
        )
        return (0.5 * told * (pixels - smooth(pixels))).astype(np.float32)


@cache
def pixels() -> np.ndarray:
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        return Bench.of(subject, None).pixels


def bench(subject: Subject) -> Bench:
    scale = subject.scale_of(sample(ArraySource(pixels()).read, *pixels().shape[1:]))
    return Bench(subject, pixels(), scale, SYNTHETIC)


def called(function) -> Bench:
    claims = {"channels": 1, "multiple": MULTIPLE, "halo": HALO}
    with subject_of(function, "cpu", "fp32", claims) as subject:
        return bench(subject)


def failed(place: Bench, names: set[str]) -> set[str]:
    found = {name: CHECKS[name](place) for name in names}
    return {name for name, finding in found.items() if finding and not finding.passed}
