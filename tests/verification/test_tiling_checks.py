from dataclasses import dataclass, replace

import numpy as np

from geoae.verification.candidate import subject_of
from geoae.verification.checks import CHECKS
from tests.verification.support import MACHINE, Told, bench, called, failed, smooth


@dataclass(frozen=True)
class Levelled(Told):
    """Of a map of levels it takes the mean, which another tile would not have."""

    def __call__(self, pixels, sigma, shape=None):
        level = (
            sigma.mean(axis=(2, 3), keepdims=True) if sigma.ndim == 4 else sigma[:, :, None, None]
        )
        return (level * (pixels - smooth(pixels))).astype(np.float32)


def test_a_map_of_levels_does_the_same_in_tiles_and_whole():
    with subject_of("identity", "cpu", "fp32", {}) as subject:
        place = bench(replace(subject, restorer=Levelled(), exact=Levelled()))
    assert failed(place, set(CHECKS) - MACHINE) == {"varying"}
    assert CHECKS["varying"](called(smooth)) is None, "a callable cannot be told"
