"""How much noise a scene carries, told from the scene itself."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import special, stats

__all__ = ["estimate_noise", "noise_model", "working_bytes"]

Floats = NDArray[np.float64]
Samples = Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]

# Side of the patches; their number bounds the cost of a band, and of all of them where there are many.
SIDE = 5
PATCHES = 20_000
PATCHES_OF_ALL_BANDS = 24 * PATCHES
FEWEST_PATCHES = 6_000
# Bands whose texture is taken out by one product of matrices.
AT_ONCE = 16
# Below this number of patches a covariance of 25 x 25 means nothing.
FEWEST = 200
# Share of pure noise whose gradients pass for weak texture, as in the paper.
CONFIDENCE = 1 - 1e-6
ROUNDS = 3
# A band of which the others leave this part of its own estimate is made of them, noise and all.
COPIED = 0.03
# Patches of one band are looked at in this many classes of brightness, of at least so many patches.
CLASSES = 8
FEWEST_OF_CLASS = 200
# Noise whose variance in bright places is not this many times that in dark ones passes for constant: so
# much is feigned by texture that comes with brightness.
LEAST_RATIO = 2.0
# Where it would be below this part of the brightest places' or of what was seen, it is no straight line.
LEAST_SHARE = 0.02
# Signals so dark that the line leaves this part of the variance at the mean tell nothing of its height: an error of
# the slope is a large one there, and shadows and water would pass for the weakest texture.
FAINTEST = 0.3
# Variance of white noise is kept by this second difference in both directions (Immerkaer, 1996).
SECOND = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]) / 6.0
NORMAL_MAD = 0.6745


def estimate_noise(samples: Samples) -> Floats:
    """Standard deviation of additive, spatially white noise of each band, ``(band,)`` in DN.

    ``samples``: pairs of pixels and mask ``(band, row, col)``, True = valid, cut from one scene.
    Two estimates, of which the lower counts, since texture can only add:

    * the band by itself: smallest eigenvalue of the covariance of weak-texture patches (Liu, Tanaka
      and Okutomi, IEEE TIP 22(12), 2013);
    * the band less what the other bands predict of it. Texture is shared by the bands, noise is not
      (Roger and Arnold, Int. J. Remote Sensing 17(10), 1996); the noise that the prediction with
      weights ``a`` brings along is known, ``sigma_b^2 + sum_k a_k^2 sigma_k^2``, and taken out.

    A band with too few valid patches, or none that is not flat, has no noise: 0.
    """
    return _estimates(_patches(samples))[0]


def noise_model(samples: Samples) -> tuple[Floats, Floats]:
    """Noise of each band where the signal is its mean, and how its variance grows with the signal, ``(band,)`` in
    DN twice; a growth of 0 where the noise is constant.

    The variance is a straight line in the signal, as shot noise has it (Foi, Trimeche, Katkovnik and
    Egiazarian, IEEE TIP 17(10), 2008). Its shape is fitted to the weaker half of the patches of each class of
    brightness, by the median absolute second difference in both directions (Immerkaer, Computer Vision and
    Image Understanding 64(2), 1996); its height is that of ``estimate_noise``, once each patch has as much noise as
    one of the mean signal has. A line that would be below zero where the weakest patches are is no such line.
    """
    patches = _patches(samples)
    sigma, seen_at = _estimates(patches)
    if not patches.shape[1]:
        return sigma, np.zeros(len(sigma))
    growth = np.array([_growth(band, where) for band, where in zip(patches, seen_at, strict=True)])
    share = 1 + growth * (patches.mean(axis=(1, 2)) - seen_at)
    # A mean far below what is measured, as a collar of zeros makes it, tells nothing of the noise.
    growth = np.where(share > LEAST_SHARE, growth / np.maximum(share, LEAST_SHARE), 0.0)
    grows = growth > 0
    if not grows.any():
        return sigma, growth
    steady = _steadied(patches, growth)
    if steady.shape[1] < FEWEST:
        return sigma, np.zeros(len(sigma))
    sigma = np.where(grows, _estimates(steady)[0], sigma)
    return sigma, growth * sigma**2


def _steadied(patches: Floats, growth: Floats) -> Floats:
    """Those of ``patches`` (band, patch, pixel) that no band sees too dark, with their contrast divided by the noise
    that their signal brings; at a band's mean signal that is one, and grows by ``growth`` (band,).
    """
    level = patches.mean(axis=2)
    variance = 1 + growth[:, None] * (level - level.mean(axis=1, keepdims=True))
    bright = (variance > FAINTEST).all(axis=0)
    level, variance = level[:, bright, None], variance[:, bright, None]
    return level + (patches[:, bright] - level) / np.sqrt(variance)


def _estimates(patches: Floats) -> tuple[Floats, Floats]:
    """``estimate_noise`` of patches ``(band, patch, pixel)``, and the mean signal ``(band,)`` where it was seen."""
    alone, seen_at = np.array([_weak_texture(band, band.mean(axis=1)) for band in patches]).T
    if len(patches) == 1 or patches.shape[1] < FEWEST:
        return alone, seen_at
    shared, shared_seen_at = _without_shared_texture(patches, alone)
    lower = (shared < alone) & (shared > COPIED * alone)
    return np.where(lower, shared, alone), np.where(lower, shared_seen_at, seen_at)


def working_bytes(bands: int) -> int:
    """Bytes that ``noise_model`` takes for ``bands`` bands beside its samples: their patches, and three copies of them
    while texture is taken out.
    """
    return 4 * 8 * bands * _most(bands) * SIDE * SIDE


def _most(bands: int) -> int:
    """About how many patches of each band are looked at."""
    return min(PATCHES, max(PATCHES_OF_ALL_BANDS // max(bands, 1), FEWEST_PATCHES))


def _patches(samples: Samples) -> Floats:
    """About ``PATCHES`` patches that are valid in all bands, fewer of many bands, ``(band, patch, SIDE * SIDE)``."""
    room = [max(p.shape[1] - SIDE + 1, 0) * max(p.shape[2] - SIDE + 1, 0) for p, _ in samples]
    step = max(1, int(np.sqrt(sum(room) / _most(len(samples[0][0])))))
    found = []
    for (pixels, mask), places in zip(samples, room, strict=True):
        if not places:
            continue
        valid = sliding_window_view(mask.all(axis=0), (SIDE, SIDE))[::step, ::step].all(axis=(2, 3))
        views = sliding_window_view(pixels, (SIDE, SIDE), axis=(1, 2))[:, ::step, ::step]
        found.append(views[:, valid].reshape(len(pixels), -1, SIDE * SIDE).astype(np.float64))
    if not found:
        return np.zeros((len(samples[0][0]), 0, SIDE * SIDE))
    return np.concatenate(found, axis=1)


@lru_cache(maxsize=1)
def _gradients() -> tuple[Floats, float]:
    """All first differences of a patch, ``(difference, pixel)``, and the energy that unit noise
    stays below with ``CONFIDENCE`` (gamma distribution matched in its first two moments).
    """
    index = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    ends = [(index[:, :-1], index[:, 1:]), (index[:-1], index[1:])]
    first, second = (np.concatenate([pair[i].ravel() for pair in ends]) for i in (0, 1))
    operator = np.zeros((len(first), SIDE * SIDE))
    operator[np.arange(len(first)), first] = -1.0
    operator[np.arange(len(first)), second] = 1.0
    energy = operator.T @ operator
    mean, variance = np.trace(energy), 2.0 * np.trace(energy @ energy)
    return operator, float(special.gammaincinv(mean**2 / variance, CONFIDENCE) * variance / mean)


def _weak_texture(patches: Floats, signal: Floats) -> tuple[float, float]:
    """Noise of one band from its patches ``(patch, pixel)``, and the mean of ``signal`` (patch,) where it was seen."""
    operator, limit = _gradients()
    energy = ((patches @ operator.T) ** 2).sum(axis=1)
    # Exactly flat patches are saturation or an undeclared collar, not a sight without noise.
    patches, signal, energy = patches[energy > 0], signal[energy > 0], energy[energy > 0]
    if len(patches) < FEWEST:
        return 0.0, 0.0
    variance, seen_at = _least_eigenvalue(patches), signal.mean()
    for _ in range(ROUNDS):
        weak = energy < limit * variance
        if weak.sum() < FEWEST:
            break
        variance, seen_at = _least_eigenvalue(patches[weak]), signal[weak].mean()
    return float(np.sqrt(variance)), float(seen_at)


def _least_eigenvalue(patches: Floats) -> float:
    return max(float(np.linalg.eigvalsh(np.cov(patches, rowvar=False))[0]), 0.0)


def _without_shared_texture(patches: Floats, alone: Floats) -> tuple[Floats, Floats]:
    """The second of ``_estimates``; ``alone`` gives the bands' relative noise."""
    bands = len(patches)
    scale = np.where(alone > 0, alone, 1.0)
    white = patches / scale[:, None, None]
    detail = (white - white.mean(axis=2, keepdims=True)).reshape(bands, -1)
    covariance = detail @ detail.T / detail.shape[1]
    ridge = (1e-9 * np.trace(covariance) or 1.0) * np.eye(bands)
    # Row b of the inverse holds, but for its own entry as a factor, the band less its best prediction.
    precision = np.linalg.inv(covariance + ridge)
    gains = precision / np.diag(precision)[:, None]
    estimates, seen_at = np.empty(bands), np.empty(bands)
    for first in range(0, bands, AT_ONCE):
        some = gains[first : first + AT_ONCE]
        residuals = (some @ white.reshape(bands, -1)).reshape(len(some), *white.shape[1:])
        for band, (gain, residual) in enumerate(zip(some, residuals, strict=True), start=first):
            found, seen_at[band] = _weak_texture(residual, patches[band].mean(axis=1))
            estimates[band] = found / np.sqrt(gain @ gain)
    return estimates * scale, seen_at


