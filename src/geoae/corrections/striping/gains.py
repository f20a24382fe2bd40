"""Gains of detectors: stripes that grow with the signal."""

import numpy as np

from geoae.corrections.lines import SceneModel
from geoae.corrections.striping.offsets import fold, phases
from geoae.corrections.striping.sums import LineSums
from geoae.types import Floats

__all__ = ["fold_gains", "separate_bands"]

# Least local variance beside that of calm places.
FLOOR = 0.01
# Gains count from so many deviations between parts of the lines on.
LEAST_EVIDENCE = 2.0


def separate_bands(model: SceneModel) -> SceneModel:
    """Return a model in which each band stands alone: a gain is that of one band's signal."""
    spread = np.where(model.detail > 0, model.detail, 1.0)
    return SceneModel(np.diag(1 / spread), np.full(len(spread), FLOOR), model.detail)


def fold_gains(sums: LineSums, period: float, detectors: int) -> tuple[Floats, Floats, Floats]:
    """Estimate a gain and an offset for each detector of a pattern.

    Weighted regression of the differences of neighbouring lines on their signal, in each line, and
    least squares over the lines of a detector.

    Args:
        sums: sums over the lines of a scene whose bands stand alone, with levels.
        period: lines after which the pattern repeats.
        detectors: number of detectors.

    Returns:
        Relative gains less one, ``(band, detector)``, with a mean of 0, and 0 where the parts of
        the lines disagree; the signal of each band in DN at which they make no difference,
        ``(band,)``; and the offsets there, ``(band, detector)``.

    """
    weight = np.maximum(sums.weight, 1e-30)
    level, squared, product = sums.moments
    # Sums over deviations from the mean signal of a line: those of its slope.
    power = np.maximum(squared - np.square(level) / weight, 0.0)
    total = product - level * sums.total / weight
    gains = fold(total.sum(axis=0), power.sum(axis=0), period, detectors)
    parts = np.stack([fold(*some, period, detectors) for some in zip(total, power, strict=True)])
    error = parts.var(axis=0, ddof=1).sum(axis=1) / len(parts)
    evidence = np.sqrt(np.square(gains).sum(axis=1) / np.maximum(error, 1e-30))
    middle = level.sum(axis=(0, 2)) / weight.sum(axis=(0, 2))
    gains[evidence < LEAST_EVIDENCE] = 0
    phase = phases(np.arange(weight.shape[-1]), period, detectors)
    step = np.diff(gains[:, phase], axis=1, append=0)
    whole = sums.weight.sum(axis=0)
    rest = sums.total.sum(axis=0) - step * (level.sum(axis=0) - middle[:, None] * whole)
    spread = np.diag(sums.model.back)[:, None]
    return gains, middle * spread[:, 0], spread * fold(rest, whole, period, detectors)
