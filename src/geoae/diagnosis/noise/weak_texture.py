"""Estimate the noise of one band from those of its patches that have least texture."""

import numpy as np

from geoae.diagnosis.patches import (
    FEWEST,
    FEWEST_IN_ALL,
    PLENTY,
    SIDE,
    Patches,
    pure_noise_energy,
)
from geoae.types import Floats

__all__ = ["LEAST", "WITHOUT_TEXTURE", "estimate_weak_texture"]

ROUNDS = 3
# How many of the least eigenvalues are looked at, and by how much the root of their mean is low in
# white noise for each square root of pixels over patches. Measured with patches that overlap; the
# limit for the least one is 1 (Silverstein, Annals of Probability 13(4), 1985). Of few bands there
# are PLENTY of patches, where texture makes up for it, unless the scene is small or mostly invalid.
LEAST, WITHOUT_TEXTURE = (1, 0.9), (12, 0.45)


def estimate_weak_texture(
    patches: Patches, band: int, values: Floats, energy: Floats, floor: tuple[int, float]
) -> tuple[float, float]:
    """Estimate the noise of ``band`` from patches of weak texture, and their mean signal.

    Args:
        patches: patches of all bands.
        band: index of the band.
        values: its patches in DN, or what is left of them after prediction from other bands,
            ``(patch, pixel)``.
        energy: their gradient energy, ``(patch,)``.
        floor: ``LEAST`` or ``WITHOUT_TEXTURE``.

    Returns:
        Standard deviation of the noise and mean signal of the patches, in DN; zeros where there
        are too few patches.

    """
    signal, informative = patches.level[band], patches.select_informative(band, energy)
    if not informative.all():
        values, signal, energy = values[informative], signal[informative], energy[informative]
    if len(values) < FEWEST_IN_ALL:
        return 0.0, 0.0
    weak, share = np.ones(len(values), bool), 0.0 if patches.few else min(len(values) / PLENTY, 1.0)
    variance, seen_at = _least_variance(values, *floor, share), signal.mean()
    for _ in range(ROUNDS):
        before, weak = weak, energy < pure_noise_energy() * variance
        if weak.sum() < FEWEST or np.array_equal(weak, before):
            break
        variance, seen_at = (
            _least_variance(values.compress(weak, axis=0), *floor, share),
            signal[weak].mean(),
        )
    return float(np.sqrt(variance)), float(seen_at)


def _least_variance(values: Floats, count: int, error: float, share: float) -> float:
    """Mean of the ``count`` least eigenvalues of the covariance of ``values`` (patch, pixel), less
    the sampling ``error`` of its root.

    Of the error none is taken away where ``values`` belong to as many patches as need no
    correction, all of it where they are a small ``share`` of so many.
    """
    centred = values - values.mean(axis=0)
    least = np.linalg.eigvalsh(centred.T @ centred / (len(values) - 1))[:count].mean()
    low, usual = (1 - error * SIDE * np.array([1.0, share**1.5]) / np.sqrt(len(values))).tolist()
    return max(float(least), 0.0) / (low / usual) ** 2
