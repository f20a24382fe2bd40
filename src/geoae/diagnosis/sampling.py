"""One bounded, deterministic sample of windows of a scene."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoae.tiling.window import FEW, Read, grids, windows

__all__ = ["Samples", "enough", "sample"]

Samples = list[tuple[NDArray[Any], NDArray[np.bool_]]]


def sample(read: Read, height: int, width: int) -> Samples:
    """Pixels and mask ``(band, row, col)`` of the windows from which all facts are drawn."""
    found: Samples = []
    for grid in grids():
        found = []
        for window in windows(height, width, *grid):
            pixels, mask = read(window)
            found.append((pixels, np.ones(pixels.shape, dtype=bool) if mask is None else mask))
        if enough(found):
            break
    return found


def enough(samples: Samples) -> bool:
    """Whether a sample holds valid pixels worth measuring."""
    return sum(int(mask.any(axis=0).sum()) for _, mask in samples) >= FEW
