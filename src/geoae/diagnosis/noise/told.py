"""Compare a spectrum of the noise that the user gives with what a scene shows."""

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.noise.covariance import estimate_covariance
from geoae.diagnosis.noise.gate import TEXTURE
from geoae.diagnosis.noise.kernels import LEAST_FINEST, measure_finest
from geoae.diagnosis.noise.level import noise_model
from geoae.radiometry.resampling import LAG
from geoae.types import Floats, Samples

__all__ = ["find_contradicted"]

# Correlation with the next pixel that a given spectrum may differ by from what calm ground shows.
ALIKE = 0.2
# Part of the finest noise of a given spectrum, at the level that it gives, that must be there.
LEAST_FINE = 0.5


def find_contradicted(
    samples: Samples, correlation: Floats, sigma: Floats, most: float | None = None
) -> NDArray[np.intp]:
    """Find the bands that contradict a given spectrum.

    Where calm ground shows that there is noise, its correlation with the next pixel must be that of
    the spectrum. Where noise cannot be told from texture, the finest part of the noise must be
    there, at least: texture has none.

    Args:
        samples: pairs of pixels and mask, True = valid, ``(band, row, col)``.
        correlation: normalised autocovariance of the given noise, ``(band, 9, 9)``.
        sigma: its standard deviation, given or estimated, ``(band,)``.
        most: as for ``estimate_covariance``.

    Returns:
        Indices of these bands.

    """
    white = noise_model(samples)
    found = estimate_covariance(samples, white, most)
    wrong = []
    for band, told in enumerate(correlation):
        if not found.evidence[band].kernel or not sigma[band] > 0:
            continue
        if found.verdict[band] == TEXTURE:
            part = measure_finest(told)
            contradicts = part >= LEAST_FINEST and white[0][band] < LEAST_FINE * part * sigma[band]
        else:
            lags = np.abs(found.correlation[band] - told)
            contradicts = max(lags[LAG + 1, LAG], lags[LAG, LAG + 1]) > ALIKE
        if contradicts:
            wrong.append(band)
    return np.array(wrong, np.intp)
