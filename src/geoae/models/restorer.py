"""The interface between engine and model, a model that changes nothing, and self-ensembling."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from geoae.radiometry.spectrum import transpose
from geoae.types import Array

__all__ = ["Identity", "Restorer", "SelfEnsemble"]


class Restorer(Protocol):
    """A model as the engine sees it: from an array to an array."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def digest(self) -> str:
        """Digest of the weights."""
        ...

    @property
    def channels(self) -> int:
        """Components that one sample holds."""
        ...

    @property
    def shares_gain(self) -> bool:
        """Whether these components have one gain; otherwise each has its own."""
        ...

    @property
    def multiple(self) -> int:
        """Divisor of tile sides and of the distance between tiles."""
        ...

    @property
    def halo(self) -> int:
        """Distance in pixels up to which an input changes an output."""
        ...

    @property
    def tile(self) -> int:
        """Largest tile side in pixels, where the user gives none."""
        ...

    @property
    def setting(self) -> str:
        """Device type, precision, runtime and batch size, for the report."""
        ...

    @property
    def takes_spectrum(self) -> bool:
        """Whether the model uses the shape of the noise's spectrum; others ignore it."""
        ...

    def batch(self, height: int, width: int) -> int:
        """Return how many samples to give in one call.

        Args:
            height: height of a sample in pixels.
            width: width of a sample in pixels.

        """
        ...

    def __call__(self, pixels: Array, sigma: Array, shape: Array | None = None) -> Array:
        """Predict the noise.

        Args:
            pixels: ``(B, C, H, W)`` in model units.
            sigma: standard deviation of the noise in model units, ``(B, C)`` or ``(B, C, H, W)``.
            shape: shape of the noise's spectrum ``(B, C, 9)``, as ``geoae.radiometry.spectrum``
                describes it; None for white noise.

        Returns:
            Residual ``(B, C, H, W)`` in model units.

        """
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """A model that finds no noise: output equals input, bit for bit. For tests of the pipeline."""

    name: str = "identity"
    """Name of the model."""
    digest: str = "identity"
    """In place of a digest of weights."""
    channels: int = 1
    """Components that one sample holds."""
    shares_gain: bool = True
    """Whether these components have one gain."""
    multiple: int = 8
    """Divisor of tile sides."""
    halo: int = 8
    """Declared halo in pixels."""
    tile: int = 768
    """Largest tile side in pixels."""
    setting: str = "numpy"
    """Runtime, for the report."""
    takes_spectrum: bool = False
    """No: there is nothing to compute."""

    def batch(self, height: int, width: int) -> int:
        """Return 1: batches bring nothing here.

        Args:
            height: height of a sample in pixels.
            width: width of a sample in pixels.

        """
        return 1

    def __call__(self, pixels: Array, sigma: Array, shape: Array | None = None) -> Array:
        """Return zeros in the shape of ``pixels``."""
        return np.zeros_like(pixels)


@dataclass(frozen=True, slots=True)
class SelfEnsemble:
    """Mean over the eight rotations and flips of a tile, at eight times the cost.

    Timofte, Rothe and Van Gool, "Seven ways to improve example-based single image super
    resolution", CVPR 2016.
    """

    restorer: Restorer
    """The model that is called eight times."""

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.restorer.name

    @property
    def digest(self) -> str:
        """Digest of the weights, marked as self-ensemble."""
        return f"{self.restorer.digest}+tta"

    @property
    def channels(self) -> int:
        """Those of the model."""
        return self.restorer.channels

    @property
    def shares_gain(self) -> bool:
        """Whether these components have one gain."""
        return self.restorer.shares_gain

    @property
    def multiple(self) -> int:
        """That of the model."""
        return self.restorer.multiple

    @property
    def halo(self) -> int:
        """That of the model, which is measured in all directions."""
        return self.restorer.halo

    @property
    def tile(self) -> int:
        """That of the model."""
        return self.restorer.tile

    @property
    def setting(self) -> str:
        """That of the model, marked as self-ensemble."""
        return f"{self.restorer.setting} tta"

    @property
    def takes_spectrum(self) -> bool:
        """That of the model."""
        return self.restorer.takes_spectrum

    def batch(self, height: int, width: int) -> int:
        """Return how many samples to give in one call, as the model does.

        Args:
            height: height of a sample in pixels.
            width: width of a sample in pixels.

        """
        return self.restorer.batch(height, width)

    def __call__(self, pixels: Array, sigma: Array, shape: Array | None = None) -> Array:
        """Return the mean residual, in the shape of ``pixels``."""
        total = np.zeros_like(pixels)
        for quarter in range(4):
            for flip in (False, True):
                level = sigma if sigma.ndim == 2 else _turn(sigma, quarter, flip)
                told = shape if shape is None or quarter % 2 == 0 else transpose(shape)
                residual = self.restorer(_turn(pixels, quarter, flip), level, told)
                residual = residual[..., ::-1] if flip else residual
                total += np.rot90(residual, -quarter, axes=(2, 3))
        return total / np.float32(8)


def _turn(pixels: Array, quarter: int, flip: bool) -> Array:
    """Rotate ``pixels`` (B, C, H, W) by ``quarter`` quarter turns, then flip them left to right."""
    turned = np.rot90(pixels, quarter, axes=(2, 3))
    return np.ascontiguousarray(turned[..., ::-1] if flip else turned)
