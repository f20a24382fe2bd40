"""Degrade a batch of chips where it lies: numpy's degradations, drawn by torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor

from geoae.radiometry.resampling import Resampling
from geoae.radiometry.spectrum import FREQUENCIES
from geoae.radiometry.validity.fill import LOCAL
from geoae.simulation import Correlated, Degradation, Gaussian, PoissonGaussian
from geoae.simulation.correlated import Kernel
from geoae.simulation.parameters import PerBand

__all__ = ["Chips", "Degraded", "degrade"]

# Noise ``sqrt(gain * max(x, 0) + sigma**2) * k``, of which torch draws ``k``.
Additive = Gaussian | PoissonGaussian | Correlated
WHITE: Kernel = (Resampling(), Resampling())


@dataclass(frozen=True, eq=False)
class Chips:
    """Clean chips of a batch; bands that a sample lacks are zero and stay so."""

    pixels: Tensor
    """``(B, N, H, W)`` in grey levels."""
    bands: Sequence[int]
    """Number of bands of each sample, at most ``N``."""

    @property
    def present(self) -> Tensor:
        """Which bands a sample has, ``(B, N)``."""
        order = torch.arange(self.pixels.shape[1], device=self.pixels.device)
        return order < torch.tensor(self.bands, device=self.pixels.device)[:, None]


@dataclass(frozen=True, eq=False)
class Degraded:
    """What degradations have made of a batch."""

    pixels: Tensor
    """``(B, N, H, W)`` in grey levels."""
    growth: Tensor | None
    """Variance of the noise at each pixel over its mean, ``(B, N, H, W)``; None where no sample
    has noise that depends on its signal."""
    shape: Tensor
    """Shape of the noise's spectrum, ``(B, N, 9)``."""


def degrade(
    chips: Chips,
    drawn: Sequence[Sequence[Degradation | None]],
    rng: np.random.Generator,
    generator: torch.Generator,
) -> Degraded:
    """Apply the degradations of each sample, in their order.

    White, shot and correlated noise is drawn by torch, for the whole batch at once. What is left
    is applied by numpy, sample by sample.

    Args:
        chips: the clean chips.
        drawn: for each degradation of a config, that of each sample; None where it has none.
        rng: source of what numpy draws.
        generator: source of what torch draws, on the device of the chips.

    Returns:
        The degraded chips, and what their noise is like.

    """
    noisy = chips.pixels.clone()
    for column in drawn:
        if _are_additive(column):
            _add_noise(noisy, column, chips, generator)
            continue
        for pixels, step in _single(noisy, chips, column):
            changed = step(pixels.double().cpu().numpy(), rng)
            pixels.copy_(torch.from_numpy(changed))
    return Degraded(noisy, _growth(noisy, chips, drawn), _shape(noisy, chips, drawn))


def _are_additive(column: Sequence[Degradation | None]) -> TypeGuard[Sequence[Additive | None]]:
    """Whether a degradation, of which each sample has one or None, is drawn by torch."""
    return all(step is None or isinstance(step, Additive) for step in column)


def _single(
    pixels: Tensor, chips: Chips, column: Sequence[Degradation | None]
) -> Iterator[tuple[Tensor, Degradation]]:
    """Yield the bands of each sample that a degradation changes."""
    for chip, bands, step in zip(pixels, chips.bands, column, strict=True):
        if step is not None:
            yield chip[:bands], step


def _add_noise(
    noisy: Tensor, column: Sequence[Additive | None], chips: Chips, generator: torch.Generator
) -> None:
    """Add noise to the bands of ``noisy`` that a degradation changes."""
    places = [
        (index, band)
        for index, (step, bands) in enumerate(zip(column, chips.bands, strict=True))
        if step is not None
        for band in range(bands)
    ]
    if not places:
        return
    gain, sigma = _parameters(column, chips)
    sample, band = torch.tensor(places, device=noisy.device).T
    signal, deviation = noisy[sample, band], sigma[sample, band]
    if any(step is not None and np.any(_gain(step)) for step in column):
        deviation = (gain[sample, band] * signal.clamp(min=0) + deviation**2).sqrt()
    unit = _draw_unit(column, chips, places, generator)
    noisy[sample, band] = signal.addcmul_(deviation, unit)


def _gain(step: Additive) -> PerBand:
    return 0.0 if isinstance(step, Gaussian) else step.gain


def _parameters(column: Sequence[Additive | None], chips: Chips) -> tuple[Tensor, Tensor]:
    """Return gain and sigma of each band, each ``(B, N, 1, 1)``; 0 where it has no noise."""
    values = np.zeros((2, *chips.pixels.shape[:2]), np.float32)
    for index, (step, bands) in enumerate(zip(column, chips.bands, strict=True)):
        if step is not None:
            values[0, index, :bands], values[1, index, :bands] = _gain(step), step.sigma
    gain, sigma = torch.from_numpy(values).to(chips.pixels.device)[..., None, None]
    return gain, sigma


