"""What is done to tiles: read them ahead of the network, map them to model units, and subtract what
it finds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from array_api_compat import is_numpy_array
from numpy.typing import NDArray

from geoae.corrections.chain import NONE, Corrections
from geoae.models.restorer import Identity, Restorer
from geoae.radiometry.backscatter import hide_zeros
from geoae.radiometry.scale import Scale
from geoae.radiometry.speckle import Speckle
from geoae.radiometry.subtract import subtract
from geoae.radiometry.validity.fill import LOCAL, fill, local_mean
from geoae.tiling.plan import TilePlan
from geoae.tiling.window import Read
from geoae.types import DeviceArray, Mask, Nodata

__all__ = [
    "STRIP",
    "Native",
    "Tile",
    "Work",
    "in_groups",
    "read_tile",
    "subtract_strips",
    "to_model",
]

# Rows at a time that are brought to model units or back: on the host they fit its caches, on a
# device few kernels are started.
STRIP, DEVICE_STRIP = 64, 512

# Values that the components of the tiles of a batch have at most, where the network gets few of
# them: 2 GiB of float32.
MOST_VALUES = 1 << 29

T = TypeVar("T")
# Gives the residual ``(band, row, col)`` in DN of some rows of what a tile completes.
Native = Callable[[slice], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Work:
    """All that a slab needs besides its pixels."""

    plan: TilePlan
    """Tiles of the scene."""
    scale: Scale
    """Map from DN to model units."""
    restorer: Restorer
    """The model."""
    nodata: Sequence[Nodata]
    """Nodata values of each band in DN."""
    ramp: str = "smooth"
    """Shape of the blend: key of ``RAMPS``."""
    corrections: Corrections = NONE
    """Corrections that are applied before the network."""
    speckle: Speckle | None = None
    """Logarithm of the corrected pixels, in which the network restores them; None for none."""

    @cached_property
    def placed(self) -> Scale:
        """The map for arrays that lie where the model computes."""
        return self.scale.place(self.restorer.place)

    @property
    def groups(self) -> int:
        """Samples that the network gets for one tile."""
        return len(self.scale.sigma) // self.restorer.channels

    @property
    def tiles_per_batch(self) -> int:
        """Tiles of which the groups that the restorer gets fill one call, as far as memory goes."""
        side = self.plan.rows.tile, self.plan.cols.tile
        used = max(1, int(self.signal_groups.sum()))
        most = MOST_VALUES // max(1, len(self.scale.sigma) * side[0] * side[1])
        return max(1, min(self.restorer.batch(*side) // used, most))

    @property
    def signal_groups(self) -> Mask:
        """Which groups of components the network gets, ``(group,)``: those that hold signal."""
        signal = self.scale.signal
        if signal is None or isinstance(self.restorer, Identity):
            return np.ones(self.groups, bool)
        holds: Mask = np.logical_or.reduce(signal.reshape(self.groups, -1), axis=1)
        return holds


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


def subtract_strips(
    tile: Tile,
    inside: tuple[slice, ...],
    residual: Native,
    nodata: Sequence[Nodata],
    speckle: Speckle | None,
) -> NDArray[Any]:
    """Subtract corrections and a residual from pixels of a tile, strip by strip.

    Args:
        tile: a tile with a valid pixel.
        inside: which of its pixels, as an index of ``(band, row, col)``.
        residual: gives the residual of rows of these pixels.
        nodata: nodata values of each band in DN.
        speckle: logarithm in which the residual was found; None for none.

    Returns:
        Restored pixels ``(band, row, col)`` in DN, in the type of the scene.

    """
    pixels = tile.pixels[inside]
    mask = None if tile.mask is None else tile.mask[inside]
    corrected = None if tile.corrected is None else tile.corrected[inside]
    restored = np.empty_like(pixels)
    for top in range(0, pixels.shape[1], STRIP):
        rows = slice(top, top + STRIP)
        native = residual(rows)
        if speckle is not None:
            clean = pixels if corrected is None else corrected
            holes = None if mask is None else mask[:, rows]
            native = speckle.from_residual(clean[:, rows], native, holes)
        if corrected is not None:
            native = native + _removed(pixels[:, rows], corrected[:, rows])
        for band, hole in enumerate(nodata):
            valid = None if mask is None else mask[band, rows]
            restored[band, rows] = subtract(pixels[band, rows], native[band], valid, hole)
    return restored


def _removed(pixels: NDArray[Any], corrected: NDArray[Any]) -> NDArray[np.float32]:
    """What corrections take from pixels ``(band, H, W)`` in DN; 0 where these are not finite."""
    with np.errstate(invalid="ignore"):  # invalid pixels may be infinite
        removed = np.subtract(pixels, corrected, dtype=corrected.dtype)
    return np.where(np.isfinite(removed), removed, 0).astype(np.float32)


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
