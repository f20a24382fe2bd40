"""Small patches of a scene's sample, from which its noise is estimated."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from geoae.diagnosis.clipping import LEAST_LEFT
from geoae.types import Floats, Mask, Samples

__all__ = [
    "FEWEST",
    "FEW_BANDS",
    "SIDE",
    "Patches",
    "count_places",
    "cut_patches",
    "gradient_energy",
    "group_bands",
    "most_patches",
    "pure_noise_energy",
]

# Side of the patches; their number bounds the cost of a band, and of all of them where there are
# many.
SIDE = 5
PATCHES = 20_000
FEW_BANDS = 24
FEWEST_PATCHES = 2_000
# Below this number of patches a covariance of 25 x 25 means nothing.
FEWEST = 200
# Below this number of patches, or this share of those that a scene without nodata would give, the
# scene is looked at pixel by pixel.
SCARCE, SCARCE_SHARE = 2_000, 0.2
# Share of pure noise whose gradients pass for weak texture (Liu, Tanaka and Okutomi, IEEE TIP
# 22(12), 2013).
CONFIDENCE = 1 - 1e-6


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches that are valid in all bands."""

    values: Floats
    """Pixels ``(band, patch, SIDE * SIDE)`` in DN."""
    few: bool = False
    """Whether many bands leave room for so few patches that sampling errors of covariances
    matter.
    """
    pixels: int = 0
    """Pixels of a band that are in any patch."""
    left: Floats | None = None
    """Part of the noise variance that clipping has left, ``(band, patch)``; None where nothing is
    clipped.
    """
    scarce: bool = False
    """Whether nodata leaves so few patches that sampling errors of covariances matter."""

    @property
    def bands(self) -> NDArray[np.intp]:
        """Index of each band."""
        return np.arange(len(self.values))

    @property
    def count(self) -> int:
        """Number of patches of each band."""
        return self.values.shape[1]

    @cached_property
    def level(self) -> Floats:
        """Mean of each patch, ``(band, patch)``."""
        level: Floats = self.values.mean(axis=2)
        return level

    def select_informative(
        self, band: int, energy: Floats, least: float = LEAST_LEFT
    ) -> NDArray[np.bool_]:
        """Select the patches that carry information on the noise of a band.

        Exactly flat patches do not: they are saturation or an undeclared collar.

        Args:
            band: index of the band.
            energy: gradient energy of its patches, ``(patch,)``.
            least: least share of the noise variance that clipping must have left.

        Returns:
            Mask ``(patch,)``.

        """
        varied: NDArray[np.bool_] = energy > 0
        return varied if self.left is None else varied & (self.left[band] >= least)


