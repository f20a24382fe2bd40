"""A block from the middle of a scene, and how its bands vary together along lines."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geoae.corrections.correction import Strip
from geoae.corrections.lines import Axis, SceneModel, local_variance, orient
from geoae.types import Array, Floats, Mask, Pixels

__all__ = ["SIDE", "Block", "fit_model", "least_step", "side_of_block"]

# Side of the block in pixels, smaller where there are many bands, for so many values at most; but
# not less than this.
SIDE, LEAST_SIDE = 512, 64
VALUES = 16 * SIDE * SIDE
# What is so small beside the middle local variance counts as this part of it.
LEAST_VARIANCE = 0.01
# Share of the places that are calm.
CALM = 0.05
# Differences of so many deviations count half.
EDGE = 2.0
NORMAL_MAD = 0.6745


@dataclass(eq=False)
class Block:
    """The middle of a scene, put together from its strips."""

    height: int
    width: int
    pixels: Pixels | None = None
    """DN ``(band, row, col)``; None before the first strip."""
    valid: Mask | None = None
    """Which pixels are valid and in the block."""
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))
    """Type of the scene's pixels, which those of the block may no longer have."""

    def add(self, strip: Strip) -> None:
        """Copy what a strip holds of the block."""
        bands = len(strip.pixels)
        side = side_of_block(bands)
        rows, cols = min(side, self.height), min(side, self.width)
        top, left = (self.height - rows) // 2, (self.width - cols) // 2
        if self.pixels is None or self.valid is None:
            self.dtype = strip.pixels.dtype
            self.pixels = np.zeros((bands, rows, cols), self.dtype)
            self.valid = np.zeros(self.pixels.shape, bool)
        first, stop = max(strip.row, top), min(strip.row + strip.pixels.shape[1], top + rows)
        if first >= stop:
            return
        source = (
            slice(None),
            slice(first - strip.row, stop - strip.row),
            slice(left, left + cols),
        )
        target = (slice(None), slice(first - top, stop - top))
        self.pixels[target] = strip.pixels[source]
        self.valid[target] = strip.valid[source]

    @property
    def row(self) -> int:
        """First row of the block in the scene."""
        return (self.height - self.values.shape[1]) // 2

    @property
    def col(self) -> int:
        """First column of the block in the scene."""
        return (self.width - self.values.shape[2]) // 2

    @property
    def values(self) -> Pixels:
        """The pixels, ``(band, row, col)``."""
        assert self.pixels is not None, "no strip has been added"
        return self.pixels

    @property
    def inside(self) -> Mask:
        """Which of them are valid, of the same shape."""
        assert self.valid is not None, "no strip has been added"
        return self.valid


def side_of_block(bands: int) -> int:
    """Return the side of the block of a large scene, in pixels."""
    return max(int(min(SIDE, np.sqrt(VALUES / bands))), LEAST_SIDE)


def fit_model(pixels: Pixels, valid: Mask, axis: Axis) -> SceneModel:
    """Fit how the bands vary together along lines.

    Args:
        pixels: DN ``(band, row, col)``, finite.
        valid: which of them count, of the same shape.
        axis: direction of the lines.

    Returns:
        The model; stripes along ``axis`` do not influence it.

    """
    values = orient(axis, pixels).astype(np.float64, order="C")
    usable = np.logical_and.reduce(orient(axis, valid), axis=0)
    both = usable[1:] & usable[:-1]
    along = np.diff(values, axis=1)[:, both]
    rotation = _rotation(along)
    steps = np.array([least_step(band) for band in along])
    components = (rotation @ values.reshape(len(values), -1)).astype(np.float32)
    pairs = usable[:, 1:] & usable[:, :-1]
    floor = np.empty(len(rotation))
    for index, component in enumerate(components.reshape(values.shape)):
        variance = local_variance(component)[pairs]
        usual = float(np.median(variance)) if variance.size else 0.0
        least = np.square(rotation[index] * steps).sum() / 4
        floor[index] = LEAST_VARIANCE * usual + least + 1e-30
    detail = np.array([_calm(band, usable) for band in values.astype(np.float32)])
    return SceneModel(rotation, floor, np.maximum(detail, steps))


def _calm(band: Array, usable: Mask) -> float:
    """Return the deviation of what neighbours along lines differ by in calm places."""
    variance = local_variance(band)[usable[:, 1:] & usable[:, :-1]]
    return float(np.sqrt(np.quantile(variance, CALM))) if variance.size else 0.0


def _rotation(along: Floats) -> Floats:
    """Return the rotation to independent components of differences ``(band, difference)``."""
    if not along.shape[1]:
        return np.eye(len(along))
    spread = np.median(np.abs(along), axis=1) / NORMAL_MAD
    spread = np.where(spread > 0, spread, along.std(axis=1))
    spread = np.where(spread > 0, spread, 1.0)
    scaled = along / spread[:, None]
    calm = 1 / (1 + np.square(scaled).mean(axis=0) / EDGE**2)
    covariance = (scaled * calm) @ scaled.T / calm.sum()
    _, vectors = np.linalg.eigh(covariance)
    rotation: Floats = vectors.T / spread
    return rotation


def least_step(differences: Floats) -> float:
    """Return the step of quantised values: a low quantile of the differences that are not 0."""
    found = np.abs(differences[differences != 0])
    return float(np.quantile(found, 0.01)) if found.size else 0.0
