"""Estimate the noise of a scene from the scene itself."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.clipping import Line, find_limits, unclip_patches
from geoae.diagnosis.noise.growth import LEAST_SHARE, fit_growth
from geoae.diagnosis.noise.weak_texture import LEAST, WITHOUT_TEXTURE, estimate_weak_texture
from geoae.diagnosis.patches import (
    FEWEST,
    SIDE,
    Patches,
    cut_patches,
    gradient_energy,
    group_bands,
    have_one_mask,
)
from geoae.diagnosis.prediction import subtract_prediction
from geoae.types import Floats, Samples

__all__ = ["estimate_noise", "noise_model"]

Indices = NDArray[np.intp]
Limits = Sequence[tuple[float, float]]

# A band of which the others leave this part of its own estimate is made of them, noise and all.
COPIED = 0.03
# Of many bands the others leave hardly any texture: the band itself counts only where it shows so
# much less.
CLEARLY_LESS = 0.9
# Signals so dark that the line leaves this part of the variance at the mean tell nothing of its
# height: an error of the slope is a large one there, and shadows and water would pass for the
# weakest texture.
FAINTEST = 0.3
# Clipped noise is estimated again so often at most, or until it changes by less than this part,
# since a tenth of an error comes back at most; at first by the band alone, from every third patch,
# and closer.
CLIPPED_ROUNDS = 4
SETTLED, SETTLED_ALONE = 0.1, 0.02
THIRD = 3


def estimate_noise(
    samples: Samples, between: Floats | None = None, *, restored: bool = False
) -> Floats:
    """Estimate additive, spatially white noise.

    Two estimates, of which the lower counts, since texture can only add:

    * the band by itself: smallest eigenvalue of the covariance of weak-texture patches (Liu, Tanaka
      and Okutomi, IEEE TIP 22(12), 2013);
    * the band less its prediction from the other bands. Bands share texture, not noise (Roger and
      Arnold, Int. J. Remote Sensing 17(10), 1996). The noise that a prediction with weights ``a``
      adds is known, ``sigma_b^2 + sum_k a_k^2 sigma_k^2``, and is removed from the estimate.

    Only bands that are valid in the same places predict each other. A band with too few valid
    patches, or none that is not flat, has no noise: 0. Noise is taken for constant and not
    clipped; ``noise_model`` looks at both.

    A band of which the others leave next to nothing is taken for a copy of them, whose noise they
    predict too. In a ``restored`` scene it is not: there it is a band whose noise is gone.

    Args:
        samples: pairs of pixels in DN and mask ``(band, row, col)``, True = valid, of one scene.
        between: correlation of the noise from band to band, ``(band, band)``; None for none.
        restored: whether the scene is an output of geoae.

    Returns:
        Standard deviation of the noise of each band in DN, ``(band,)``.

    """
    copied = 0.0 if restored else COPIED

    def estimate(patches: Patches) -> tuple[Floats]:
        alone = _estimate_alone(patches, patches.bands)
        return (_estimate_all(patches, patches.bands, alone, copied=copied)[0],)

    return _for_each_group(samples, estimate, between)[0]


def noise_model(samples: Samples, between: Floats | None = None) -> tuple[Floats, Floats]:
    """Estimate the noise of each band, and how its variance grows with the signal.

    The variance is a straight line in the signal, as for shot noise (Foi, Trimeche, Katkovnik and
    Egiazarian, IEEE TIP 17(10), 2008). Its slope is fitted to the weaker half of the patches of
    each class of brightness, by the median absolute second difference in both directions
    (Immerkaer, Computer Vision and Image Understanding 64(2), 1996). Its height is that of
    ``estimate_noise`` after each patch has been scaled to the noise of the mean signal. A line that
    would be below zero where the weakest patches are is discarded.

    Where many pixels have a band's lowest or highest value, its noise is clipped there, and less of
    it is left near that value. Then the patches get the signal and the contrast that the noise
    found so far implies, and the noise is estimated again until it no longer changes. The result is
    the noise before clipping.

    Args:
        samples: pairs of pixels in DN and mask, True = valid, ``(band, row, col)``, of one scene.
        between: correlation of the noise from band to band, ``(band, band)``; None for none.

    Returns:
        Standard deviation of the noise where the signal is the band's mean, in DN, ``(band,)``; and
        the growth of its variance with the signal, in DN, ``(band,)``: 0 where it is constant.

    """
    sigma, growth, seen_at = _for_each_group(samples, _fit_patches, between)
    if growth.any() and not have_one_mask(samples):
        for band in np.flatnonzero(growth):
            # From the mean of what bands share to that of all pixels of this one.
            mean = np.concatenate([pixels[band][mask[band]] for pixels, mask in samples])
            mean = mean.mean(dtype=np.float64)
            sigma[band] = Line(sigma[band], growth[band], seen_at[band]).deviation(mean)
    return sigma, growth


def _for_each_group(
    samples: Samples,
    estimate: Callable[[Patches], tuple[Floats, ...]],
    between: Floats | None = None,
) -> tuple[Floats, ...]:
    """``estimate`` of the patches of each group of bands, put together as ``(band,)`` each."""
    groups = group_bands(samples)
    found = []
    for group in groups:
        some = samples
        if len(groups) > 1:
            some = [(pixels[group], mask[group]) for pixels, mask in samples]
        shared = None if between is None else between[np.ix_(group, group)]
        found.append(estimate(replace(cut_patches(some), between=shared)))
    if len(groups) == 1:
        return found[0]
    order = np.argsort(np.concatenate(groups))
    return tuple(np.concatenate(values)[order] for values in zip(*found, strict=True))


def _fit_patches(patches: Patches) -> tuple[Floats, Floats, Floats]:
    """``noise_model`` of patches that are valid in all of their bands, and their mean signal."""
    if not patches.count:
        none = np.zeros(len(patches.values))
        return none, none, none
    means = patches.level.mean(axis=1)
    alone = _estimate_alone(patches, patches.bands)
    middle = patches.values[:, :, SIDE * SIDE // 2]
    limits = [find_limits(*band) for band in zip(middle, alone[:, 0], strict=True)]
    if not np.isfinite(limits).any():
        return *_fit_lines(patches, patches.bands, alone), means
    return *_fit_clipped_bands(patches, alone, limits), means


def _fit_clipped_bands(patches: Patches, alone: Floats, limits: Limits) -> tuple[Floats, Floats]:
    """Compute ``noise_model`` of patches that are clipped at ``limits``; ``alone`` as for
    ``_fit_lines``.
    """
    means, sigma, slope = patches.level.mean(axis=1), alone[:, 0].copy(), np.zeros(len(alone))
    changed = patches.bands[np.isfinite(limits).any(axis=1) & (sigma > 0)]
    for band in changed:
        sigma[band] = _settle_alone(patches.values[band, ::THIRD], sigma[band], limits[band])
    values, left, fitted = patches.values.copy(), np.ones(patches.level.shape), patches.bands
    for _ in range(CLIPPED_ROUNDS):
        for band in changed:
            line = Line(sigma[band], slope[band], means[band])
            values[band], left[band] = unclip_patches(patches.values[band], line, limits[band])
        whole = replace(patches, values=values, left=left)
        alone[changed] = _estimate_alone(whole, changed)
        before, grew = sigma.copy(), slope > 0
        found, slopes = _fit_lines(whole, fitted, alone)
        # From the mean of the signal to that of the clipped pixels.
        risen = found**2 + slopes * (means - whole.level.mean(axis=1))[fitted]
        # Where clipping leaves too few patches, what was found before is all there is.
        lost = found == 0
        sigma[fitted] = np.where(lost, before[fitted], np.sqrt(np.maximum(risen, 0.0)))
        slope[fitted] = np.where(lost, 0.0, slopes)
        changed = changed[
            ((np.abs(sigma - before) > SETTLED * before) | ((slope > 0) & ~grew))[changed]
        ]
        fitted = changed
        if not changed.size:
            break
    return sigma, slope


def _settle_alone(values: Floats, sigma: float, limits: tuple[float, float]) -> float:
    """Estimate the constant noise of one clipped band by itself.

    ``values`` are its patches ``(patch, pixel)``; ``sigma`` is the estimate without regard to
    clipping.
    """
    for _ in range(CLIPPED_ROUNDS):
        whole, left = unclip_patches(values, Line(sigma, 0.0, 0.0), limits)
        before, found = (
            sigma,
            _estimate_alone(Patches(whole[None], True, left=left[None]), np.array([0]))[0, 0],
        )
        sigma = found or before
        if abs(sigma - before) <= SETTLED_ALONE * before:
            break
    return sigma


def _fit_lines(patches: Patches, bands: Indices, alone: Floats) -> tuple[Floats, Floats]:
    """Compute ``noise_model`` of some ``bands`` without regard to clipping.

    ``alone`` (band, 2) is the result of ``_estimate_alone`` for all bands.
    """
    sigma, seen_at, growth = _estimate_all(patches, bands, alone, growing=True)
    if not patches.count:
        return sigma, growth
    share = 1 + growth * (patches.level[bands].mean(axis=1) - seen_at)
    # A mean far below what is measured, as a collar of zeros makes it, tells nothing of the noise.
    growth = np.where(share > LEAST_SHARE, growth / np.maximum(share, LEAST_SHARE), 0.0)
    grows = growth > 0
    if not grows.any():
        return sigma, growth
    steady = _steady(patches, bands, growth)
    if steady.count < FEWEST:
        return sigma, np.zeros(len(bands))
    alone, again = alone.copy(), bands[grows] if patches.few else patches.bands
    alone[again] = _estimate_alone(steady, again)
    sigma[grows] = _estimate_all(steady, bands[grows], alone)[0]
    return sigma, growth * sigma**2


def _steady(patches: Patches, bands: Indices, growth: Floats) -> Patches:
    """Scale patches so that the noise of ``bands`` is the same for every signal.

    ``growth`` (of bands,) is the growth of the variance, relative to that at a band's mean signal.
    Patches that are too dark in any of these bands are left out.
    """
    level = patches.level[bands]
    variance = 1 + growth[:, None] * (level - level.mean(axis=1, keepdims=True))
    bright = (variance > FAINTEST).all(axis=0)
    # Indexing would leave them scattered in memory.
    values = patches.values.compress(bright, axis=1)
    for band, mean, noise in zip(
        bands, level[:, bright, None], np.sqrt(variance[:, bright, None]), strict=True
    ):
        values[band] = mean + (values[band] - mean) / noise
    return replace(
        patches, values=values, left=None if patches.left is None else patches.left[:, bright]
    )


def _estimate_alone(patches: Patches, bands: Indices) -> Floats:
    """Estimate the noise of some ``bands``, each by itself, and the mean signal there, ``(of bands,
    2)``.
    """
    each = ((band, patches.values[band]) for band in bands)
    return np.array(
        [
            estimate_weak_texture(patches, band, own, gradient_energy(own), LEAST)
            for band, own in each
        ]
    )


def _estimate_all(
    patches: Patches,
    bands: Indices,
    alone: Floats,
    *,
    growing: bool = False,
    copied: float = COPIED,
) -> tuple[Floats, Floats, Floats]:
    """Compute ``estimate_noise`` of some ``bands``, the mean signal there and the growth of the
    variance.

    The growth is computed only where ``growing`` asks for it. ``alone`` (band, 2) is the result of
    ``_estimate_alone`` for all bands. Results are ``(of bands,)``.
    """
    floor, most = (WITHOUT_TEXTURE, 1 / CLEARLY_LESS) if patches.few else (LEAST, 1.0)
    found = []
    for band, residual, factor in subtract_prediction(patches, bands, alone[:, 0]):
        energy, (sigma, seen_at), growth = gradient_energy(residual), alone[band], 0.0
        shared, shared_seen_at = estimate_weak_texture(patches, band, residual, energy, floor)
        if copied * sigma < shared * factor < most * sigma:
            sigma, seen_at = shared * factor, shared_seen_at
        if growing:
            # Of many bands the others leave no texture that comes with brightness.
            own = patches.values[band]
            which = (residual, energy) if patches.few else (own, gradient_energy(own))
            growth = fit_growth(patches, band, *which, where_one=seen_at, sigma=sigma)
        found.append((sigma, seen_at, growth))
    sigmas, seen_ats, growths = np.array(found).T
    return sigmas, seen_ats, growths