def most_patches(bands: int) -> int:
    """Return about how many patches of each band are used."""
    return min(PATCHES, max(FEW_BANDS * PATCHES // max(bands, 1), FEWEST_PATCHES))


def cut_patches(samples: Samples) -> Patches:
    """Cut about ``most_patches`` patches, evenly spread over ``samples``.

    ``samples`` are pairs of pixels and mask ``(band, row, col)``.
    """
    bands = len(samples[0][0])
    most, few = most_patches(bands), bands > FEW_BANDS
    room = [max(p.shape[1] - SIDE + 1, 0) * max(p.shape[2] - SIDE + 1, 0) for p, _ in samples]
    step = max(1, int(np.sqrt(sum(room) / most)))
    places = [_find_places(mask, step) for _, mask in samples]
    expected = sum(room) / step**2
    scarce = sum(map(len, places)) < min(SCARCE, SCARCE_SHARE * expected)
    if scarce and step > 1:
        # Patches that overlap more tell more than few ones.
        there = sum(len(_find_places(mask, 1)) for _, mask in samples)
        step = max(1, int(np.sqrt(there / most)))
        places = [_find_places(mask, step) for _, mask in samples]
    covered = sum(map(len, places)) * step**2
    if few:
        # A step of whole pixels could leave four times as many.
        thin = max(1.0, sum(map(len, places)) / most)
        places = [some[np.arange(0, len(some), thin).astype(int)] for some in places]
    ends = np.cumsum([0, *map(len, places)])
    values = np.empty((bands, ends[-1], SIDE * SIDE))
    for (pixels, _), some, first, stop in zip(samples, places, ends, ends[1:], strict=False):
        values[:, first:stop] = pixels.reshape(bands, -1)[:, some]
    return Patches(values, few, min(covered, ends[-1] * SIDE * SIDE), scarce=scarce)


def count_places(samples: Samples) -> NDArray[np.intp]:
    """Count the places of patches that are valid in a band.

    Args:
        samples: pairs of pixels and mask ``(band, row, col)``.

    Returns:
        The number of places, patches that overlap included, ``(band,)``.

    """
    counts = np.zeros(len(samples[0][1]), np.intp)
    for _, mask in samples:
        height, width = (max(size - SIDE + 1, 0) for size in mask.shape[1:])
        # Most windows of most scenes are valid throughout.
        counts += height * width if mask.all() else _is_whole(mask).sum(axis=(1, 2))
    return counts


def group_bands(samples: Samples) -> list[NDArray[np.intp]]:
    """Tell which bands can be looked at together: those that are valid in the same places.

    Args:
        samples: pairs of pixels and mask ``(band, row, col)``.

    Returns:
        Indices of the bands of each group. One group of all where they share enough patches, or
        half of those of the band that has the fewest.

    """
    everything = np.arange(len(samples[0][1]))
    if all(mask.all() for _, mask in samples):
        return [everything]
    together: Samples = [(pixels, _shared(mask)) for pixels, mask in samples]
    shared = int(count_places(together)[0])
    if shared >= SCARCE:
        return [everything]
    own = count_places(samples)
    if not own.any() or shared >= own[own > 0].min() / 2:
        return [everything]
    packed = np.concatenate(
        [np.packbits(m.reshape(len(m), -1), axis=1) for _, m in samples], axis=1
    )
    group = np.unique(packed, axis=0, return_inverse=True)[1].ravel()
    return [np.flatnonzero(group == one) for one in range(group.max() + 1)]


def _shared(mask: Mask) -> Mask:
    """Which pixels are valid in all bands, ``(1, row, col)``."""
    return np.logical_and.reduce(mask, axis=0, keepdims=True)


def _is_whole(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the patch that begins at a pixel is valid, ``(band, row, col)``."""
    height, width = (max(size - SIDE + 1, 0) for size in mask.shape[1:])
    rows = np.logical_and.reduce([mask[:, i : i + height] for i in range(SIDE)])
    return np.logical_and.reduce([rows[:, :, i : i + width] for i in range(SIDE)])


def _find_places(mask: NDArray[np.bool_], step: int) -> NDArray[np.intp]:
    """Return the pixels of each patch that is valid in all bands, ``(patch, pixel)``, in a flat
    band.
    """
    height, width = mask.shape[1:]
    if min(height, width) < SIDE:
        return np.zeros((0, SIDE * SIDE), np.intp)
    valid = _is_whole(_shared(mask))[0, ::step, ::step]
    corners = np.argwhere(valid) @ np.array([step * width, step])
    places: NDArray[np.intp] = (
        corners[:, None] + np.add.outer(np.arange(SIDE) * width, np.arange(SIDE)).ravel()
    )
    return places


@lru_cache(maxsize=1)
def _first_differences() -> Floats:
    """Return all differences of neighbouring pixels of a patch, ``(difference, pixel)``."""
    index = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    ends = [(index[:, :-1], index[:, 1:]), (index[:-1], index[1:])]
    first, second = (np.concatenate([pair[i].ravel() for pair in ends]) for i in (0, 1))
    operator = np.zeros((len(first), SIDE * SIDE))
    operator[np.arange(len(first)), first] = -1.0
    operator[np.arange(len(first)), second] = 1.0
    return operator


def gradient_energy(values: Floats) -> Floats:
    """Sum the squared differences of neighbouring pixels of ``values`` (patch, pixel),
    ``(patch,)``.
    """
    gradients = values @ _first_differences().T
    energy: Floats = np.einsum("pd,pd->p", gradients, gradients)
    return energy


@lru_cache(maxsize=1)
def pure_noise_energy() -> float:
    """Return the limit of the gradient energy of a patch of unit noise at ``CONFIDENCE``.

    It is that of the gamma distribution with the same first two moments.
    """
    energy = _first_differences().T @ _first_differences()
    mean, variance = np.trace(energy), 2.0 * np.trace(energy @ energy)
    return float(special.gammaincinv(mean**2 / variance, CONFIDENCE) * variance / mean)
