"""Values that fill a scene where nothing was measured: declared, given by a user, or suspected.

A suspected value is only reported. It counts as nodata only if the file or a user says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoae.errors import InputError
from geoae.tiling.window import Window
from geoae.types import Mask, Nodata, Pixels, Samples

__all__ = [
    "LARGEST",
    "FillValue",
    "can_hold",
    "combine_nodata",
    "find_fill",
    "is_measured",
    "is_plausible",
    "nodata_values",
    "read_border",
    "refuse_foreign_fill",
]

# Largest value in DN that can be a measurement: fill values like 1e20 are beyond, and squares of
# larger ones need not fit into float32.
LARGEST = 1e15

# Least share of the scene, or of its outermost rows and columns, that is reported, and least number
# of pixels.
OF_SCENE, OF_BORDER, LEAST = 0.05, 0.2, 32
# Fill lies in areas: at least this share of its pixels have a right neighbour of the same value.
TOGETHER = 0.9
# Fill lies apart from measurements: within this part (NEAR) of their standard deviation from the
# value there are at most this many (BESIDE) times as many other pixels as pixels of fill.
BESIDE, NEAR = 0.1, 0.05
# Side of the windows that look at the border, in pixels.
SIDE = 64
# Bands that are searched for values close to fill: hundreds of them would take gigabytes.
FEW_BANDS = 4

# No measurement is beyond this in any unit: larger values are undeclared nodata, and float32 would
# overflow.
BEYOND = 1e30


def is_plausible(pixels: Pixels) -> Mask:
    """Which of ``pixels`` may be measurements: not NaN, and small enough for float32 arithmetic."""
    return (
        np.abs(pixels) <= BEYOND if pixels.dtype.kind == "f" else np.ones(pixels.shape, dtype=bool)
    )


def is_measured(pixels: Pixels, nodata: Nodata) -> Mask:
    """Which pixels are measurements.

    Args:
        pixels: pixels of any shape in DN.
        nodata: values that mark pixels without a measurement.

    Returns:
        Mask of the shape of ``pixels``.

    """
    mask = is_plausible(pixels)
    for value in nodata_values(nodata):
        mask &= pixels != value
    return mask


def can_hold(dtype: str, value: float | int) -> bool:
    """Whether a pixel can have a value, to the precision of its type.

    Args:
        dtype: type of the pixel.
        value: the value.

    """
    kind = np.dtype(dtype)
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return bool(np.isfinite(kind.type(value)))
    return value == int(value) and np.iinfo(kind).min <= value <= np.iinfo(kind).max


def nodata_values(nodata: Nodata) -> tuple[float | int, ...]:
    """Return the values of ``nodata`` that a pixel can equal, which excludes NaN."""
    given = nodata if isinstance(nodata, tuple) else () if nodata is None else (nodata,)
    return tuple(value for value in given if not np.isnan(value))


@dataclass(frozen=True, slots=True)
class FillValue:
    """A value that looks like fill."""

    value: float | int
    """The value in DN, the same in all bands."""
    share: float
    """Its share of the sampled pixels of ``place``."""
    place: str
    """The scene, or its border."""

    def note(self, source: str) -> str:
        """Return one line about it for the user who restores ``source``."""
        return (
            f"{source}: {self.value:.15g} fills {self.share:.0%} of {self.place} and is restored"
            " like a measurement; if it stands for pixels that were not measured, give --nodata"
            f" {self.value:.15g}"
        )


def combine_nodata(declared: float | int | None, fill: float | int | None) -> Nodata:
    """Combine the nodata values of a band.

    Args:
        declared: the value that the file declares, or None.
        fill: the value that the user gives, or None.

    Returns:
        The value, both values where they differ, or None.

    """
    if declared is None or fill is None or declared == fill:
        return declared if fill is None else fill
    return (declared, fill)


def refuse_foreign_fill(source: str, dtype: str, fill: float | int | None) -> None:
    """Raise ``InputError`` for a value that no pixel can have.

    Args:
        source: name of the scene, for the message.
        dtype: type of the pixels.
        fill: the nodata value that the user gives, or None.

    Raises:
        InputError: ``dtype`` cannot hold ``fill``.

    """
    if fill is not None and not can_hold(dtype, fill):
        raise InputError(f"{source}: pixels of {dtype} cannot be {fill}; correct --nodata")


def read_border(
    read: Callable[[Window], tuple[Pixels, Mask | None]], height: int, width: int
) -> Samples:
    """Read the parts of the outermost rows and columns at the corners and the middles of the sides.

    Args:
        read: reads a window of the scene.
        height: rows of the scene.
        width: columns of the scene.

    Returns:
        For each part pixels ``(band, row, col)`` and their mask, True where valid.

    """
    rows, cols = (min(SIDE, size) for size in (height, width))
    tops = (0, (height - rows) // 2, height - rows)
    lefts = (0, (width - cols) // 2, width - cols)
    found = []
    for top in dict.fromkeys(tops):
        for left in dict.fromkeys(lefts):
            for window in _edges(Window(top, left, rows, cols), height, width):
                pixels, mask = read(window)
                found.append((pixels, np.ones(pixels.shape, dtype=bool) if mask is None else mask))
    return found


def _edges(window: Window, height: int, width: int) -> list[Window]:
    """Return the rows and columns of ``window`` that are outermost in the scene."""
    top, left, rows, cols = window.row, window.col, window.height, window.width
    lines = [Window(row, left, 1, cols) for row in {0, height - 1} if top <= row < top + rows]
    return lines + [
        Window(top, col, rows, 1) for col in {0, width - 1} if left <= col < left + cols
    ]


def find_fill(samples: Samples, edges: Samples) -> FillValue | None:
    """Find a value that fills much of a scene or of its border, and is far from all other values.

    Args:
        samples: pixels ``(band, row, col)`` of windows all over the scene with their masks, True
            where valid.
        edges: the same of its outermost rows and columns; empty where they are not looked at.

    Returns:
        The value, or None where there is none.

    """
    for places, place, least in (
        (samples, "the scene", OF_SCENE),
        (edges, "its border", OF_BORDER),
    ):
        if not places:
            continue
        value, share = _most_frequent(places)
        if share >= least and _is_apart(value, [*samples, *edges]):
            return FillValue(value.item(), share, place)
    return None


def _most_frequent(samples: Samples) -> tuple[Any, float]:
    """Return the value that most pixels have in all bands, and their share of the pixels."""
    alike = [pixels[0][_alike(pixels, mask)] for pixels, mask in samples]
    values, counts = np.unique(np.concatenate(alike), return_counts=True)
    if not counts.size or counts.max() < LEAST:
        return None, 0.0
    most = counts.argmax()
    return values[most], float(counts[most] / sum(mask[0].size for _, mask in samples))


def _alike(pixels: Pixels, mask: Mask) -> Mask:
    """Return where all bands are valid and have the same value, ``(row, col)``."""
    alike: Mask = mask.all(axis=0) & (pixels == pixels[:1]).all(axis=0)
    return alike


def _is_apart(value: Any, samples: Samples) -> bool:
    """Whether pixels of ``value`` are contiguous, and few other pixels are close to it in DN."""
    filled = [_alike(pixels, mask) & (pixels[0] == value) for pixels, mask in samples]
    pairs = sum(int((there[:, :-1] & there[:, 1:]).sum()) for there in filled)
    inner = sum(int(there[:, :-1].sum()) for there in filled)
    windows = zip(samples, filled, strict=True)
    others = [pixels[:FEW_BANDS, mask.all(axis=0) & ~there] for (pixels, mask), there in windows]
    rest = np.concatenate(others, axis=1).astype(np.float64)
    if not rest.size or pairs < TOGETHER * inner:
        return False
    step = 1.0 if samples[0][0].dtype.kind in "iu" else 0.0
    reach = np.maximum(NEAR * rest.std(axis=1, keepdims=True), step)
    near = int((np.abs(rest - float(value)) <= reach).all(axis=0).sum())
    return near <= BESIDE * sum(int(there.sum()) for there in filled)