def _growth(patches: Floats, where_one: float) -> float:
    """Growth of one band's noise variance with its signal, from patches ``(patch, pixel)``; the variance where the
    signal is ``where_one`` counts as one.
    """
    patches = patches[np.ptp(patches, axis=1) > 0]
    if len(patches) < FEWEST:
        return 0.0
    level = patches.mean(axis=1)
    edges = np.unique(np.quantile(level, np.linspace(0, 1, CLASSES + 1)))
    classes = [patches[(level >= low) & (level <= high)] for low, high in pairwise(edges)]
    classes = [members for members in classes if len(members) >= FEWEST_OF_CLASS]
    if len(classes) < CLASSES // 2:
        return 0.0
    variance, where = np.array([_weaker_half(members) for members in classes]).T
    slope, offset, _, _ = stats.theilslopes(variance, where)
    low, one, high = offset + slope * np.array([where[0], where_one, where[-1]])
    if one <= LEAST_SHARE * high or high < LEAST_RATIO * max(low, 0.0):
        return 0.0
    return float(slope / one)


def _weaker_half(patches: Floats) -> tuple[float, float]:
    """Noise variance, but for a common factor, of the half of ``patches`` with the least contrast, and their mean."""
    operator, _ = _gradients()
    energy = ((patches @ operator.T) ** 2).sum(axis=1)
    weak = patches[energy <= np.median(energy)].reshape(-1, SIDE, SIDE)
    second = (sliding_window_view(weak, SECOND.shape, axis=(1, 2)) * SECOND).sum(axis=(-1, -2))
    return float((np.median(np.abs(second)) / NORMAL_MAD) ** 2), float(weak.mean())
