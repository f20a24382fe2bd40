"""Training samples: random chips of clean scenes held in memory, degraded, in model units."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from geoae.errors import InputError, TrainingError
from geoae.radiometry.scale import Scale
from geoae.radiometry.spectrum import mix, transpose, white
from geoae.radiometry.validity.fill import local_mean
from geoae.raster.scene import Scene
from geoae.simulation import Correlated, Degradation, Gaussian
from geoae.tiling.window import Window
from geoae.training.config import RandomDegradation
from geoae.types import Floats

__all__ = ["Chips", "TrainingScene", "draw_turn"]

# Degraded and clean chip, and noise level, each (C, H, W); shape of the noise's spectrum (C, 9).
Sample = tuple[Tensor, Tensor, Tensor, Tensor]

GREYS = 255
# Error of the shape that a network is told, since estimates have one: a deviation of its
# logarithm, and one of the shape itself, which counts where the spectrum is near 0.
ERROR, LEAST_ERROR = 0.1, 0.03


@dataclass(frozen=True, eq=False)
class TrainingScene:
    """One clean scene with its statistics over valid pixels."""

    pixels: NDArray[np.float32]
    """Pixels ``(band, row, col)`` in DN; invalid ones hold the mean of their band."""
    valid: NDArray[np.bool_]
    """``(row, col)``, True where all bands are valid."""
    low: NDArray[np.float64]
    """0.5th percentile in DN, ``(band,)``."""
    spread: NDArray[np.float64]
    """Range from the 0.5th to the 99.5th percentile in DN, ``(band,)``."""
    mean: NDArray[np.float64]
    """Mean in DN, ``(band,)``."""
    covariance: NDArray[np.float64]
    """Covariance in DN squared, ``(band, band)``."""

    @classmethod
    def from_pixels(cls, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> Self:
        """Compute the statistics of a scene.

        Args:
            pixels: ``(band, row, col)`` in DN.
            valid: ``(row, col)``, True where all bands are valid.

        """
        values = pixels[:, valid].astype(np.float64)
        low, high = np.percentile(values, [0.5, 99.5], axis=1)
        filled = np.where(valid, pixels, values.mean(axis=1, dtype=np.float64)[:, None, None])
        covariance = np.atleast_2d(np.cov(values))
        return cls(
            filled.astype(np.float32), valid, low, high - low, values.mean(axis=1), covariance
        )

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


class Chips(IterableDataset[Sample]):
    """Endless stream of ``(noisy, clean, sigma, shape)`` in model units.

    The first three are ``(C, size, size)``; ``shape``, the shape of the noise's spectrum, is ``(C,
    9)``, and has an error as estimates have it.

    A sample draws at random: a scene by weight, some of its bands, a window, the degradations, and
    one group of principal components. The components are those that ``Scale.principal`` computes
    when a scene with this noise is restored. ``sigma`` has the root mean square of what the
    degradations did. Where their noise depends on the signal, ``sigma`` varies over the chip; as in
    a restoration, the signal is taken from the local mean of the noisy chip.

    Each sample has a random generator of its own, so a run that is resumed at sample ``start``
    continues with the samples that it would have had. Each process of a run has other samples.

    Args:
        scenes: clean scenes.
        weights: probability of each scene, up to a common factor.
        degradations: degradations, in their order.
        size: side of a chip in pixels.
        group: components that the network takes at once.
        seed: seed of all samples.
        start: number of the first sample.
        rank: number of this process.
        shares_gain: whether the components of a group have one gain.

    """

    def __init__(
        self,
        scenes: Sequence[TrainingScene],
        weights: Sequence[float],
        degradations: Sequence[RandomDegradation],
        size: int,
        group: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        *,
        shares_gain: bool = True,
    ) -> None:
        self.scenes, self.degradations, self.size, self.group = scenes, degradations, size, group
        self.seed, self.start, self.rank, self.shares_gain = seed, start, rank, shares_gain
        self.share = np.asarray(weights, dtype=np.float64) / np.sum(weights)

    def __iter__(self) -> Iterator[Sample]:
        for index in count(self.start):
            yield self.draw(np.random.default_rng([self.seed, self.rank, index]))

    def draw(self, rng: np.random.Generator) -> Sample:
        """Draw one sample."""
        scene = self.scenes[rng.choice(len(self.scenes), p=self.share)]
        bands = _some_bands(len(scene.pixels), rng)
        clean = scene.pixels[:, *self._window(scene, rng)][bands].astype(np.float64)
        noisy, sigma, growth, shapes = self._degrade(
            clean, scene.low[bands], scene.spread[bands], rng
        )
        covariance = scene.covariance[np.ix_(bands, bands)] + np.diag(sigma**2)
        scale = Scale.principal(
            scene.mean[bands], covariance, sigma, self.group, shares_gain=self.shares_gain
        )
        groups = len(scale.sigma) // self.group
        first = 0 if groups == 1 or rng.random() < 0.6 else int(rng.integers(1, groups))
        chosen = slice(first * self.group, (first + 1) * self.group)
        quarter, turn = draw_turn(rng)
        signs = rng.choice([-1.0, 1.0], (self.group, 1, 1))
        level = scale.level(growth * sigma[:, None, None] ** 2)[chosen]
        shape = mix(shapes, scale.forward[chosen] ** 2 * sigma**2)
        return (
            turn(signs * scale.to_model(noisy)[chosen]),
            turn(signs * scale.to_model(clean)[chosen]),
            turn(level),
            torch.from_numpy(_add_error(transpose(shape) if quarter % 2 else shape, rng)),
        )

    def _degrade(
        self, clean: Floats, low: Floats, spread: Floats, rng: np.random.Generator
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Degrade a chip with random degradations.

        Args:
            clean: pixels ``(band, row, col)`` in DN.
            low: 0.5th percentile of each band of the scene in DN, ``(band,)``.
            spread: percentile range of each band in DN, ``(band,)``; degradations see 255ths of it.
            rng: source of random numbers.

        Returns:
            Degraded pixels ``(band, row, col)`` in DN; root mean square of the change in DN,
            ``(band,)``; the variance of the noise over the chip, relative to its mean, ``(band,
            row, col)``; the shape of its spectrum, ``(band, 9)``.

        """
        unit = np.where(spread > 0, spread, 1.0)[:, None, None] / GREYS
        start = noisy = (clean - low[:, None, None]) / unit
        drawn = [
            d for d in (drawn.draw(rng, len(clean)) for drawn in self.degradations) if d is not None
        ]
        for degrade in drawn:
            noisy = degrade(noisy, rng)
        sigma = np.sqrt(((noisy - start) ** 2).mean(axis=(1, 2)))
        return (
            noisy * unit + low[:, None, None],
            sigma * unit[:, 0, 0],
            _spread(drawn, noisy),
            _shapes(drawn, noisy),
        )

    def _window(self, scene: TrainingScene, rng: np.random.Generator) -> tuple[slice, slice]:
        """Draw a window: the first of eight that is wholly valid, or the one with most valid
        pixels.
        """
        height, width = scene.valid.shape
        best, window = -1.0, (slice(0), slice(0))
        for _ in range(8):
            row = int(rng.integers(height - self.size + 1))
            col = int(rng.integers(width - self.size + 1))
            tried = (slice(row, row + self.size), slice(col, col + self.size))
            share = float(scene.valid[tried].mean())
            if share > best:
                best, window = share, tried
            if best == 1.0:
                break
        return window