def _draw_unit(
    column: Sequence[Additive | None],
    chips: Chips,
    places: Sequence[tuple[int, int]],
    generator: torch.Generator,
) -> Tensor:
    """Draw noise of variance 1 for bands ``(sample, band)``, ``(len(places), H, W)``."""
    device, (height, width) = chips.pixels.device, chips.pixels.shape[2:]

    def draw(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, device=device)

    noise = draw(len(places), height, width)
    between = [step.between if isinstance(step, Gaussian) else 0.0 for step in column]
    if any(between):
        sample = torch.tensor(places, device=device)[:, 0]
        part = torch.tensor(between, device=device)[sample, None, None]
        shared = draw(len(column), height, width)[sample]
        noise = (1 - part).sqrt() * noise + part.sqrt() * shared
    kernels = {
        index: step.kernels(bands)
        for index, (step, bands) in enumerate(zip(column, chips.bands, strict=True))
        if isinstance(step, Correlated)
    }
    coloured = [
        (order, kernels[index][band])
        for order, (index, band) in enumerate(places)
        if index in kernels and kernels[index][band] != WHITE
    ]
    if coloured:
        down = _stack([rows.matrix(height) for _, (rows, _) in coloured], device)
        across = _stack([cols.matrix(width) for _, (_, cols) in coloured], device)
        source = draw(len(coloured), down.shape[2], across.shape[2])
        noise[[order for order, _ in coloured]] = down @ source @ across.mT
    return noise


def _stack(matrices: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Stack matrices of equal height; columns that one lacks are zero."""
    width = max(matrix.shape[1] for matrix in matrices)
    stacked = np.zeros((len(matrices), matrices[0].shape[0], width), np.float32)
    for place, matrix in zip(stacked, matrices, strict=True):
        place[:, : matrix.shape[1]] = matrix
    return torch.from_numpy(stacked).to(device)


def _growth(
    noisy: Tensor, chips: Chips, drawn: Sequence[Sequence[Degradation | None]]
) -> Tensor | None:
    """Compute the noise variance at each pixel over its mean, from the local mean of ``noisy``."""
    varying = [
        index
        for index in range(len(noisy))
        if not all(_is_constant(column[index]) for column in drawn)
    ]
    if not varying:
        return None
    signal = _local_mean(noisy[varying])
    part = Chips(signal, [chips.bands[index] for index in varying])
    variance = torch.zeros_like(signal)
    for column in drawn:
        variance += _variance(signal, part, [column[index] for index in varying])
    mean = variance.mean(dim=(2, 3), keepdim=True)
    growth = torch.ones_like(noisy)
    growth[varying] = torch.where(mean > 0, variance / mean, 1.0)
    return growth


def _is_constant(step: Degradation | None) -> bool:
    """Whether a noise has the same variance everywhere."""
    correlated = isinstance(step, Correlated) and not np.any(step.gain)
    return step is None or correlated or isinstance(step, Gaussian)


def _variance(signal: Tensor, chips: Chips, column: Sequence[Degradation | None]) -> Tensor:
    """Return the noise variance of one degradation at each pixel, ``(B, N, H, W)``."""
    if _are_additive(column):
        gain, sigma = _parameters(column, chips)
        return gain * signal.clamp(min=0) + sigma**2
    variance = torch.zeros_like(signal)
    places = _single(variance, chips, column)
    for (place, step), (pixels, _) in zip(places, _single(signal, chips, column), strict=True):
        moment = step.moments(pixels.double().cpu().numpy())[1]
        place.copy_(torch.from_numpy(np.ascontiguousarray(moment)))
    return variance


def _shape(noisy: Tensor, chips: Chips, drawn: Sequence[Sequence[Degradation | None]]) -> Tensor:
    """Return the shape of the spectrum of all noises of a sample together, ``(B, N, 9)``."""
    white = torch.ones((*noisy.shape[:2], len(FREQUENCIES) ** 2), device=noisy.device)
    if not any(isinstance(step, Correlated) for column in drawn for step in column):
        return white
    power, total = torch.zeros_like(white), torch.zeros_like(white[..., :1])
    for column in drawn:
        own = np.ones(white.shape, np.float32)
        for place, step, bands in zip(own, column, chips.bands, strict=True):
            if isinstance(step, Correlated):
                place[:bands] = step.shape(bands)
        variance = _variance(noisy, chips, column).mean(dim=(2, 3))[..., None]
        power += variance * torch.from_numpy(own).to(noisy.device) ** 2
        total += variance
    return torch.where(total > 0, (power / total).sqrt(), 1.0)


def _local_mean(pixels: Tensor) -> Tensor:
    """Average over boxes as ``geoae.radiometry.validity.fill.local_mean``, with its border."""
    for axis in (2, 3):
        size = pixels.shape[axis]
        place = torch.arange(-LOCAL, size + LOCAL, device=pixels.device) % (2 * size)
        mirrored = torch.minimum(place, 2 * size - 1 - place)
        pixels = pixels.index_select(axis, mirrored)
    for box in ((2 * LOCAL + 1, 1), (1, 2 * LOCAL + 1)):
        pixels = torch.nn.functional.avg_pool2d(pixels, box, stride=1)
    return pixels
