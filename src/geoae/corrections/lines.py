"""Lines of a scene: their course, and how its bands vary along them."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoae.types import Array, Floats, Pixels

__all__ = ["Axis", "Direction", "SceneModel", "local_variance", "orient"]

Axis = Literal["column", "row"]

# Slope from which lines are tilted because the scene was resampled: that of one degree.
LEAST_TILT = 0.0175


@dataclass(frozen=True, slots=True)
class Direction:
    """The course of lines: along columns or rows, or tilted against them."""

    axis: Axis
    """Lines run down the columns, or along the rows."""
    slope: float = 0.0
    """Pixels across for one pixel along: the tangent of the tilt."""

    @property
    def reach(self) -> int:
        """Lines over which a stripe may spread.

        Tilted lines have been resampled, which can share each between two. Lines that are hardly
        tilted are as the detector read them.
        """
        return 2 if abs(self.slope) > LEAST_TILT else 1

    def shift(self, along: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
        """Return by how many pixels lines are displaced at positions ``along`` them."""
        return np.rint(self.slope * along).astype(np.intp)

    def first(self, length: int) -> int:
        """Return minus the number of the first line of a scene with lines of ``length`` px."""
        return max(int(self.shift(np.array([length - 1]))[0]), 0)

    def count(self, height: int, width: int) -> int:
        """Return how many lines a scene has."""
        across, along = (width, height) if self.axis == "column" else (height, width)
        return across + abs(int(self.shift(np.array([along - 1]))[0]))


def orient(axis: Axis, pixels: Pixels) -> Pixels:
    """Return a view of ``pixels`` (band, row, col) as ``(band, along, across)``."""
    return pixels if axis == "column" else pixels.transpose(0, 2, 1)


@dataclass(frozen=True, eq=False, slots=True)
class SceneModel:
    """How the bands of a scene vary together along lines, where stripes cannot show."""

    rotation: Floats
    """Rotation to components that vary independently, each with a variance of about one,
    ``(component, band)``.
    """
    floor: Floats
    """Least local variance of each component, ``(component,)``."""
    detail: Floats
    """Deviation of what neighbours along lines differ by in calm places, and no less than the step
    of quantised values, in DN, ``(band,)``.
    """

    @property
    def back(self) -> Floats:
        """Rotation from components to bands in DN, ``(band, component)``."""
        return np.linalg.inv(self.rotation).astype(np.float64)


def local_variance(component: Array) -> Array:
    """Return half the mean squared difference along lines around each pair of neighbouring lines.

    Args:
        component: ``(..., along, across)``, two or more along.

    Returns:
        Local variance ``(..., along, across - 1)``. Stripes do not show in it.

    """
    squared = component[..., 1:, :] - component[..., :-1, :]
    np.square(squared, out=squared)
    pairs = squared[..., 1:] + squared[..., :-1]
    # Each pixel has two differences, at an end of the block one; three pixels count.
    around = np.empty((*pairs.shape[:-2], component.shape[-2], pairs.shape[-1]), pairs.dtype)
    np.add(pairs[..., 1:, :], pairs[..., :-1, :], out=around[..., 1:-1, :])
    around[..., 0, :], around[..., -1, :] = 2 * pairs[..., 0, :], 2 * pairs[..., -1, :]
    smooth: Array = around.copy()
    smooth[..., 1:, :] += around[..., :-1, :]
    smooth[..., :-1, :] += around[..., 1:, :]
    smooth[..., 0, :] += around[..., 0, :]
    smooth[..., -1, :] += around[..., -1, :]
    smooth *= np.float32(1 / 24)
    return smooth