def _spread(drawn: Sequence[Degradation], noisy: Floats) -> Floats:
    """Return the noise variance of ``drawn`` at each pixel over its mean, ``(band, row, col)``."""
    if all(_is_constant(degrade) for degrade in drawn):
        return np.ones(noisy.shape)
    local = local_mean(noisy)
    variance = np.sum([degrade.moments(local)[1] for degrade in drawn], axis=0)
    mean = variance.mean(axis=(1, 2), keepdims=True)
    return np.where(mean > 0, variance / np.where(mean > 0, mean, 1.0), 1.0)


def _is_constant(degrade: Degradation) -> bool:
    """Whether a noise has the same variance everywhere."""
    correlated = isinstance(degrade, Correlated) and not np.any(degrade.gain)
    return correlated or isinstance(degrade, Gaussian)


def _shapes(drawn: Sequence[Degradation], noisy: Floats) -> Floats:
    """Return the shape of the spectrum of all noises of ``drawn`` together, ``(band, 9)``."""
    if not any(isinstance(degrade, Correlated) for degrade in drawn):
        return white(len(noisy)).astype(np.float64)
    shapes = np.stack(
        [d.shape(noisy) if isinstance(d, Correlated) else white(len(noisy)) for d in drawn], axis=1
    )
    variances = np.stack([d.moments(noisy)[1].mean(axis=(1, 2)) for d in drawn], axis=1)
    return np.concatenate([mix(*band) for band in zip(shapes, variances[:, None], strict=True)])


def _add_error(shape: Floats, rng: np.random.Generator) -> NDArray[np.float32]:
    """Give the shape ``(C, 9)`` the error of an estimate."""
    error, least = rng.standard_normal((2, *shape.shape))
    return np.hypot(shape * np.exp(ERROR * error), LEAST_ERROR * least).astype(np.float32)


def _some_bands(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose one band, all bands, or any number between, so that the model learns every band
    count.
    """
    kind = rng.random()
    number = (
        1 if count == 1 or kind < 0.2 else count if kind < 0.7 else int(rng.integers(2, count + 1))
    )
    return rng.permutation(count)[:number]


def draw_turn(rng: np.random.Generator) -> tuple[int, Callable[[NDArray[np.float32]], Tensor]]:
    """Choose one of the eight rotations and flips, the same for every array of a sample.

    Returns the number of quarter turns, and the function.
    """
    quarter, flip = int(rng.integers(4)), rng.random() < 0.5

    def turn(pixels: NDArray[np.float32]) -> Tensor:
        turned = np.rot90(pixels, quarter, axes=(1, 2))
        return torch.from_numpy((turned[:, ::-1] if flip else turned).astype(np.float32))

    return quarter, turn
