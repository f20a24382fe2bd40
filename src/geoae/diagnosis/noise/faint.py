"""Tell faint texture from noise by the contrast of a band."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.noise.gate import CORRELATED, Evidence
from geoae.types import Floats, Mask, Samples

__all__ = ["find_faint_texture", "measure_contrast"]

# Parts of a band's contrast, from its 2nd to its 98th percentile, below which uneven blocks show
# texture: the lower one where most of it is white and grows with the signal, as the noise of
# photons does. Noise of 5 of 255 of the span is above both; the texture of clean scenes is below
# the higher one in nine of ten bands.
FAINT, FAINT_PHOTONS, CONTRAST = 4.5 / 255, 2.5 / 255, (2, 98)
# Part of the noise variance that grows in proportion to the signal, at least, in photon noise.
GROWS = 0.5


def find_faint_texture(
    samples: Samples,
    sigma: Floats,
    slope: Floats,
    verdict: Sequence[str],
    evidence: Sequence[Evidence],
) -> Mask:
    """Find bands of which what seems to be noise is faint texture.

    Args:
        samples: pairs of pixels in DN and mask, True = valid, ``(band, row, col)``, of one scene.
        sigma: noise found in each band in DN, ``(band,)``.
        slope: growth of its variance with the signal in DN, ``(band,)``.
        verdict: what ``judge_bands`` says of each band.
        evidence: what that rests on.

    Returns:
        True for a band that has uneven calm blocks, no correlated noise, and next to no noise
        beside its contrast, ``(band,)``.

    """
    pairs = zip(verdict, evidence, strict=True)
    uneven = np.array([kind != CORRELATED and not seen.even for kind, seen in pairs])
    contrast, mean = np.zeros((2, len(sigma)))
    contrast[uneven], mean[uneven] = measure_contrast(samples, np.flatnonzero(uneven))
    mostly_white = np.array([not seen.is_hardly_white for seen in evidence])
    photons = mostly_white & (slope * mean > GROWS * sigma**2)
    faint: Mask = sigma < np.where(photons, FAINT_PHOTONS, FAINT) * contrast
    return faint & uneven


def measure_contrast(
    samples: Samples, bands: NDArray[np.intp] | None = None
) -> tuple[Floats, Floats]:
    """Measure contrast and mean of bands in DN, ``(of bands,)``; 0 where nothing is valid.

    Args:
        samples: pairs of pixels in DN and mask, True = valid, ``(band, row, col)``, of one scene.
        bands: indices of the bands; None for all.

    """
    found = []
    for band in range(len(samples[0][0])) if bands is None else bands:
        values = np.concatenate([pixels[band][mask[band]] for pixels, mask in samples])
        low, high = np.percentile(values, CONTRAST) if values.size else (0.0, 0.0)
        found.append((float(high) - float(low), values.mean(dtype=float) if values.size else 0.0))
    contrast, mean = np.array(found).reshape(-1, 2).T
    return contrast, mean
