"""Estimate how the noise of the bands of a scene is correlated from band to band."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from geoae.diagnosis.noise.covariance import NoiseCovariance
from geoae.diagnosis.noise.faint import measure_contrast
from geoae.diagnosis.noise.gate import CORRELATED
from geoae.diagnosis.patches import FEWEST_IN_ALL, SIDE, Patches, cut_patches, group_bands
from geoae.types import Floats, Mask, Samples

__all__ = ["LEAST", "estimate_between", "is_certain"]

# Frequencies of a patch, as sums of those of its rows and columns: by the first ones calm patches
# are chosen, and the others are measured there. In white noise they are independent.
CHOOSING, MIDDLE, HIGH = (1, 3), (4, 5), (6, 8)
# Part of the patches that are calm, the same of many bands, and the louder part that shows how
# texture falls off with frequency.
CALM, CALM_OF_MANY, LOUD = (0.0, 0.1), (0.0, 0.3), (0.3, 0.6)
# Louder patches tell of texture if they have so much more at middle frequencies, in parts of what
# calm ones have at high ones. Texture that falls off less than this looks like noise.
TELLS, FLATTEST = 0.05, 0.8
# Correlation that counts, by how many errors of the sample it must be beyond chance, the part
# of a band's finest detail that must be noise, and how much less than the correlation the rest is.
LEAST, ERRORS, LEAST_NOISE, LESS = 0.25, 6.0, 0.7, 0.5
# Part of a band's contrast from which noise is loud: on scenes with independent noise of 5 of 255,
# fine texture that bands share passed for noise up to 12.3 of 255; true noise of 15 had 16 or more.
LOUD_NOISE = 14 / 255
# Least eigenvalue of a correlation: no band is a copy of others, noise and all.
LEAST_OWN = 0.02


def estimate_between(samples: Samples, sigma: Floats) -> Floats | None:
    """Estimate the correlation of white noise from band to band.

    The finest detail of calm patches is noise and a rest of texture. Texture falls off from middle
    to high frequencies as it does in louder patches; white noise does not fall off, so the two are
    told apart, for pairs of bands as for single ones. Green et al., IEEE TGRS 26(1), 1988, take
    this covariance from differences of neighbours, texture included.

    Args:
        samples: pairs of pixels in DN and mask, True = valid, ``(band, row, col)``, of one scene.
        sigma: noise of each band in DN, ``(band,)``; bands without noise are left out.

    Returns:
        Correlation ``(band, band)``, positive definite, 1 on its diagonal; None where no two bands
        have noise that is certainly correlated.

    """
    between = np.eye(len(sigma))
    for group in group_bands(samples):
        some = group[sigma[group] > 0]
        if len(some) > 1:
            these = samples
            if len(some) < len(sigma):
                these = [(pixels[some], mask[some]) for pixels, mask in samples]
            kept, found = _correlate_noisy(these)
            between[np.ix_(some[kept], some[kept])] = found
    return between if (between != np.eye(len(sigma))).any() else None


def is_certain(
    between: Floats, samples: Samples, sigma: Floats, found: NoiseCovariance | None
) -> bool:
    """Tell whether noise that bands share is noise, rather than fine texture that they share.

    Calm ground shows it, or it is so loud that texture of the kind would show beside it. Noise that
    is also correlated from pixel to pixel, in half of these bands or more, does not count.

    Args:
        between: the result of ``estimate_between``.
        samples: pairs of pixels in DN and mask, True = valid, ``(band, row, col)``.
        sigma: noise of each band in DN, ``(band,)``, estimated with ``between`` known.
        found: what calm ground shows of each band; None where that is not looked for.

    """
    shared = (np.abs(between - np.eye(len(between))) >= LEAST).any(axis=1)
    good = sigma >= LOUD_NOISE * measure_contrast(samples)[0]
    if found is not None:
        good |= np.array([seen.even for seen in found.evidence])
        correlated = np.array([verdict == CORRELATED for verdict in found.verdict])
        # One band may be mistaken; bands of a scene share its way through resampling.
        if 2 * correlated[shared].sum() >= shared.sum():
            return False
    return bool(good[shared].all())


def _correlate_noisy(samples: Samples) -> tuple[NDArray[np.intp], Floats]:
    """Tell which bands have noise that is certainly correlated, and its correlation.

    A band of which the finest detail is texture says nothing of noise, and hides nothing that the
    others say, where these are most of the bands.
    """
    patches = cut_patches(samples)
    kept = patches.bands
    while 2 * len(kept) > len(patches.values) and patches.count >= FEWEST_IN_ALL:
        whole = len(kept) == len(patches.values)
        values = patches.values if whole else patches.values[kept]
        found, noisy = _correlate(replace(patches, values=values))
        if found is not None:
            return kept, found
        if noisy.all():
            break
        kept = kept[noisy]
    return kept[:0], np.zeros((0, 0))


def _correlate(patches: Patches) -> tuple[Floats | None, Mask]:
    """Correlation of bands that are valid in the same places, None where there is none; and of
    which bands the finest detail is mostly noise, ``(band,)``.
    """
    bands = len(patches.values)
    every = np.ones(bands, bool)
    energy = np.square(_transform(patches.values, CHOOSING)).mean(axis=2)
    usual = np.quantile(energy, CALM[1], axis=1, keepdims=True)
    if not usual.all():  # of flat ground, which tells nothing
        return None, usual[:, 0] > 0
    order = np.argsort((energy / usual).mean(axis=0), kind="stable")
    share = CALM_OF_MANY if patches.few else CALM
    calm, loud = (order[slice(*(int(part * len(order)) for part in of))] for of in (share, LOUD))
    (high, middle), (high_loud, middle_loud) = (
        [_covariance(_transform(patches.values[:, which], of)) for of in (HIGH, MIDDLE)]
        for which in (calm, loud)
    )
    seen = np.diag(high)
    if not seen.all():
        return None, seen > 0
    more, less = (
        float((np.diag(one) / seen).sum()) for one in (middle_loud - middle, high_loud - high)
    )
    fall = float(np.clip(less / more, 0.0, FLATTEST)) if more > TELLS * bands else 0.0
    noise = (high - fall * middle) / (1 - fall)
    part = np.minimum(np.diag(noise) / seen, 1.0)
    if (part < LEAST_NOISE).any():
        return None, part >= LEAST_NOISE
    scale = np.sqrt(np.diag(noise))
    correlation: Floats = noise / np.outer(scale, scale)
    # Patches may overlap.
    share_of_values = len(calm) * len(_basis(HIGH)) / (patches.count * SIDE * SIDE)
    values = patches.pixels * share_of_values
    texture = 1 - np.sqrt(np.outer(part, part))
    apart = ~np.eye(bands, dtype=bool)
    least = np.maximum(max(LEAST, ERRORS / np.sqrt(values)), texture / LESS)
    if not (np.abs(correlation) > least)[apart].any():
        return None, every
    return _settle(correlation, bands / values), every


def _settle(correlation: Floats, ratio: float) -> Floats:
    """Return the nearest correlation that is positive definite and that chance does not shape.

    Eigenvalues that a sample of this ``ratio`` of bands to values scatters as far around their mean
    (Marchenko and Pastur, Math. USSR Sbornik 1(4), 1967) take this mean, as Laloux et al., Physical
    Review Letters 83(7), 1999, do.
    """
    values, vectors = np.linalg.eigh(correlation)
    middle = float(np.median(values))
    low, high = (middle * (1 + sign * np.sqrt(ratio)) ** 2 for sign in (-1, 1))
    alike = (values > low) & (values < high)
    values[alike] = values[alike].mean() if alike.any() else 0.0
    settled = (vectors * np.maximum(values, LEAST_OWN)) @ vectors.T
    scale = np.sqrt(np.diag(settled))
    return settled / np.outer(scale, scale)


def _transform(values: Floats, sums: tuple[int, int]) -> Floats:
    """Cosine transform of patches ``(band, patch, pixel)`` at frequencies of these sums, ``(band,
    patch, frequency)``.
    """
    return values @ _basis(sums).T


def _covariance(detail: Floats) -> Floats:
    """Mean products of bands ``(band, patch, frequency)``, ``(band, band)``."""
    flat = detail.reshape(len(detail), -1)
    return flat @ flat.T / flat.shape[1]


@lru_cache(maxsize=3)
def _basis(sums: tuple[int, int]) -> Floats:
    """Orthonormal cosines of a patch, ``(frequency, pixel)``, of these sums of frequencies."""
    one = fft.dct(np.eye(SIDE), norm="ortho", axis=0)
    every = np.einsum("ui,vj->uvij", one, one)
    number = np.add.outer(np.arange(SIDE), np.arange(SIDE))
    return every[(number >= sums[0]) & (number <= sums[1])].reshape(-1, SIDE * SIDE)
