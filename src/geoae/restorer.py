"""What the engine asks of a model, and the test double that answers it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Identity", "Restorer"]

Array = NDArray[np.float32]


class Restorer(Protocol):
    """Array in, array out; the engine knows nothing else of a model.

    ``name`` and ``digest`` say which it is; ``channels``: components it takes at once;
    ``multiple``, ``halo``: what the plan must respect; ``setting``: device type, precision, runtime
    and batch, for the record.
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
    def setting(self) -> str:
        """Device type, precision, runtime and batch."""
        ...

    def batch(self, height: int, width: int) -> int:
        """Samples of ``height`` x ``width`` that one call is best given."""
        ...

    def __call__(self, pixels: Array, sigma: Array) -> Array:
        """Noise of ``pixels`` ``(B, C, H, W)``, given its deviation, ``(B, C)`` or a map ``(B, C, H, W)``; model units."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Finds no noise: what goes in comes out, bit for bit. Tests the pipeline without a network."""

    name: str = "identity"
    digest: str = "identity"
    channels: int = 1
    multiple: int = 8
    halo: int = 8
    setting: str = "numpy"

    def batch(self, height: int, width: int) -> int:
        """One call is as good as another."""
        return 1

    def __call__(self, pixels: Array, sigma: Array) -> Array:
        """Zeros in the shape of ``pixels``."""
        return np.zeros_like(pixels)
