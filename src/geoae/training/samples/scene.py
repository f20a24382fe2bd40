"""Clean scenes in memory, from which training draws its chips."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoae.errors import InputError, TrainingError
from geoae.raster.scene import Scene
from geoae.tiling.window import Window

__all__ = ["TrainingScene"]

GREYS = 255


@dataclass(frozen=True, eq=False)
class TrainingScene:
    """One clean scene with its statistics over valid pixels.

    All values are grey levels: 255ths of the range from a band's 0.5th to its 99.5th percentile,
    from the 0.5th on, as if the scene were 8-bit. So the parameters of degradations mean the same
    in every scene.
    """

    pixels: NDArray[np.float32]
    """Pixels ``(band, row, col)``; invalid ones hold the mean of their band."""
    valid: NDArray[np.bool_]
    """``(row, col)``, True where all bands are valid."""
    mean: NDArray[np.float64]
    """Mean, ``(band,)``."""
    covariance: NDArray[np.float64]
    """Covariance, ``(band, band)``."""

    @classmethod
    def from_pixels(cls, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> Self:
        """Convert a scene to grey levels, and compute its statistics.

        Args:
            pixels: ``(band, row, col)`` in DN, or in any unit that is linear in it.
            valid: ``(row, col)``, True where all bands are valid.

        """
        values = pixels[:, valid].astype(np.float64)
        low, high = np.percentile(values, [0.5, 99.5], axis=1)
        unit = np.where(high > low, high - low, 1.0) / GREYS
        values = (values - low[:, None]) / unit[:, None]
        mean = values.mean(axis=1)
        greys = np.broadcast_to(mean[:, None, None], pixels.shape).astype(np.float32)
        greys[:, valid] = values
        return cls(greys, valid, mean, np.atleast_2d(np.cov(values)))

    @classmethod
    def read(cls, path: Path, size: int) -> Self:
        """Read the measured bands of a raster.

        Args:
            path: raster to read.
            size: side of the chips in pixels, for which the scene must have room.

        Raises:
            TrainingError: the raster cannot be read, has no measured band, or is too small.

        """
        try:
            scene = Scene.open(str(path))
            if not scene.bands:
                raise TrainingError(f"{path}: has no measured band; leave it out of the config")
            with scene.reader() as reader:
                given, mask = reader.read(Window(0, 0, scene.height, scene.width))
        except InputError as error:
            raise TrainingError(f"{error}; leave it out of the config") from error
        pixels = given.astype(np.float32)
        valid: NDArray[np.bool_] = np.all(
            np.ones(pixels.shape, bool) if mask is None else mask, axis=0
        )
        # Collars of zeros that no mask declares are flat: nothing to learn there.
        valid &= ~(pixels == 0).all(axis=0)
        if min(pixels.shape[1:]) < size or valid.sum() < size * size:
            raise TrainingError(
                f"{path}: too small for chips of {size} px; leave it out or ask for smaller chips"
            )
        return cls.from_pixels(pixels, valid)

    def can_be_halved(self, size: int) -> bool:
        """Whether the scene at half its resolution still has room for chips of ``size`` px."""
        return min(self.valid.shape) >= 2 * size and bool(_halved_mask(self.valid).any())

    def halve(self) -> "TrainingScene":
        """Average blocks of 2 x 2 pixels: half the scene's own noise, and new texture."""
        bands, height, width = self.pixels.shape
        even = self.pixels[:, : height // 2 * 2, : width // 2 * 2]
        means = even.reshape(bands, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
        return self.from_pixels(means, _halved_mask(self.valid))


def _halved_mask(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    height, width = (length // 2 for length in valid.shape)
    blocks = valid[: height * 2, : width * 2].reshape(height, 2, width, 2)
    return np.all(blocks, axis=(1, 3))
