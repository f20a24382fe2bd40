"""Sample windows of a scene; the sample is bounded and deterministic."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoae.tiling.window import FEW, Read, grids, windows

__all__ = ["Samples", "enough", "sample"]

Samples = list[tuple[NDArray[Any], NDArray[np.bool_]]]


def sample(read: Read, height: int, width: int) -> Samples:
    """Read the windows from which all statistics of a scene are computed.

    Args:
        read: reads a window of the scene.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        Pixels in DN and mask of each window, ``(band, row, col)``.

    """
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
    """Whether a sample holds enough valid pixels for statistics."""
    return sum(int(mask.any(axis=0).sum()) for _, mask in samples) >= FEW
