"""The interface between engine and model, a model that changes nothing, and self-ensembling."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace, is_numpy_array
from numpy.typing import NDArray

from geoae.radiometry.spectrum import transpose
from geoae.types import Array, DeviceArray

__all__ = ["Identity", "OnHost", "Restorer", "SelfEnsemble"]


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

    def place(self, pixels: NDArray[Any]) -> DeviceArray:
        """Bring an array to where the model computes.

        Args:
            pixels: any array of the host, which stays as it is until the copy is used.

        Returns:
            The array itself where the model computes on the host, a copy on its device otherwise.

        """
        ...

    def fetch(self, residual: DeviceArray) -> Callable[[], Array]:
        """Begin to bring an array back to the host.

        Args:
            residual: float32, where the model computes; nobody changes it any more.

        Returns:
            A function that waits for the array and returns it. It may be called from any thread,
            and raises ``ModelError`` where the array holds NaN or infinity.

        """
        ...

    def __call__(
        self, pixels: DeviceArray, sigma: DeviceArray, shape: DeviceArray | None = None
    ) -> DeviceArray:
        """Predict the noise.

        Args:
            pixels: ``(B, C, H, W)`` in model units, on the host or where the model computes; the
                others are where these are.
            sigma: standard deviation of the noise in model units, ``(B, C)`` or ``(B, C, H, W)``.
            shape: shape of the noise's spectrum ``(B, C, 9)``, as ``geoae.radiometry.spectrum``
                describes it; None for white noise.

        Returns:
            Residual ``(B, C, H, W)`` in model units, where ``pixels`` are.

        """
        ...


class OnHost:
    """Part of a model that computes with numpy: nothing needs to be brought anywhere."""

    __slots__ = ()

    def place(self, pixels: NDArray[Any]) -> DeviceArray:
        """Return ``pixels``."""
        return pixels

    def fetch(self, residual: DeviceArray) -> Callable[[], Array]:
        """Return a function that returns ``residual``."""
        return lambda: residual


@dataclass(frozen=True, slots=True)
class Identity(OnHost):
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

    def __call__(
        self, pixels: DeviceArray, sigma: DeviceArray, shape: DeviceArray | None = None
    ) -> DeviceArray:
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

    def place(self, pixels: NDArray[Any]) -> DeviceArray:
        """Bring an array to where the model computes, as the model does.

        Args:
            pixels: any array of the host.

        """
        return self.restorer.place(pixels)

    def fetch(self, residual: DeviceArray) -> Callable[[], Array]:
        """Begin to bring an array back to the host, as the model does.

        Args:
            residual: float32, where the model computes.

        """
        return self.restorer.fetch(residual)

    def __call__(
        self, pixels: DeviceArray, sigma: DeviceArray, shape: DeviceArray | None = None
    ) -> DeviceArray:
        """Return the mean residual, in the shape of ``pixels``."""
        xp = array_namespace(pixels)
        total = xp.zeros_like(pixels)
        for quarter in range(4):
            for flip in (False, True):
                level = sigma if sigma.ndim == 2 else _turn(sigma, quarter, flip)
                told = shape if shape is None or quarter % 2 == 0 else transpose(shape)
                residual = self.restorer(_turn(pixels, quarter, flip), level, told)
                residual = xp.flip(residual, axis=3) if flip else residual
                total += _rotate(residual, -quarter % 4)
        return total / 8


def _turn(pixels: DeviceArray, quarter: int, flip: bool) -> DeviceArray:
    """Rotate ``pixels`` (B, C, H, W) by ``quarter`` quarter turns, then flip them left to right."""
    turned = _rotate(pixels, quarter)
    turned = array_namespace(pixels).flip(turned, axis=3) if flip else turned
    return np.ascontiguousarray(turned) if is_numpy_array(turned) else turned


def _rotate(pixels: DeviceArray, quarter: int) -> DeviceArray:
    """Rotate ``pixels`` (B, C, H, W) as ``numpy.rot90`` from axis 2 to axis 3."""
    xp = array_namespace(pixels)
    # Half a turn first; then a quarter of one is a flip and an exchange of the axes.
    turned = xp.flip(pixels, axis=(2, 3)) if quarter >= 2 else pixels
    return xp.permute_dims(xp.flip(turned, axis=3), (0, 1, 3, 2)) if quarter % 2 else turned
