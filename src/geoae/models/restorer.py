"""What the engine asks of a model, and the test double that answers it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from geoae.types import Array

__all__ = ["Identity", "Restorer", "SelfEnsemble"]


class Restorer(Protocol):
    """Array in, array out; the engine knows nothing else of a model.

    ``name`` and ``digest`` say which it is; ``channels``: components it takes at once;
    ``multiple``, ``halo``: what the plan must respect; ``tile``: what it prefers; ``setting``:
    device type, precision, runtime and batch, for the record.
    """

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def digest(self) -> str:
        """Digest of its weights."""
        ...

    @property
    def channels(self) -> int:
        """Components it takes at once."""
        ...

    @property
    def multiple(self) -> int:
        """Divisor of tile sides and of the stride."""
        ...

    @property
    def halo(self) -> int:
        """Distance in pixels from which an input still counts."""
        ...

    @property
    def tile(self) -> int:
        """Largest tile side in pixels, where none is asked for."""
        ...

    @property
    def setting(self) -> str:
        """Device type, precision, runtime and batch."""
        ...

    def batch(self, height: int, width: int) -> int:
        """Samples of ``height`` x ``width`` that one call is best given."""
        ...

    def __call__(self, pixels: Array, sigma: Array) -> Array:
        """Noise of ``pixels`` ``(B, C, H, W)``, given its deviation, ``(B, C)`` or a map ``(B, C,
        H, W)``; model units.
        """
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Finds no noise: what goes in comes out, bit for bit. Tests the pipeline without a network."""

    name: str = "identity"
    digest: str = "identity"
    channels: int = 1
    multiple: int = 8
    halo: int = 8
    tile: int = 768
    setting: str = "numpy"

    def batch(self, height: int, width: int) -> int:
        """One call is as good as another."""
        return 1

    def __call__(self, pixels: Array, sigma: Array) -> Array:
        """Zeros in the shape of ``pixels``."""
        return np.zeros_like(pixels)


@dataclass(frozen=True, slots=True)
class SelfEnsemble:
    """The mean of what ``restorer`` makes of a tile in its eight turns and flips, at eight times
    the cost.

    Timofte, Rothe and Van Gool, "Seven ways to improve example-based single image super
    resolution", CVPR 2016.
    """

    restorer: Restorer

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.restorer.name

    @property
    def digest(self) -> str:
        """Digest of the weights, and that they are asked eight times."""
        return f"{self.restorer.digest}+tta"

    @property
    def channels(self) -> int:
        """As the model."""
        return self.restorer.channels

    @property
    def multiple(self) -> int:
        """As the model."""
        return self.restorer.multiple

    @property
    def halo(self) -> int:
        """As the model: it is measured on all sides."""
        return self.restorer.halo

    @property
    def tile(self) -> int:
        """As the model."""
        return self.restorer.tile

    @property
    def setting(self) -> str:
        """As the model's, and that it is asked eight times."""
        return f"{self.restorer.setting} tta"

    def batch(self, height: int, width: int) -> int:
        """As the model."""
        return self.restorer.batch(height, width)

    def __call__(self, pixels: Array, sigma: Array) -> Array:
        """The mean residual, in the shape of ``pixels``."""
        total = np.zeros_like(pixels)
        for quarter in range(4):
            for flip in (False, True):
                level = sigma if sigma.ndim == 2 else _turned(sigma, quarter, flip)
                residual = self.restorer(_turned(pixels, quarter, flip), level)
                residual = residual[..., ::-1] if flip else residual
                total += np.rot90(residual, -quarter, axes=(2, 3))
        return total / np.float32(8)


def _turned(pixels: Array, quarter: int, flip: bool) -> Array:
    """``pixels`` (B, C, H, W) by ``quarter`` turns, then flipped left to right."""
    turned = np.rot90(pixels, quarter, axes=(2, 3))
    return np.ascontiguousarray(turned[..., ::-1] if flip else turned)
