"""Contrast stretch for display: pixels in DN become 8 bits. It is never part of data."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from geoae.types import Floats, Mask, Pixels, Samples

__all__ = ["PERCENTILES", "WHITE", "Stretch", "to_bytes"]

# Percentiles of the valid pixels of a band that become black and white.
PERCENTILES = (1.0, 99.0)
WHITE = 255


@dataclass(frozen=True, slots=True)
class Stretch:
    """A linear stretch of each band."""

    low: tuple[float, ...]
    """Value in DN of each band that becomes black."""
    high: tuple[float, ...]
    """Value in DN of each band that becomes white."""

    @classmethod
    def fit(cls, samples: Samples) -> Self:
        """Fit the stretch to ``PERCENTILES`` of the valid pixels of each band.

        Args:
            samples: pixels in DN and mask, True = valid, ``(band, row, col)`` of each window.

        Returns:
            The stretch; from 0 to 1 for a band without any valid pixel.

        """
        ends = [
            _find_ends(np.concatenate([pixels[band][mask[band]] for pixels, mask in samples]))
            for band in range(len(samples[0][0]))
        ]
        low, high = zip(*ends, strict=True)
        return cls(low, high)

    @property
    def spans(self) -> Floats:
        """Difference of white and black in DN, 1 for a band of one value, ``(band, 1, 1)``."""
        spans = np.subtract(self.high, self.low)
        return np.where(spans > 0, spans, 1.0)[:, None, None]

    def to_units(self, pixels: Pixels) -> Floats:
        """Scale pixels in DN, ``(band, row, col)``, so that black is 0 and white is 1."""
        return (pixels - np.array(self.low)[:, None, None]) / self.spans

    def to_bytes(self, pixels: Pixels, valid: Mask) -> NDArray[np.uint8]:
        """Convert pixels to 8 bits, one band after the other to save memory.

        Args:
            pixels: ``(band, row, col)`` in DN.
            valid: ``(row, col)``, True where the pixel is shown.

        Returns:
            Bytes ``(band, row, col)``; white where not ``valid``.

        """
        image = np.empty(pixels.shape, np.uint8)
        for band, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            one = Stretch((low,), (high,)).to_units(pixels[band : band + 1])
            image[band] = to_bytes(one[0], valid)
        return image


def _find_ends(values: Pixels) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)


def to_bytes(units: Floats, valid: Mask) -> NDArray[np.uint8]:
    """Convert 0..1 to 8 bits; values beyond are clipped, NaN is black, invalid pixels are white.

    Args:
        units: values of any shape.
        valid: of a shape that broadcasts to it.

    """
    return (
        np.where(valid, np.clip(np.nan_to_num(units), 0, 1) * WHITE, WHITE).round().astype(np.uint8)
    )
