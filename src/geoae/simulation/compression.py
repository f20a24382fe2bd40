"""Lossy compression: what JPEG and JPEG 2000 leave of a scene."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from rasterio.io import MemoryFile

from geoae.simulation.parameters import PerBand, per_band, require
from geoae.system.warnings import SILENCE
from geoae.types import Floats

__all__ = ["Jpeg", "Jpeg2000"]


@dataclass(frozen=True, slots=True)
class Jpeg:
    """JPEG of 8 bits, band by band: ``low`` to ``high`` become 0 to 255 and are rounded.

    ITU-T T.81, through GDAL. Deterministic, so the variance is 0.
    """

    quality: int = 75
    """Quality of libjpeg, 1 to 100."""
    low: PerBand = 0.0
    """Value in DN that becomes 0, one for all bands or one for each."""
    high: PerBand = 255.0
    """Value in DN that becomes 255, one for all bands or one for each."""

    def __post_init__(self) -> None:
        require("quality", self.quality, 1 <= self.quality <= 100, "give 1 to 100")
        _check_limits(self.low, self.high)

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return ``pixels`` ``(band, row, col)`` after compression."""
        low, high = per_band("low", self.low, pixels), per_band("high", self.high, pixels)
        options = {"driver": "JPEG", "quality": self.quality}
        return _compress(pixels, low, high, np.uint8, options)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the compressed signal and a variance of 0: the result is not random."""
        return self(pixels, np.random.default_rng(0)), np.zeros(pixels.shape)


@dataclass(frozen=True, slots=True)
class Jpeg2000:
    """Lossy JPEG 2000 of 16 bits, band by band: ``low`` to ``high`` become 0 to 65535.

    ITU-T T.800 with the irreversible wavelet 9/7, through GDAL and OpenJPEG. Deterministic, so the
    variance is 0.
    """

    percent: float = 10.0
    """Size in percent of the pixels without compression, more than 0 and less than 100."""
    low: PerBand = 0.0
    """Value in DN that becomes 0, one for all bands or one for each."""
    high: PerBand = 65535.0
    """Value in DN that becomes 65535, one for all bands or one for each."""

    def __post_init__(self) -> None:
        require("percent", self.percent, 0 < self.percent < 100, "give more than 0, less than 100")
        _check_limits(self.low, self.high)

    def __call__(self, pixels: Floats, rng: np.random.Generator) -> Floats:
        """Return ``pixels`` ``(band, row, col)`` after compression."""
        low, high = per_band("low", self.low, pixels), per_band("high", self.high, pixels)
        # Small scenes have no room for six resolutions, GDAL's default.
        levels = int(np.log2(min(pixels.shape[1:]))) + 1
        options = {
            "driver": "JP2OpenJPEG",
            "quality": self.percent,
            "reversible": "no",
            "resolutions": min(levels, 6),
        }
        return _compress(pixels, low, high, np.uint16, options)

    def moments(self, pixels: Floats) -> tuple[Floats, Floats]:
        """Return the compressed signal and a variance of 0: the result is not random."""
        return self(pixels, np.random.default_rng(0)), np.zeros(pixels.shape)


def _check_limits(low: PerBand, high: PerBand) -> None:
    fits = np.all(np.asarray(low) < np.asarray(high))
    require("low", low, fits, f"give less than high = {high}")


def _compress(
    pixels: Floats, low: Floats, high: Floats, dtype: type[np.unsignedinteger[Any]], options: Any
) -> Floats:
    """Write and read each band; ``low`` and ``high`` broadcast over ``(band, row, col)``."""
    unit = (high - low) / np.iinfo(dtype).max
    levels = np.clip(np.rint((pixels - low) / unit), 0, np.iinfo(dtype).max).astype(dtype)
    height, width = pixels.shape[1:]
    shape = {"count": 1, "height": height, "width": width, "dtype": dtype}
    decoded = np.empty(pixels.shape)
    for band, source in enumerate(levels):
        with SILENCE, MemoryFile() as memory:
            with memory.open(**shape, **options) as file:
                file.write(source, 1)
            with rasterio.open(memory.name) as file:
                decoded[band] = file.read(1)
    return low + unit * decoded
