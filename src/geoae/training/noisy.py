"""Samples of noisy scenes: chips in model units, with the noise that the scenes show."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from geoae.corrections.chain import STEPS
from geoae.diagnosis.noise.gate import TEXTURE
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import GeoaeError, TrainingError
from geoae.pipeline.preparation.measure import GivenNoise, Measured, measure
from geoae.radiometry.scale import Scale
from geoae.radiometry.spectrum import transpose, white
from geoae.radiometry.validity.fill import local_mean
from geoae.raster.scene import Scene
from geoae.simulation.correlated import draw_stationary
from geoae.tiling.window import windows
from geoae.training.objectives import Noisy
from geoae.types import Array, Floats

__all__ = ["NoisyChips", "NoisyScene"]

# Side of a chip; side of the windows of a scene that are kept in memory, at most GRID x GRID.
CHIP, SIDE, GRID = 128, 256, 4
# Part of the samples that show the first group of components.
FIRST = 0.6


@dataclass(frozen=True, eq=False)
class NoisyScene:
    """Windows of one scene after corrections, its map to model units and its noise."""

    source: str
    """Name of the scene."""
    windows: Sequence[Array]
    """Pixels in DN of windows that are valid throughout, ``(band, row, col)`` each."""
    scale: Scale
    """Map to model units, as for a restoration."""
    group: int
    """Components that the network takes at once."""
    correlation: Floats | None
    """Normalised autocovariance of each band's noise, ``(band, 9, 9)``; None for white noise."""

    @classmethod
    def read(cls, source: str, group: int, *, shares_gain: bool = True) -> Self:
        """Read a scene and estimate its noise as a restoration does.

        Args:
            source: the scene, as GDAL opens it.
            group: components that the network takes at once.
            shares_gain: whether these have one gain.

        Raises:
            TrainingError: the scene cannot be used; the message says why.

        """
        try:
            opened = Scene.open(source)
            if not opened.bands:
                raise TrainingError(f"{source}: has no measured band")
            found = measure(opened, GivenNoise(seeks_spectrum=True), STEPS, is_noise_needed=True)
            _refuse_unknown(source, found.facts)
            whole = _read_windows(found)
        except GeoaeError as error:
            raise TrainingError(str(error)) from error
        if not whole:
            raise TrainingError(f"{source}: has no window of {CHIP} px that is valid throughout")
        facts = found.facts
        scale = facts.scale(group, shares_gain=shares_gain)
        return cls(source, whole, scale, group, facts.correlation)

    def split(self) -> list[Self]:
        """Return each window as a scene of its own."""
        return [replace(self, windows=[one]) for one in self.windows]

    @property
    def is_correlated(self) -> bool:
        """Whether the noise of any band is correlated from pixel to pixel."""
        return self.correlation is not None

    @property
    def useful(self) -> list[int]:
        """Groups of components that a restoration gives to the network."""
        scale = self.scale
        seen = scale.sigma > 0 if scale.signal is None else scale.signal & (scale.sigma > 0)
        return np.flatnonzero(seen.reshape(-1, self.group).any(axis=1)).tolist()

    def cut(self, pixels: Array, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
        """Map a part of a window to model units, and draw more noise of the same covariance.

        Args:
            pixels: ``(band, row, col)`` in DN.
            rng: source of the noise.

        Returns:
            Pixels, noise and level in model units, each ``(component, row, col)``; shape of the
            noise's spectrum, ``(component, 9)``.

        """
        scale, (height, width) = self.scale, pixels.shape[1:]
        variance = scale.variance(local_mean(pixels) if scale.varies else pixels)
        if self.correlation is None:
            unit = rng.standard_normal(pixels.shape)
        else:
            unit = draw_stationary(self.correlation, height, width, rng)
        if scale.between is not None:
            unit = np.tensordot(np.linalg.cholesky(scale.between), unit, 1)
        noise = scale.forward @ (np.sqrt(variance) * unit).reshape(len(pixels), -1)
        shape = white(len(scale.sigma)) if scale.shape is None else scale.shape
        return (
            scale.to_model(pixels),
            noise.reshape(-1, height, width).astype(np.float32),
            scale.level(variance),
            shape.astype(np.float32),
        )

    def chips(self, rng: np.random.Generator) -> Iterator[Noisy]:
        """Cut all chips side by side, each with all groups that the network gets as its batch."""
        for window in self.windows:
            for row in range(0, window.shape[1] - CHIP + 1, CHIP):
                for col in range(0, window.shape[2] - CHIP + 1, CHIP):
                    found = self.cut(window[:, row : row + CHIP, col : col + CHIP], rng)
                    grouped = (a.reshape(-1, self.group, *a.shape[1:])[self.useful] for a in found)
                    noisy, noise, level, shape = map(torch.from_numpy, grouped)
                    yield noisy, noise, level, shape


def _refuse_unknown(source: str, facts: SceneStatistics) -> None:
    """Raise ``TrainingError`` where there is no noise, or it is not known."""
    if not facts.sigma.any() or not np.isfinite(facts.sigma).all():
        raise TrainingError(f"{source}: no noise is found in it")
    if facts.noise is None or TEXTURE in facts.noise.verdict:
        raise TrainingError(f"{source}: its noise cannot be told from texture")


def _read_windows(found: Measured[Scene]) -> list[Array]:
    """Read corrected windows, evenly spread, of which all pixels are valid."""
    scene = found.scene
    with scene.reader() as reader:
        read = found.corrections.wrap(reader.read, scene.height, scene.width)
        parts = [read(one) for one in windows(scene.height, scene.width, SIDE, GRID)]
    return [
        pixels.astype(np.float32)
        for pixels, mask in parts
        if min(pixels.shape[1:]) >= CHIP and (mask is None or mask.all())
    ]


class NoisyChips(IterableDataset[Noisy]):
    """Endless stream of random chips of one group of components.

    Each sample has a random generator of its own, so the same seed gives the same samples.

    Args:
        scenes: noisy scenes.
        seed: seed of all samples.

    """

    def __init__(self, scenes: Sequence[NoisyScene], seed: int) -> None:
        self.scenes, self.seed = scenes, seed

    def __iter__(self) -> Iterator[Noisy]:
        for index in count():
            yield self.draw(np.random.default_rng([self.seed, index]))

    def draw(self, rng: np.random.Generator) -> Noisy:
        """Draw one sample."""
        scene = self.scenes[int(rng.integers(len(self.scenes)))]
        window = scene.windows[int(rng.integers(len(scene.windows)))]
        row, col = (int(rng.integers(size - CHIP + 1)) for size in window.shape[1:])
        found = scene.cut(window[:, row : row + CHIP, col : col + CHIP], rng)
        # The first group holds most of the signal.
        first, *others = scene.useful
        group = first if not others or rng.random() < FIRST else int(rng.choice(others))
        chosen = slice(group * scene.group, (group + 1) * scene.group)
        pixels, noise, level, shape = (array[chosen] for array in found)
        quarter, turn = _draw_turn(rng)
        signs = rng.choice([-1.0, 1.0], (scene.group, 1, 1))
        told = transpose(shape) if quarter % 2 else shape
        return turn(signs * pixels), turn(signs * noise), turn(level), torch.from_numpy(told.copy())


def _draw_turn(rng: np.random.Generator) -> tuple[int, Callable[[NDArray[np.float32]], Tensor]]:
    """Choose one of the eight rotations and flips, the same for every array of a sample.

    Returns the number of quarter turns, and the function.
    """
    quarter, flip = int(rng.integers(4)), rng.random() < 0.5

    def turn(pixels: NDArray[np.float32]) -> Tensor:
        turned = np.rot90(pixels, quarter, axes=(1, 2))
        return torch.from_numpy((turned[:, ::-1] if flip else turned).astype(np.float32))

    return quarter, turn
