"""Dead pixels: scattered single pixels of one value."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from geoae.types import Floats, Mask, Pixels

__all__ = ["DeadPixels", "find_dead_pixels"]

# So many at least, of which this part may touch another, with so many pixels of nearby values for
# each.
FEWEST, CLUSTERED, NEARBY = 8, 0.1, 0.1
# More than this part of a band are no faults.
MOST = 0.05
# Spikes differ from all neighbours by so many robust deviations. This part of the pixels of their
# value must be spikes, and so many times as many as of any of the next values.
FAR, SPIKES, TIMES, NEXT = 1.0, 0.4, 3, 4
# Dead pixels are found by this part of that distance.
WIDER = 0.5
# Part of the spikes that may show in another band.
SHARED = 0.2
# A pixel with more than so many neighbours of its value, of eight, is none of the single ones where
# the value also fills areas; with so many it is within an area.
SINGLE, WITHIN = 1, 6


@dataclass(frozen=True, slots=True)
class DeadPixels:
    """How to tell the dead pixels of a band."""

    value: float
    """Their value in DN."""
    least: float
    """How far all neighbours are from it at least, in DN; 0 where no other pixel has the value."""
    single: bool = False
    """Whether the value also fills areas, as outside a swath; only single pixels are dead then."""

    def find(self, pixels: Pixels, usable: Mask) -> Mask:
        """Find dead pixels.

        Args:
            pixels: DN of the band, ``(row, col)``.
            usable: which of them are valid and in no lost line.

        Returns:
            True where a pixel is dead, of the same shape.

        """
        dead = usable & (pixels == self.value)
        if self.single:
            dead &= _count_beside(dead) <= SINGLE
        if self.least and dead.any():
            dead &= _is_spike(pixels, usable & ~dead, self.least)
        return dead


def find_dead_pixels(pixels: Pixels, usable: Mask, deviation: Floats) -> list[DeadPixels | None]:
    """Find how to tell the dead pixels of each band of a block.

    Dead pixels lie scattered, have one value, and either no other pixel has a value near it, or
    other bands have nothing there. Shadows, glints and saturated places lie in clusters, have
    values near theirs, and show in all bands. Ground outside a swath may have the value too, but is
    one area.

    Args:
        pixels: DN ``(band, row, col)``.
        usable: which of them are valid and in no lost line, of the same shape.
        deviation: robust deviation of differences of neighbouring pixels in DN, ``(band,)``.

    Returns:
        For each band, None where it has none.

    """
    found: list[DeadPixels | None] = []
    for band, far in enumerate(deviation):
        dead = _lone_extreme(pixels, usable, band, float(far))
        found.append(dead or _repeated_spike(pixels, usable, band, FAR * deviation))
    return found


def _lone_extreme(pixels: Pixels, usable: Mask, band: int, gap: float) -> DeadPixels | None:
    """Return the lowest or the highest value of a band, where its pixels are scattered and none is
    near.
    """
    values = pixels[band][usable[band]]
    if gap <= 0 or values.size < FEWEST / MOST:
        return None
    for value in (values.min(), values.max()):
        hit = usable[band] & (pixels[band] == value)
        near = int((np.abs(values - float(value)) <= gap).sum()) - int(hit.sum())
        areas = _find_areas(hit)
        rest = hit & ~areas
        number = int(rest.sum())
        few = FEWEST <= number < MOST * values.size and near <= NEARBY * number
        if few and (rest & np.logical_or.reduce(_beside(rest, False))).sum() <= CLUSTERED * number:
            single = bool(areas.any())
            # A value that also stands for no measurement may do so at single pixels of all bands.
            others = (np.delete(pixels, band, axis=0)[:, rest] == value).mean(axis=1)
            if not (single and (others > SHARED).any()):
                return DeadPixels(float(value), 0.0, single)
    return None


def _find_areas(hit: Mask) -> Mask:
    """Which of some pixels are in areas, and not single: connected to one that is surrounded."""
    within = hit & (_count_beside(hit) >= WITHIN)
    if not within.any():
        return within
    areas: Mask = ndimage.binary_propagation(within, np.ones((3, 3), bool), hit)
    return areas


def _count_beside(hit: Mask) -> Pixels:
    """Count the neighbours of each pixel, of eight, that are hit."""
    around: Pixels = ndimage.convolve(
        hit.astype(np.uint8), np.ones((3, 3), np.uint8), mode="constant"
    )
    return around - hit


def _repeated_spike(pixels: Pixels, usable: Mask, band: int, far: Floats) -> DeadPixels | None:
    """Return the value that most spikes of a band have, where other bands have no spike."""
    if len(pixels) == 1 or far[band] <= 0:
        return None
    spikes = usable[band] & _is_spike(pixels[band], usable[band], far[band])
    values, counts = np.unique(pixels[band][spikes], return_counts=True)
    for best in np.argsort(counts)[::-1][:NEXT]:
        beside = np.delete(counts[max(best - NEXT, 0) : best + NEXT + 1], min(best, NEXT))
        hit = usable[band] & (pixels[band] == values[best])
        needed = max(FEWEST, SPIKES * np.count_nonzero(hit), TIMES * beside.max(initial=0))
        if counts[best] >= needed and not _is_shared(pixels, usable, band, hit & spikes, far):
            return DeadPixels(float(values[best]), float(WIDER * far[band]))
    return None


def _is_shared(pixels: Pixels, usable: Mask, band: int, places: Mask, far: Floats) -> bool:
    """Whether another band has spikes in the same ``places``."""
    for other in range(len(pixels)):
        there = places & usable[other]
        if other != band and far[other] > 0 and there.any():
            too = _is_spike(pixels[other], usable[other], far[other])
            if (too & there).sum() > SHARED * there.sum():
                return True
    return False


def _is_spike(pixels: Pixels, usable: Mask, far: float) -> Mask:
    """Whether all usable neighbours of a pixel are lower, or all higher, by more than ``far``."""
    values = pixels.astype(np.float64)
    neighbours = list(zip(_beside(values, 0.0), _beside(usable, False), strict=True))
    lower = np.logical_and.reduce([(values - some > far) | ~there for some, there in neighbours])
    higher = np.logical_and.reduce([(some - values > far) | ~there for some, there in neighbours])
    found: Mask = lower ^ higher
    return found


def _beside(values: Pixels, outside: float | bool) -> list[Pixels]:
    """Return the upper, lower, left and right neighbour of each pixel ``(row, col)``."""
    padded = np.pad(values, 1, constant_values=outside)
    return [padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]]
