"""Batches of random chips, degraded, in model units."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoae.simulation import Degradation
from geoae.training.config import RandomDegradation
from geoae.training.samples.components import principal
from geoae.training.samples.degrade import Chips, degrade, mix
from geoae.training.samples.scene import TrainingScene
from geoae.training.samples.turn import Turn

__all__ = ["Batch", "Batches"]

# Degraded and clean chips, and noise level, each (B, C, H, W); shape of the noise's spectrum
# (B, C, 9).
Batch = tuple[Tensor, Tensor, Tensor, Tensor]

# Part of the samples that show the first group of components.
FIRST = 0.6
# Error of the shape that a network is told, since estimates have one: a deviation of its
# logarithm, and one of the shape itself, which counts where the spectrum is near 0.
ERROR, LEAST_ERROR = 0.1, 0.03


@dataclass(frozen=True, slots=True)
class Choice:
    """What one sample shows."""

    scene: int
    """Number of its scene."""
    bands: NDArray[np.intp]
    """Its bands, in their order."""
    rows: slice
    """Rows of its window."""
    cols: slice
    """Columns of its window."""
    degradations: list[Degradation | None]
    """One for each of the config; None where the sample has none."""
    group: int
    """Number of its group of components."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """What is known of the scenes of a batch of ``B`` samples with ``M`` bands in all."""

    mean: Tensor
    """Mean of each sample's bands in grey levels, ``(B, N)``; 0 where a sample has fewer bands."""
    covariance: Tensor
    """Covariance of each sample's bands, ``(B, N, N)``; 0 where a sample has fewer bands."""
    present: Tensor
    """Which bands a sample has, ``(B, N)``."""
    sample: Tensor
    """Number of the sample of each band, ``(M,)``."""
    band: Tensor
    """Number of each band in its sample, ``(M,)``."""

    def pad(self, values: Tensor) -> Tensor:
        """Sort values of bands ``(M, ...)`` by samples, ``(B, N, ...)``; the rest is 0."""
        padded = values.new_zeros((*self.covariance.shape[:2], *values.shape[1:]))
        padded[self.sample, self.band] = values
        return padded

    def combine(self, weights: Tensor, pixels: Tensor) -> Tensor:
        """Weigh the bands ``(M, H, W)`` of each sample with ``(B, C, N)``, to ``(B, C, H, W)``."""
        samples, components, _ = weights.shape
        whole = torch.zeros((samples, components, len(pixels)), device=pixels.device)
        row = torch.arange(len(pixels), device=pixels.device)
        whole[self.sample, :, row] = weights[self.sample, :, self.band].float()
        combined = whole.flatten(0, 1) @ pixels.flatten(1)
        return combined.reshape(samples, components, *pixels.shape[1:])


