"""How much noise a scene carries, told from the scene itself."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import special

__all__ = ["estimate_noise"]

Floats = NDArray[np.float64]
Samples = Sequence[tuple[NDArray[Any], NDArray[np.bool_]]]

# Side of the patches; their number bounds the cost of a band.
SIDE = 5
PATCHES = 20_000
# Below this number of patches a covariance of 25 x 25 means nothing.
FEWEST = 200
# Share of pure noise whose gradients pass for weak texture, as in the paper.
CONFIDENCE = 1 - 1e-6
ROUNDS = 3


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
    bands = len(samples[0][0])
    patches = _patches(samples)
    alone = np.array([_weak_texture(patches[band]) for band in range(bands)])
    if bands == 1 or patches.shape[1] < FEWEST:
        return alone
    return np.minimum(alone, _without_shared_texture(patches, alone))


def _patches(samples: Samples) -> Floats:
    """At most ``PATCHES`` patches that are valid in all bands, ``(band, patch, SIDE * SIDE)``."""
    room = [max(p.shape[1] - SIDE + 1, 0) * max(p.shape[2] - SIDE + 1, 0) for p, _ in samples]
    step = max(1, int(np.sqrt(sum(room) / PATCHES)))
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


def _weak_texture(patches: Floats) -> float:
    """Noise of one band from its patches ``(patch, pixel)``."""
    operator, limit = _gradients()
    energy = ((patches @ operator.T) ** 2).sum(axis=1)
    # Exactly flat patches are saturation or an undeclared collar, not a sight without noise.
    patches, energy = patches[energy > 0], energy[energy > 0]
    if len(patches) < FEWEST:
        return 0.0
    variance = _least_eigenvalue(patches)
    for _ in range(ROUNDS):
        weak = patches[energy < limit * variance]
        if len(weak) < FEWEST:
            break
        variance = _least_eigenvalue(weak)
    return float(np.sqrt(variance))


def _least_eigenvalue(patches: Floats) -> float:
    return max(float(np.linalg.eigvalsh(np.cov(patches, rowvar=False))[0]), 0.0)


def _without_shared_texture(patches: Floats, alone: Floats) -> Floats:
    """The second estimate of ``estimate_noise``; ``alone`` gives the bands' relative noise."""
    bands = len(patches)
    scale = np.where(alone > 0, alone, 1.0)
    white = patches / scale[:, None, None]
    detail = (white - white.mean(axis=2, keepdims=True)).reshape(bands, -1)
    covariance = detail @ detail.T / detail.shape[1]
    estimates = np.empty(bands)
    for band in range(bands):
        others = np.arange(bands) != band
        ridge = (1e-9 * np.trace(covariance) or 1.0) * np.eye(bands - 1)
        gain = np.linalg.solve(covariance[np.ix_(others, others)] + ridge, covariance[others, band])
        residual = white[band] - np.tensordot(gain, white[others], axes=1)
        estimates[band] = _weak_texture(residual) / np.sqrt(1.0 + gain @ gain)
    return estimates * scale
