"""Read tiles ahead of the network, fill their holes, and map them to model units."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from array_api_compat import is_numpy_array
from numpy.typing import NDArray

from geoae.corrections.chain import NONE, Corrections
from geoae.radiometry.backscatter import hide_zeros
from geoae.radiometry.scale import Scale
from geoae.radiometry.speckle import Speckle
from geoae.radiometry.validity.fill import LOCAL, fill, local_mean
from geoae.tiling.plan import TilePlan
from geoae.tiling.window import Read
from geoae.types import DeviceArray

__all__ = ["STRIP", "Tile", "in_groups", "read_tile", "to_model"]

# Rows at a time that are brought to model units or back: on the host they fit its caches, on a
# device few kernels are started.
STRIP, DEVICE_STRIP = 64, 512

T = TypeVar("T")


@dataclass(eq=False, slots=True)
class Tile:
    """One tile of a scene."""

    row: int
    """Its row in the plan."""
    col: int
    """Its column in the plan."""
    pixels: NDArray[Any]
    """Pixels ``(band, H, W)`` in DN."""
    mask: NDArray[np.bool_] | None
    """Mask of that shape, True where valid; None where all pixels are."""
    empty: bool
    """Whether no pixel is valid."""
    signal: NDArray[Any] | None
    """The corrected pixels, or their logarithm, with holes filled and ``margin`` more on each side;
    None if empty or already mapped.
    """
    margin: int = 0
    """Pixels by which ``signal`` is larger on each side."""
    corrected: NDArray[Any] | None = None
    """The pixels after the corrections, of the same shape; None where there are none."""


def read_tile(
    read: Read,
    plan: TilePlan,
    scale: Scale,
    row: int,
    col: int,
    corrections: Corrections = NONE,
    speckle: Speckle | None = None,
) -> Tile:
    """Read one tile, correct it, and fill its holes.

    Holes are filled from valid pixels up to a halo away, which may lie outside the tile, so all
    tiles that contain a hole see the same filling.

    Args:
        read: reads a window of the scene.
        plan: tiles of the scene.
        scale: map from DN to model units.
        row: row of the tile.
        col: column of the tile.
        corrections: corrections of the scene.
        speckle: logarithm of the pixels, in which they are restored; None for none.

    Returns:
        The tile.

    """
    size, window = (plan.rows.size, plan.cols.size), plan.window(row, col)
    kind = None if speckle is None else speckle.kind
    read_both = corrections.wrap_both(hide_zeros(kind, read, *size), *size)
    if not scale.varies:  # then most tiles need no more than themselves
        pixels, signal, mask = read_both(window)
        corrected = None if signal is pixels else signal
        if mask is None:
            signal = signal if speckle is None else speckle.to_log(signal, None)
            return Tile(row, col, pixels, None, False, signal, 0, corrected)
        if not mask.any():
            return Tile(row, col, pixels, mask, True, None)
    apron = window.expand(plan.halo)
    wide, clean, wide_mask = read_both(apron)
    margin = LOCAL if scale.varies else 0
    inside, around = (
        (slice(None), *part.slices(apron.row, apron.col))
        for part in (window, window.expand(margin))
    )
    # Copies, or what lies around them would wait with them.
    corrected = None if clean is wide else clean[inside].copy()
    clean = clean if speckle is None else speckle.to_log(clean, wide_mask)
    if wide_mask is None:
        signal = clean[around].copy()
        pixels = _without(signal, margin) if clean is wide else wide[inside].copy()
        return Tile(row, col, pixels, None, False, signal, margin, corrected)
    pixels, mask = wide[inside].copy(), wide_mask[inside].copy()
    if not mask.any():
        return Tile(row, col, pixels, mask, True, None)
    signal = fill(clean, wide_mask, plan.halo, scale.offset)[around].copy()
    return Tile(row, col, pixels, mask, False, signal, margin, corrected)


def to_model(
    signal: DeviceArray,
    margin: int,
    scale: Scale,
    model: DeviceArray,
    level: DeviceArray | None,
) -> None:
    """Map the pixels of a tile to model units, strip by strip, to bound the memory.

    Args:
        signal: filled pixels ``(band, H + 2 margin, W + 2 margin)`` in DN.
        margin: pixels of ``signal`` beyond each side of the tile.
        scale: map from DN to model units.
        model: written: pixels ``(component, H, W)`` in model units.
        level: written: noise level ``(component, H, W)`` in model units; None where noise is
            constant over the scene.

    """
    strip = STRIP if is_numpy_array(signal) else DEVICE_STRIP
    for top in range(0, model.shape[1], strip):
        rows = slice(top, top + strip)
        around = signal[:, top : top + strip + 2 * margin, :]
        model[:, rows, :] = scale.to_model(_without(around, margin))
        if level is not None:
            mean = _without(local_mean(around), margin)
            level[:, rows, :] = scale.level(scale.variance(mean))


def _without(pixels: DeviceArray, margin: int) -> DeviceArray:
    """Cut ``margin`` off each side of ``pixels`` (band, H, W)."""
    height, width = pixels.shape[1:]
    return pixels[:, margin : height - margin, margin : width - margin]


def in_groups(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Yield lists of consecutive items.

    Args:
        items: any items.
        size: length of a list; the last may be shorter.

    """
    group: list[T] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