class Batches:
    """Endless batches ``(noisy, clean, sigma, shape)`` in model units, on the device that trains.

    The first three are ``(B, C, size, size)``; ``shape``, the shape of the noise's spectrum, is
    ``(B, C, 9)``, and has an error as estimates have it.

    A sample draws at random: a scene by weight, some of its bands, a window, the degradations, and
    one group of principal components. The components are those that ``Scale.principal`` computes
    when a scene with this noise is restored. ``sigma`` has the root mean square of what the
    degradations did. Where their noise depends on the signal, ``sigma`` varies over the chip; as in
    a restoration, the signal is taken from the local mean of the noisy chip.

    Each batch has random generators of its own, so a run that is resumed at a step continues with
    the batches that it would have had. On another kind of device, the noise is another realisation.

    Args:
        scenes: clean scenes.
        weights: probability of each scene, up to a common factor.
        degradations: degradations, in their order.
        size: side of a chip in pixels.
        group: components that the network takes at once.
        batch_size: samples of a batch.
        seed: seed of all batches.
        shares_gain: whether the components of a group have one gain.

    """

    def __init__(
        self,
        scenes: Sequence[TrainingScene],
        weights: Sequence[float],
        degradations: Sequence[RandomDegradation],
        size: int,
        group: int,
        batch_size: int,
        seed: int,
        *,
        shares_gain: bool = True,
    ) -> None:
        self.scenes, self.degradations, self.size, self.group = scenes, degradations, size, group
        self.batch_size, self.seed, self.shares_gain = batch_size, seed, shares_gain
        self.share = np.asarray(weights, dtype=np.float64) / np.sum(weights)
        self.device = torch.device("cpu")
        self.pixels = [torch.from_numpy(scene.pixels) for scene in scenes]

    def to(self, device: torch.device) -> Self:
        """Move the scenes to the device on which batches are drawn; return this object."""
        if device == self.device:
            return self
        self.device = device
        self.pixels = [pixels.to(device) for pixels in self.pixels]
        return self

    def draw(self, step: int, rank: int = 0) -> Batch:
        """Draw the batch of a step.

        Args:
            step: number of the step.
            rank: number of the process of a run, each of which has other batches.

        """
        rng = np.random.default_rng([self.seed, rank, step])
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**63)))
        numbers = rng.choice(len(self.scenes), self.batch_size, p=self.share)
        choices = [self._choose(int(number), rng) for number in numbers]
        chips, scenes = self._gather(choices)
        drawn = list(zip(*(choice.degradations for choice in choices), strict=True))
        degraded = degrade(chips, drawn, rng, generator)
        change = torch.linalg.vector_norm(degraded.pixels - chips.pixels, dim=(1, 2))
        sigma = scenes.pad(change.double() / self.size)
        forward = principal(
            scenes.covariance + torch.diag_embed(sigma**2),
            sigma,
            scenes.present,
            self.group,
            shares_gain=self.shares_gain,
        )
        forward = self._pick(forward, choices)
        variances = forward.square() * sigma[:, None, :] ** 2
        shape = mix(scenes.pad(degraded.shape.double()), variances).float()
        shape = _add_error(shape, generator)
        to_model = _draw_signs(forward.shape[:2], generator)[..., None] * forward
        offset = (to_model @ scenes.mean[..., None]).float()[..., None]
        turn = Turn.draw(self.batch_size, self.device, rng)
        noisy, clean = (
            turn.pixels(scenes.combine(to_model, pixels) - offset)
            for pixels in (degraded.pixels, chips.pixels)
        )
        if degraded.growth is None:
            level = variances.sum(dim=2).sqrt().float()[..., None, None].expand_as(noisy)
        else:
            level = turn.pixels(scenes.combine(variances, degraded.growth).sqrt())
        return noisy, clean, level, turn.shape(shape)

    def _choose(self, index: int, rng: np.random.Generator) -> Choice:
        """Draw what a sample shows of a scene."""
        scene = self.scenes[index]
        bands = _some_bands(len(scene.pixels), rng)
        rows, cols = self._window(scene, rng)
        degradations = [random.draw(rng, len(bands)) for random in self.degradations]
        groups = -(-len(bands) // self.group)
        first = groups == 1 or rng.random() < FIRST
        return Choice(
            index, bands, rows, cols, degradations, 0 if first else int(rng.integers(1, groups))
        )

    def _window(self, scene: TrainingScene, rng: np.random.Generator) -> tuple[slice, slice]:
        """Draw a window: the first of eight that is wholly valid, or the one with most valid
        pixels.
        """
        height, width = scene.valid.shape
        best, window = -1, (slice(0), slice(0))
        for _ in range(8):
            row = int(rng.integers(height - self.size + 1))
            col = int(rng.integers(width - self.size + 1))
            tried = (slice(row, row + self.size), slice(col, col + self.size))
            valid = int(np.count_nonzero(scene.valid[tried]))
            if valid > best:
                best, window = valid, tried
            if best == self.size**2:
                break
        return window

    def _gather(self, choices: Sequence[Choice]) -> tuple[Chips, Scenes]:
        """Return the chips, and what is known of their scenes."""
        bands = [len(choice.bands) for choice in choices]
        pixels = torch.empty((sum(bands), self.size, self.size), device=self.device)
        mean = np.zeros((len(choices), max(bands)))
        covariance = np.zeros((*mean.shape, max(bands)))
        order = torch.from_numpy(np.concatenate([one.bands for one in choices])).to(self.device)
        parts = zip(choices, pixels.split(bands), order.split(bands), strict=True)
        for index, (choice, place, own) in enumerate(parts):
            window = self.pixels[choice.scene][:, choice.rows, choice.cols]
            torch.index_select(window, 0, own, out=place)
            scene, number = self.scenes[choice.scene], len(choice.bands)
            mean[index, :number] = scene.mean[choice.bands]
            covariance[index, :number, :number] = scene.covariance[
                np.ix_(choice.bands, choice.bands)
            ]
        present = np.arange(max(bands)) < np.array(bands)[:, None]
        known = (mean, covariance, present, *np.nonzero(present))
        return Chips(pixels, bands), Scenes(*(torch.from_numpy(x).to(self.device) for x in known))

    def _pick(self, forward: Tensor, choices: Sequence[Choice]) -> Tensor:
        """Return the rows ``(B, group, N)`` of the group of components that each sample shows."""
        first = torch.tensor([choice.group * self.group for choice in choices], device=self.device)
        order = first[:, None] + torch.arange(self.group, device=self.device)
        return forward.gather(1, order[..., None].expand(-1, -1, forward.shape[2]))


def _draw_signs(size: torch.Size, generator: torch.Generator) -> Tensor:
    drawn = torch.randint(0, 2, size, generator=generator, device=generator.device)
    return 2.0 * drawn - 1.0


def _add_error(shape: Tensor, generator: torch.Generator) -> Tensor:
    """Give shapes ``(B, C, 9)`` the error of an estimate."""
    error, least = torch.randn((2, *shape.shape), generator=generator, device=shape.device)
    return torch.hypot(shape * (ERROR * error).exp(), LEAST_ERROR * least)


def _some_bands(number: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose one band, all bands, or any number between, so that the model learns every band
    count.
    """
    kind = rng.random()
    chosen = (
        1 if number == 1 or kind < 0.2 else number if kind < 0.7 else rng.integers(2, number + 1)
    )
    return rng.permutation(number)[: int(chosen)]
