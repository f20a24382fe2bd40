"""Small patches of a scene's sample, from which its noise is estimated."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from geoae.diagnosis.clipping import LEAST_LEFT
from geoae.diagnosis.spread import pick_evenly
from geoae.types import Floats, Mask, Samples

__all__ = [
    "FEWEST",
    "FEWEST_IN_ALL",
    "FEW_BANDS",
    "PLENTY",
    "SIDE",
    "Patches",
    "count_places",
    "cut_patches",
    "gradient_energy",
    "group_bands",
    "have_one_mask",
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
# With fewer patches of a band than these, its noise would now and then be wrong by a fifth.
FEWEST_IN_ALL = 400
# So many patches tell as much of the noise as those of a scene without nodata do: bands that share
# them are looked at together. With fewer, the sampling errors of a covariance are corrected.
PLENTY = 10_000
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
    between: Floats | None = None
    """Correlation of the noise from band to band, ``(band, band)``; None for none."""
    left: Floats | None = None
    """Part of the noise variance that clipping has left, ``(band, patch)``; None where nothing is
    clipped.
    """

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
    """About ``most_patches`` patches, evenly spread over what is valid in all bands of ``samples``:
    pairs of pixels and mask ``(band, row, col)``.
    """
    bands = len(samples[0][0])
    most, few = most_patches(bands), bands > FEW_BANDS
    whole = [_is_whole(_share_mask(mask))[0] for _, mask in samples]
    there = sum(map(np.count_nonzero, whole))
    step = max(1, int(np.sqrt(there / most)))
    places = [_find_places(valid, step) for valid in whole]
    if 2 * sum(map(len, places)) * step**2 < there:
        # Masks that repeat themselves, like lines that are missing, may fall out of step.
        step, places = 1, [_find_places(valid, 1) for valid in whole]
    covered = sum(map(len, places)) * step**2
    # A step of whole pixels may leave four times as many; of many bands that would be too many.
    thin = max(1.0, sum(map(len, places)) / (most if few else 4 * most))
    if thin > 1:
        places = [some[pick_evenly(len(some), thin)] for some in places]
    ends = np.cumsum([0, *map(len, places)])
    values = np.empty((bands, ends[-1], SIDE * SIDE))
    for (pixels, _), some, first, stop in zip(samples, places, ends, ends[1:], strict=False):
        values[:, first:stop] = pixels.reshape(bands, -1).take(some, axis=1)
    return Patches(values, few, min(covered, ends[-1] * SIDE * SIDE))


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


def have_one_mask(samples: Samples) -> bool:
    """Whether all bands of ``samples`` are valid at the same pixels."""
    return all(bool((mask == mask[:1]).all()) for _, mask in samples)


def group_bands(samples: Samples) -> list[NDArray[np.intp]]:
    """Tell which bands can be looked at together, since they are valid in the same places.

    The bands of a group share at least half of the patches that any of them has, so none decides
    where the others are looked at. From the band with most patches down, each one joins the first
    group that allows it.

    Args:
        samples: pairs of pixels and mask ``(band, row, col)``.

    Returns:
        Indices of the bands of each group, ascending.

    """
    if have_one_mask(samples):
        return [np.arange(len(samples[0][1]))]
    whole = np.concatenate(
        [np.packbits(_is_whole(m).reshape(len(m), -1), axis=1) for _, m in samples], axis=1
    )
    own = np.array([_count_bits(places) for places in whole])
    groups: list[tuple[NDArray[np.uint8], list[int]]] = []
    for band in np.argsort(-own, kind="stable"):
        for at, (shared, members) in enumerate(groups):
            together = shared & whole[band]
            if _count_bits(together) >= max(own[members[0]] / 2, FEWEST_IN_ALL):
                groups[at] = (together, [*members, int(band)])
                break
        else:
            groups.append((whole[band], [int(band)]))
    return [np.sort(members) for _, members in groups]


def _count_bits(packed: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(np.unpackbits(packed)))


def _share_mask(mask: Mask) -> Mask:
    """Return which pixels are valid in all bands, ``(1, row, col)``."""
    return np.logical_and.reduce(mask, axis=0, keepdims=True)


def _is_whole(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the patch that begins at a pixel is valid, ``(band, row, col)``."""
    height, width = (max(size - SIDE + 1, 0) for size in mask.shape[1:])
    rows = mask[:, :height].copy()
    for shift in range(1, SIDE):
        rows &= mask[:, shift : shift + height]
    whole = rows[:, :, :width].copy()
    for shift in range(1, SIDE):
        whole &= rows[:, :, shift : shift + width]
    return whole


def _find_places(whole: NDArray[np.bool_], step: int) -> NDArray[np.intp]:
    """Where in a flat band the pixels of each patch are, ``(patch, pixel)``.

    ``whole`` (row, col): whether the patch that begins at a pixel is valid, of which every
    ``step``-th row and column counts.
    """
    width = whole.shape[1] + SIDE - 1
    corners = np.argwhere(whole[::step, ::step]) @ np.array([step * width, step])
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
