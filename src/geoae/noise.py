"""How much noise a scene carries, told from the scene itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import special, stats

from geoae.clipping import LEAST_LEFT, Line, find_limits, unclip

__all__ = ["estimate_noise", "noise_model", "working_bytes"]

Floats = NDArray[np.float64]
Samples = Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]

# Side of the patches; their number bounds the cost of a band, and of all of them where there are many.
SIDE = 5
PATCHES = 20_000
FEW_BANDS = 24
FEWEST_PATCHES = 6_000
# Bands whose texture is taken out by one product of matrices, and patches whose covariance is.
AT_ONCE = 16
BLOCK = 512
# Below this number of patches a covariance of 25 x 25 means nothing.
FEWEST = 200
# Share of pure noise whose gradients pass for weak texture, as in the paper.
CONFIDENCE = 1 - 1e-6
ROUNDS = 3
# The least eigenvalue of white noise is low by this much for each square root of pixels over patches: nearly the 1 of
# the limit for many of both (Silverstein, Annals of Probability 13(4), 1985); measured with patches that overlap.
SAMPLING = 0.9
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
# Clipped noise is estimated again so often at most, or until it changes by less than this part.
CLIPPED_ROUNDS = 4
SETTLED = 0.005
# Variance of white noise is kept by this second difference in both directions (Immerkaer, 1996).
SECOND = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]) / 6.0
NORMAL_MAD = 0.6745


@dataclass(frozen=True, eq=False)
class _Patches:
    """``values`` (band, patch, pixel) of places valid in all bands, and ``left`` (band, patch): the part of the noise
    variance of unclipped pixels that is there; None where it is all of it.
    """

    values: Floats
    left: Floats | None = None

    @cached_property
    def level(self) -> Floats:
        """Mean of each patch, ``(band, patch)``."""
        level: Floats = self.values.mean(axis=2)
        return level

    @cached_property
    def energy(self) -> Floats:
        """Squared first differences of each patch, summed, ``(band, patch)``."""
        return np.stack([_energy(band) for band in self.values])

    def telling(self, band: int, energy: Floats) -> NDArray[np.bool_]:
        """Which patches ``(patch,)`` tell of the noise of ``band``, by their ``energy`` (patch,).

        Exactly flat patches are saturation or an undeclared collar, not a sight without noise.
        """
        varied: NDArray[np.bool_] = energy > 0
        return varied if self.left is None else varied & (self.left[band] >= 1)


def estimate_noise(samples: Samples) -> Floats:
    """Standard deviation of additive, spatially white noise of each band, ``(band,)`` in DN.

    ``samples``: pairs of pixels and mask ``(band, row, col)``, True = valid, cut from one scene.
    Two estimates, of which the lower counts, since texture can only add:

    * the band by itself: smallest eigenvalue of the covariance of weak-texture patches (Liu, Tanaka
      and Okutomi, IEEE TIP 22(12), 2013);
    * the band less what the other bands predict of it. Texture is shared by the bands, noise is not
      (Roger and Arnold, Int. J. Remote Sensing 17(10), 1996); the noise that the prediction with
      weights ``a`` brings along is known, ``sigma_b^2 + sum_k a_k^2 sigma_k^2``, and taken out.

    A band with too few valid patches, or none that is not flat, has no noise: 0. Noise is taken for constant and
    unclipped; ``noise_model`` looks at both.
    """
    return _estimates(_Patches(_cut(samples)))[0]


def noise_model(samples: Samples) -> tuple[Floats, Floats]:
    """Noise of each band where the signal is its mean, and how its variance grows with the signal, ``(band,)`` in
    DN twice; a growth of 0 where the noise is constant.

    The variance is a straight line in the signal, as shot noise has it (Foi, Trimeche, Katkovnik and
    Egiazarian, IEEE TIP 17(10), 2008). Its shape is fitted to the weaker half of the patches of each class of
    brightness, by the median absolute second difference in both directions (Immerkaer, Computer Vision and
    Image Understanding 64(2), 1996); its height is that of ``estimate_noise``, once each patch has as much noise as
    one of the mean signal has. A line that would be below zero where the weakest patches are is no such line.

    Where pixels heap up at a lowest or highest value, noise is clipped there, and what is left of it near that value
    is less: patches get back the signal and the contrast that they had before, by the noise found so far, and the
    noise is estimated again until it no longer changes. The noise returned is that before clipping.
    """
    patches = _Patches(_cut(samples))
    sigma, slope = _fit_lines(patches)
    limits = [find_limits(band[:, SIDE * SIDE // 2], noise) for band, noise in zip(patches.values, sigma, strict=True)]
    if not np.isfinite(limits).any():
        return sigma, slope
    means = patches.level.mean(axis=1)
    for _ in range(CLIPPED_ROUNDS):
        before, lines = sigma, [Line(*line) for line in zip(sigma, slope, means, strict=True)]
        whole = _unclipped(patches, lines, limits)
        sigma, slope = _fit_lines(whole)
        # The line's height where the signal is the mean of the clipped pixels.
        sigma = np.sqrt(np.maximum(sigma**2 + slope * (means - whole.level.mean(axis=1)), 0.0))
        if np.all(np.abs(sigma - before) <= SETTLED * before):
            break
    return sigma, slope


def _unclipped(patches: _Patches, lines: Sequence[Line], limits: Sequence[tuple[float, float]]) -> _Patches:
    """``patches`` with the signal and the contrast that they would have without clipping; where too little is left of
    their noise, as much as can be given back.
    """
    values, left = patches.values.copy(), np.ones(patches.level.shape)
    for band, (line, ends) in enumerate(zip(lines, limits, strict=True)):
        if not np.isfinite(ends).any() or line.sigma <= 0:
            continue
        level = patches.level[band]
        signal, share = unclip(level, line, *ends)
        left[band] = np.minimum(share / LEAST_LEFT, 1.0)
        contrast = values[band] - level[:, None]
        values[band] = signal[:, None] + contrast / np.sqrt(np.maximum(share, LEAST_LEFT))[:, None]
    return _Patches(values, left)


def _fit_lines(patches: _Patches) -> tuple[Floats, Floats]:
    """``noise_model`` of patches, clipped ones aside."""
    sigma, seen_at = _estimates(patches)
    if not patches.values.shape[1]:
        return sigma, np.zeros(len(sigma))
    growth = np.array([_growth(patches, band, where) for band, where in enumerate(seen_at)])
    share = 1 + growth * (patches.level.mean(axis=1) - seen_at)
    # A mean far below what is measured, as a collar of zeros makes it, tells nothing of the noise.
    growth = np.where(share > LEAST_SHARE, growth / np.maximum(share, LEAST_SHARE), 0.0)
    grows = growth > 0
    if not grows.any():
        return sigma, growth
    steady = _steadied(patches, growth)
    if steady.values.shape[1] < FEWEST:
        return sigma, np.zeros(len(sigma))
    sigma = np.where(grows, _estimates(steady)[0], sigma)
    return sigma, growth * sigma**2


def _steadied(patches: _Patches, growth: Floats) -> _Patches:
    """Those of ``patches`` that no band sees too dark, with their contrast divided by the noise
    that their signal brings; at a band's mean signal that is one, and grows by ``growth`` (band,).
    """
    level = patches.level
    variance = 1 + growth[:, None] * (level - level.mean(axis=1, keepdims=True))
    bright = (variance > FAINTEST).all(axis=0)
    level, variance = level[:, bright, None], variance[:, bright, None]
    values = level + (patches.values[:, bright] - level) / np.sqrt(variance)
    return _Patches(values, None if patches.left is None else patches.left[:, bright])


def _estimates(patches: _Patches) -> tuple[Floats, Floats]:
    """``estimate_noise`` of patches, and the mean signal ``(band,)`` where it was seen."""
    bands, count, _ = patches.values.shape
    alone, seen_at = np.array([_weak_texture(patches, band, patches.values[band]) for band in range(bands)]).T
    if bands == 1 or count < FEWEST:
        return alone, seen_at
    shared, shared_seen_at = np.array(list(_without_shared_texture(patches, alone))).T
    lower = (shared < alone) & (shared > COPIED * alone)
    return np.where(lower, shared, alone), np.where(lower, shared_seen_at, seen_at)


def working_bytes(bands: int) -> int:
    """Bytes that ``noise_model`` takes for ``bands`` bands beside its samples: their patches, and two copies of them
    while they are changed.
    """
    return 3 * 8 * bands * _most(bands) * SIDE * SIDE


def _most(bands: int) -> int:
    """About how many patches of each band are looked at."""
    return min(PATCHES, max(FEW_BANDS * PATCHES // max(bands, 1), FEWEST_PATCHES))


def _cut(samples: Samples) -> Floats:
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


def _energy(patches: Floats) -> Floats:
    """Squared first differences of ``patches`` (patch, pixel), summed, ``(patch,)``."""
    gradients = patches @ _gradients()[0].T
    energy: Floats = np.einsum("pd,pd->p", gradients, gradients)
    return energy


def _weak_texture(patches: _Patches, band: int, values: Floats) -> tuple[float, float]:
    """Noise of one band from ``values`` (patch, pixel), its own or what others leave of them, and the mean signal
    where it was seen.
    """
    _, limit = _gradients()
    energy, signal, few = _energy(values), patches.level[band], len(patches.values) > FEW_BANDS
    telling = patches.telling(band, energy)
    if not telling.all():
        values, signal, energy = values[telling], signal[telling], energy[telling]
    if len(values) < FEWEST:
        return 0.0, 0.0
    weak = np.ones(len(values), bool)
    variance, seen_at = _least_eigenvalue(values, few), signal.mean()
    for _ in range(ROUNDS):
        before, weak = weak, energy < limit * variance
        if weak.sum() < FEWEST or np.array_equal(weak, before):
            break
        variance, seen_at = _least_eigenvalue(values[weak], few), signal[weak].mean()
    return float(np.sqrt(variance)), float(seen_at)


def _least_eigenvalue(patches: Floats, few: bool) -> float:
    centred = patches - patches.mean(axis=0)
    least = max(float(np.linalg.eigvalsh(centred.T @ centred / (len(patches) - 1))[0]), 0.0)
    return least / (1 - SAMPLING * np.sqrt(SIDE * SIDE / len(patches))) ** 2 if few else least


def _without_shared_texture(patches: _Patches, alone: Floats) -> Iterator[tuple[float, float]]:
    """The second of ``_estimates``, and where it was seen, of each band; ``alone`` gives their relative noise."""
    values = patches.values
    bands, _, pixels = values.shape
    scale = np.where(alone > 0, alone, 1.0)
    covariance = _detail_covariance(values) / np.outer(scale, scale)
    ridge = (1e-9 * np.trace(covariance) or 1.0) * np.eye(bands)
    # Row b of the inverse holds, but for its own entry as a factor, the band less its best prediction.
    precision = np.linalg.inv(covariance + ridge)
    gains = precision / np.diag(precision)[:, None]
    for first in range(0, bands, AT_ONCE):
        some = gains[first : first + AT_ONCE]
        residuals = (some / scale @ values.reshape(bands, -1)).reshape(len(some), -1, pixels)
        for band, (gain, residual) in enumerate(zip(some, residuals, strict=True), start=first):
            total = gain @ gain
            if patches.left is not None:
                residual /= np.sqrt(np.square(gain) @ patches.left / total)[:, None]
            found, seen_at = _weak_texture(patches, band, residual)
            yield found / np.sqrt(total) * scale[band], seen_at


def _detail_covariance(values: Floats) -> Floats:
    """Covariance of the bands within patches, ``(band, band)``."""
    bands, count, pixels = values.shape
    total = np.zeros((bands, bands))
    for first in range(0, count, BLOCK):
        block = values[:, first : first + BLOCK]
        detail = (block - block.mean(axis=2, keepdims=True)).reshape(bands, -1)
        total += detail @ detail.T
    return total / (count * pixels)


def _growth(patches: _Patches, band: int, where_one: float) -> float:
    """Growth of one band's noise variance with its signal; the variance where the signal is ``where_one`` counts as
    one.
    """
    telling = patches.telling(band, patches.energy[band])
    if telling.sum() < FEWEST:
        return 0.0
    values, level, energy = (part[band][telling] for part in (patches.values, patches.level, patches.energy))
    edges = np.unique(np.quantile(level, np.linspace(0, 1, CLASSES + 1)))
    classes = [(level >= low) & (level <= high) for low, high in pairwise(edges)]
    classes = [members for members in classes if members.sum() >= FEWEST_OF_CLASS]
    if len(classes) < CLASSES // 2:
        return 0.0
    variance, where = np.array([_weaker_half(values[members], energy[members]) for members in classes]).T
    slope, offset, _, _ = stats.theilslopes(variance, where)
    low, one, high = offset + slope * np.array([where[0], where_one, where[-1]])
    if one <= LEAST_SHARE * high or high < LEAST_RATIO * max(low, 0.0):
        return 0.0
    return float(slope / one)


@lru_cache(maxsize=1)
def _second_differences() -> Floats:
    """``SECOND`` at all places of a patch, ``(pixel, place)``."""
    eye = np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE)
    places = (sliding_window_view(eye, SECOND.shape, axis=(1, 2)) * SECOND).sum(axis=(-1, -2))
    found: Floats = places.reshape(SIDE * SIDE, -1)
    return found


def _weaker_half(patches: Floats, energy: Floats) -> tuple[float, float]:
    """Noise variance, but for a common factor, of the half of ``patches`` with the least contrast, and their mean."""
    weak = patches[energy <= np.median(energy)]
    return float((np.median(np.abs(weak @ _second_differences())) / NORMAL_MAD) ** 2), float(weak.mean())
