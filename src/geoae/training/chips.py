"""Training samples: clean chips in model units, cut at random from real scenes held in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from geoae.errors import TrainingError
from geoae.scale import Scale

__all__ = ["Chips", "TrainingScene"]

MAX_SIGMA = 60 / 255


@dataclass(frozen=True, eq=False)
class TrainingScene:
    """One clean scene: ``pixels`` (band, row, col) float32, ``valid`` (row, col) bool in all bands,
    ``spread`` (band,) its 0.5..99.5 percentile range, mean and covariance over valid pixels.
    """

    pixels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    spread: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def from_pixels(cls, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> Self:
        """Statistics of ``pixels`` (band, row, col) over ``valid`` (row, col)."""
        values = pixels[:, valid].astype(np.float64)
        low, high = np.percentile(values, [0.5, 99.5], axis=1)
        filled = np.where(valid, pixels, values.mean(axis=1, dtype=np.float64)[:, None, None])
        covariance = np.atleast_2d(np.cov(values))
        return cls(filled.astype(np.float32), valid, high - low, values.mean(axis=1), covariance)

    @classmethod
    def read(cls, path: Path, size: int) -> Self:
        """Read ``path``; raises ``TrainingError`` where no chip of ``size`` px fits."""
        with rasterio.open(path) as dataset:
            pixels = dataset.read().astype(np.float32)
            valid: NDArray[np.bool_] = (dataset.read_masks() != 0).all(axis=0) & np.isfinite(pixels).all(axis=0)
        # Collars of zeros that no mask declares are flat: nothing to learn there.
        valid &= ~(pixels == 0).all(axis=0)
        if min(pixels.shape[1:]) < size or valid.sum() < size * size:
            raise TrainingError(f"{path}: too small for chips of {size} px; leave it out or ask for smaller chips")
        return cls.from_pixels(pixels, valid)

    def halved(self) -> "TrainingScene":
        """The scene in means of 2 x 2 pixels: half the scene's own noise, new texture."""
        bands, height, width = self.pixels.shape
        even = self.pixels[:, : height // 2 * 2, : width // 2 * 2]
        means = even.reshape(bands, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
        valid = self.valid[: height // 2 * 2, : width // 2 * 2]
        blocks = valid.reshape(height // 2, 2, width // 2, 2)
        return self.from_pixels(means, np.all(blocks, axis=(1, 3)))


class Chips(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless ``(clean, sigma)`` pairs: ``(C, size, size)`` in model units and ``(C, 1, 1)``.

    A sample draws a scene by weight, a subset of its bands, a noise level, the principal components
    that this noise would give the scene, and one group of them, as ``Scale.principal`` does when
    restoring. Noise itself is added by the training step.
    """

    def __init__(
        self, scenes: Sequence[TrainingScene], weights: Sequence[float], size: int, group: int, seed: int
    ) -> None:
        self.scenes, self.size, self.group, self.seed = scenes, size, group, seed
        self.share = np.asarray(weights, dtype=np.float64) / np.sum(weights)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield self.draw(rng)

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One sample."""
        scene = self.scenes[rng.choice(len(self.scenes), p=self.share)]
        bands = _some_bands(len(scene.pixels), rng)
        sigma = rng.uniform(0.0, MAX_SIGMA) * scene.spread[bands]
        if len(bands) > 1 and rng.random() < 0.3:
            sigma = sigma * np.exp(rng.normal(0.0, 0.3, len(bands)))
        noisy = scene.covariance[np.ix_(bands, bands)] + np.diag(sigma**2)
        scale = Scale.principal(scene.mean[bands], noisy, sigma, self.group)
        model = scale.to_model(scene.pixels[bands][:, *self._window(scene, rng)])
        groups = len(model) // self.group
        first = 0 if groups == 1 or rng.random() < 0.6 else int(rng.integers(1, groups))
        chosen = slice(first * self.group, (first + 1) * self.group)
        signs = rng.choice([-1.0, 1.0], (self.group, 1, 1))
        clean = np.rot90(model[chosen] * signs, int(rng.integers(4)), axes=(1, 2))
        clean = clean[:, ::-1] if rng.random() < 0.5 else clean
        level = scale.sigma[chosen].reshape(-1, 1, 1)
        return torch.from_numpy(clean.astype(np.float32)), torch.from_numpy(level.astype(np.float32))

    def _window(self, scene: TrainingScene, rng: np.random.Generator) -> tuple[slice, slice]:
        """A window, at best wholly valid (the best of eight tries)."""
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


def _some_bands(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """A single band, all bands, or any number between: scenes of every band count must do well."""
    kind = rng.random()
    number = 1 if count == 1 or kind < 0.3 else count if kind < 0.7 else int(rng.integers(2, count + 1))
    return rng.permutation(count)[:number]
