"""Stand-ins for what the engine is given: scenes and parts in memory, restorers without weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from geoae.models.restorer import OnHost
from geoae.radiometry.scale import Scale
from geoae.tiling.plan import Slab
from geoae.tiling.window import Window

DTYPES = [
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float32",
    "float64",
]


def extremes(dtype: str) -> list[float | int]:
    """Values where arithmetic goes wrong first."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return [0.0, -0.0, 1e-30, -1e30, 1.5, float(np.finfo(kind).tiny)]
    limits = np.iinfo(kind)
    return [limits.min, limits.max, limits.min + 1, limits.max - 1, 0, 1]


def pixels_of(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Any values of ``dtype``, its extremes among them."""
    rng, kind = np.random.default_rng(seed), np.dtype(dtype)
    if kind.kind == "f":
        pixels = rng.normal(0, 1000, shape).astype(kind)
    else:
        limits = np.iinfo(kind)
        pixels = rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
    special = np.array(extremes(dtype), dtype=kind)
    where = rng.random(shape) < 0.3
    return np.where(where, special[rng.integers(len(special), size=shape)], pixels)


def unscaled(components: int, sigma: float = 0.1, bands: int | None = None) -> Scale:
    """DN are model units; components past the bands are zero."""
    bands = components if bands is None else bands
    eye = np.eye(components, bands)
    level = np.where(np.arange(components) < bands, sigma, 0.0)
    return Scale(np.zeros(bands), eye, eye.T, level, np.full(bands, sigma), np.zeros(bands))


@dataclass
class Parts:
    """Sinks into one array; every pixel may be written once, and only while its part is open."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    fail: Callable[[Window], None] = lambda window: None
    pixels: np.ndarray = field(init=False)
    written: np.ndarray = field(init=False)
    opened: list[int] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    failed: list[tuple[int, BaseException]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pixels = np.zeros(self.shape, self.dtype)
        self.written = np.zeros(self.shape[1:], int)

    @contextmanager
    def __call__(self, slab: Slab) -> Iterator["_Part"]:
        part = _Part(self, slab.window)
        self.opened.append(slab.index)
        try:
            yield part
        except BaseException as error:
            self.failed.append((slab.index, error))
            raise
        finally:
            part.open = False
        self.committed.append(slab.index)


@dataclass
class _Part:
    parts: Parts
    slab: Window
    open: bool = True

    def write(self, window: Window, pixels: np.ndarray) -> None:
        assert self.open
        assert self.slab.row <= window.row < window.stop_row <= self.slab.stop_row
        assert pixels.dtype == self.parts.dtype
        self.parts.fail(window)
        self.parts.pixels[(slice(None), *window.slices())] = pixels
        self.parts.written[window.slices()] += 1


@dataclass
class Blur(OnHost):
    """Takes what a box blur of half width ``halo`` leaves over for noise; counts its samples."""

    halo: int = 6
    channels: int = 1
    multiple: int = 8
    samples: int = 2
    tile: int = 1024
    seen: int = 0
    name: str = "blur"
    digest: str = "blur"
    setting: str = ""
    takes_spectrum: bool = False
    shares_gain: bool = True

    def batch(self, height: int, width: int) -> int:
        return self.samples

    def __call__(
        self, pixels: np.ndarray, sigma: np.ndarray, shape: np.ndarray | None = None
    ) -> np.ndarray:
        assert pixels.shape[:2] == sigma.shape
        assert pixels.dtype == sigma.dtype == np.float32
        assert np.isfinite(pixels).all()
        self.seen += len(pixels)
        side = 2 * self.halo + 1
        return pixels - ndimage.uniform_filter(pixels, (0, 0, side, side), mode="constant")


class TorchBlur(Blur):
    """The same, for arrays of torch on the device where it computes: the CPU."""

    def place(self, pixels: np.ndarray) -> torch.Tensor:
        assert all(pixels.strides), "pinned memory keeps strides, and cannot be written with these"
        return torch.from_numpy(pixels.copy())

    def fetch(self, residual: torch.Tensor) -> Callable[[], np.ndarray]:
        assert isinstance(residual, torch.Tensor)
        return residual.numpy

    def __call__(
        self, pixels: torch.Tensor, sigma: torch.Tensor, shape: torch.Tensor | None = None
    ) -> torch.Tensor:
        return torch.from_numpy(super().__call__(pixels.numpy(), sigma.numpy()))


def randomised(network: nn.Module, seed: int = 0, head: float = 0.1) -> nn.Module:
    """``network``, its parameters that start at zero drawn anew: a fresh network's residual is
    zero.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, head, generator=generator)
    return network.eval()
