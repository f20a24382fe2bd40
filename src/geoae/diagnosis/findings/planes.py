"""The pixels of one band of a look, in pieces that detectors can compute with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geoae.diagnosis.finding import Look
from geoae.diagnosis.spread import pick_evenly
from geoae.tiling.window import SIDE
from geoae.types import Floats, Mask, Samples

__all__ = ["Piece", "Plane", "cut_planes", "cut_samples"]

# Pieces of all bands together; a band keeps at least a few, however many bands there are.
MOST_PIECES, LEAST_PIECES = 400, 4


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """A part of a window of one band."""

    values: Floats
    """Pixels over the ``scale`` of the plane, ``(row, col)``; 0 where they are invalid."""
    valid: Mask
    """True where a pixel is valid and finite, ``(row, col)``."""


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """One band of a look."""

    index: int
    """Index of the band in the look."""
    band: int
    """Number of the band in its file, from 1 on."""
    pieces: tuple[Piece, ...]
    """Parts of the windows, of 192 x 192 px at most."""
    scale: float
    """DN of a value of 1: the largest absolute value, so that no square overflows."""

    @property
    def values(self) -> Floats:
        """All valid pixels over ``scale``, ``(pixel,)``."""
        found = [piece.values[piece.valid] for piece in self.pieces]
        return np.concatenate(found) if found else np.zeros(0)


def cut_planes(look: Look) -> Iterator[Plane]:
    """Cut the windows of each band into pieces of 192 x 192 px at most.

    Of many bands only a part of the windows is used, evenly spread, so that the cost stays bounded.

    Args:
        look: the sample.

    Yields:
        One plane for each band, in the order of the look. A band without a valid pixel has none.

    """
    return cut_samples(look.samples, look.bands)


def cut_samples(samples: Samples, bands: Sequence[int]) -> Iterator[Plane]:
    """Cut the windows of each band of a sample as ``cut_planes`` does.

    Args:
        samples: pairs of pixels and mask, True = valid, ``(band, row, col)``.
        bands: numbers of the bands, from 1 on.

    """
    inside = _cut(samples)
    for index, band in enumerate(bands):
        parts = [(w, where) for w, where in inside if samples[w][1][index][where].any()]
        most = max(MOST_PIECES // len(bands), LEAST_PIECES)
        step = max(len(parts) / most, 1.0)
        chosen = [parts[at] for at in pick_evenly(len(parts), step)]
        plane = _normalise(samples, index, band, chosen)
        if plane is not None:
            yield plane


def _cut(samples: Samples) -> list[tuple[int, tuple[slice, slice]]]:
    """Window, and rows and columns of each piece."""
    return [
        (number, (rows, cols))
        for number, (pixels, _) in enumerate(samples)
        for rows in _split(pixels.shape[1])
        for cols in _split(pixels.shape[2])
    ]


def _split(length: int) -> list[slice]:
    """Parts of nearly the same length."""
    ends = np.linspace(0, length, max(-(-length // SIDE), 1) + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def _normalise(
    samples: Samples, index: int, band: int, chosen: list[tuple[int, tuple[slice, slice]]]
) -> Plane | None:
    """Divide the pixels of one band by the largest; None without a valid one."""
    raw = [
        (samples[w][0][index][where].astype(np.float64), samples[w][1][index][where])
        for w, where in chosen
    ]
    valid = [mask & np.isfinite(pixels) for pixels, mask in raw]
    largest = [np.abs(p[v]).max() for (p, _), v in zip(raw, valid, strict=True) if v.any()]
    if not largest:
        return None
    scale = float(max(largest)) or 1.0
    pieces = tuple(
        Piece(np.where(v, p, 0.0) / scale, v) for (p, _), v in zip(raw, valid, strict=True)
    )
    return Plane(index, band, pieces, scale)
