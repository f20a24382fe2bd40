"""Hold a small scene in memory, instead of reading the same blocks of a file for each window."""

from functools import cache

import numpy as np

from geoae.errors import ReadError
from geoae.tiling.window import Read, Window
from geoae.types import Mask, Pixels

__all__ = ["hold", "is_light"]

# Bytes of the pixels and the masks of a scene that is held.
MOST = 1 << 26


def is_light(bands: int, height: int, width: int, dtype: str) -> bool:
    """Whether a scene is small enough to be held: 64 MiB of pixels and masks.

    Args:
        bands: bands of the scene.
        height: rows of the scene.
        width: columns of the scene.
        dtype: type of the pixels.

    """
    return bands * height * width * (np.dtype(dtype).itemsize + 1) <= MOST


def hold(read: Read, bands: int, height: int, width: int, dtype: str) -> Read:
    """Read a small scene whole with its first window, and cut all windows from it.

    GDAL decodes the blocks of a file anew for each window, since those of many bands hardly fit
    into its cache. A damaged scene is read window by window, so that the damage is told where it
    is.

    Args:
        read: gives the pixels and the mask of a window; called by one thread at a time.
        bands: bands of the scene.
        height: rows of the scene.
        width: columns of the scene.
        dtype: type of the pixels.

    Returns:
        What gives the same for windows inside the scene; ``read`` itself where the scene is large.

    """
    if not is_light(bands, height, width, dtype):
        return read

    @cache
    def read_whole() -> tuple[Pixels, Mask | None] | None:
        try:
            return read(Window(0, 0, height, width))
        except ReadError:
            return None

    def cut(window: Window) -> tuple[Pixels, Mask | None]:
        whole = read_whole() if window == window.clip(height, width) else None
        if whole is None:
            return read(window)
        pixels, mask = whole
        inside = (slice(None), *window.slices())
        valid = None if mask is None or mask[inside].all() else mask[inside].copy()
        return pixels[inside].copy(), valid

    return cut
