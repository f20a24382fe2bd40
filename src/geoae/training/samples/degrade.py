"""Degrade a batch of chips where it lies: numpy's degradations, drawn by torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from geoae.radiometry.resampling import Resampling
from geoae.radiometry.spectrum import KERNELS, white
from geoae.radiometry.validity.fill import LOCAL
from geoae.simulation import Correlated, Degradation, Gaussian, PoissonGaussian
from geoae.simulation.parameters import PerBand

__all__ = ["Chips", "Degraded", "degrade", "mix"]

# Noise ``sqrt(gain * max(x, 0) + sigma**2) * k``, of which torch draws ``k``.
Additive = Gaussian | PoissonGaussian | Correlated
WHITE = KERNELS["white"]


@dataclass(frozen=True, eq=False)
class Chips:
    """Clean chips of a batch, the bands of all samples one after the other."""

    pixels: Tensor
    """``(M, H, W)`` in grey levels, where ``M`` is the number of bands of all samples."""
    bands: Sequence[int]
    """Number of bands of each sample."""

    @property
    def samples(self) -> NDArray[np.intp]:
        """Number of the sample to which each band belongs, ``(M,)``."""
        return np.repeat(np.arange(len(self.bands)), self.bands)


@dataclass(frozen=True, eq=False)
class Degraded:
    """What degradations have made of a batch."""

    pixels: Tensor
    """``(M, H, W)`` in grey levels."""
    growth: Tensor | None
    """Variance of the noise at each pixel over its mean, ``(M, H, W)``; None where no sample has
    noise that depends on its signal."""
    shape: Tensor
    """Shape of the noise's spectrum, ``(M, 9)``."""


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
        for pixels, step in _split_samples(noisy, chips, column):
            changed = step(pixels.double().cpu().numpy(), rng)
            pixels.copy_(torch.from_numpy(changed))
    return Degraded(noisy, _compute_growth(noisy, chips, drawn), _mix_shapes(noisy, chips, drawn))


def _are_additive(column: Sequence[Degradation | None]) -> TypeGuard[Sequence[Additive | None]]:
    """Whether a degradation, of which each sample has one or None, is drawn by torch."""
    return all(step is None or isinstance(step, Additive) for step in column)


def _split_samples(
    pixels: Tensor, chips: Chips, column: Sequence[Degradation | None]
) -> Iterator[tuple[Tensor, Degradation]]:
    """Yield the bands of each sample that a degradation changes."""
    for sample, step in zip(pixels.split(list(chips.bands)), column, strict=True):
        if step is not None:
            yield sample, step


def _add_noise(
    noisy: Tensor, column: Sequence[Additive | None], chips: Chips, generator: torch.Generator
) -> None:
    """Add noise to the bands of ``noisy`` that a degradation changes."""
    steps = [
        (step, band)
        for step, bands in zip(column, chips.bands, strict=True)
        for band in range(bands)
    ]
    rows = [row for row, (step, _) in enumerate(steps) if step is not None]
    if not rows:
        return
    place = torch.tensor(rows, device=noisy.device)
    gain, sigma = (values[place, None, None] for values in _read_parameters(column, chips))
    everywhere = len(rows) == len(noisy)
    signal = noisy if everywhere else noisy[place]
    grows = not all(map(_is_constant, column))
    deviation = (gain * signal.clamp(min=0) + sigma**2).sqrt() if grows else sigma
    unit = _draw_unit(column, chips, rows, generator)
    if everywhere:
        noisy.addcmul_(deviation, unit)
    else:
        noisy[place] = signal.addcmul_(deviation, unit)


def _read_parameters(column: Sequence[Additive | None], chips: Chips) -> tuple[Tensor, Tensor]:
    """Return gain and sigma of each band, each ``(M,)``; 0 where it has no noise."""
    gains: list[float] = []
    sigmas: list[float] = []
    for step, bands in zip(column, chips.bands, strict=True):
        gain = 0.0 if step is None or isinstance(step, Gaussian) else step.gain
        gains += _repeat(gain, bands)
        sigmas += _repeat(0.0 if step is None else step.sigma, bands)
    values = np.array([gains, sigmas], dtype=np.float32)
    one, other = torch.from_numpy(values).to(chips.pixels.device)
    return one, other


def _repeat(value: PerBand, bands: int) -> Sequence[float]:
    """Return the value of each band. Much faster than ``np.broadcast_to`` for a few bands."""
    return [value] * bands if isinstance(value, int | float) else value


def _draw_unit(
    column: Sequence[Additive | None],
    chips: Chips,
    rows: Sequence[int],
    generator: torch.Generator,
) -> Tensor:
    """Draw noise of variance 1 for some bands, ``(len(rows), H, W)``."""
    device, (height, width) = chips.pixels.device, chips.pixels.shape[1:]

    def draw(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, device=device)

    noise = draw(len(rows), height, width)
    between = [step.between if isinstance(step, Gaussian) else 0.0 for step in column]
    if any(between):
        samples = torch.from_numpy(chips.samples[rows]).to(device)
        part = torch.tensor(between, device=device)[samples, None, None]
        shared = draw(len(column), height, width)[samples]
        noise = (1 - part).sqrt() * noise + part.sqrt() * shared
    kernels = [
        kernel
        for step, bands in zip(column, chips.bands, strict=True)
        for kernel in (step.kernels(bands) if isinstance(step, Correlated) else [WHITE] * bands)
    ]
    coloured = [order for order, row in enumerate(rows) if kernels[row] != WHITE]
    if coloured:
        chosen = [kernels[rows[order]] for order in coloured]
        # The bands of a sample mostly have one kernel.
        down = _stack_weights([along for along, _ in chosen], height, device)
        across = _stack_weights([along for _, along in chosen], width, device)
        noise[torch.tensor(coloured, device=device)] = (
            down @ draw(len(chosen), down.shape[2], across.shape[2]) @ across.mT
        )
    return noise


def _stack_weights(kernels: Sequence[Resampling], length: int, device: torch.device) -> Tensor:
    """Stack the weights of points in pixels, ``(kernel, length, points)``; points that a kernel
    lacks have none.
    """
    weights = {kernel: kernel.weigh_points(length) for kernel in set(kernels)}
    points = max(of.shape[1] for of in weights.values())
    stacked = np.zeros((len(kernels), length, points), np.float32)
    for place, kernel in zip(stacked, kernels, strict=True):
        place[:, : weights[kernel].shape[1]] = weights[kernel]
    return torch.from_numpy(stacked).to(device)


def _compute_growth(
    noisy: Tensor, chips: Chips, drawn: Sequence[Sequence[Degradation | None]]
) -> Tensor | None:
    """Compute the noise variance at each pixel over its mean, from the local mean of ``noisy``."""
    varying = np.array(
        [not all(map(_is_constant, steps)) for steps in zip(*drawn, strict=True)], bool
    )
    if not varying.any():
        return None
    rows = torch.from_numpy(np.flatnonzero(varying[chips.samples])).to(noisy.device)
    signal = _local_mean(noisy[rows])
    part = Chips(signal, [count for count, kept in zip(chips.bands, varying, strict=True) if kept])
    variance = torch.zeros_like(signal)
    for column in drawn:
        kept_steps = [step for step, kept in zip(column, varying, strict=True) if kept]
        variance += _compute_variance(signal, part, kept_steps)
    mean = variance.mean(dim=(1, 2), keepdim=True)
    growth = torch.ones_like(noisy)
    growth[rows] = torch.where(mean > 0, variance / mean, 1.0)
    return growth


def _is_constant(step: Degradation | None) -> bool:
    """Whether a noise has the same variance everywhere."""
    correlated = isinstance(step, Correlated) and not np.any(step.gain)
    return step is None or correlated or isinstance(step, Gaussian)


def _compute_variance(signal: Tensor, chips: Chips, column: Sequence[Degradation | None]) -> Tensor:
    """Return the noise variance of one degradation at each pixel, ``(M, H, W)``."""
    if _are_additive(column):
        gain, sigma = (values[:, None, None] for values in _read_parameters(column, chips))
        return gain * signal.clamp(min=0) + sigma**2
    variance = torch.zeros_like(signal)
    places = _split_samples(variance, chips, column)
    for (place, step), (pixels, _) in zip(
        places, _split_samples(signal, chips, column), strict=True
    ):
        moment = step.moments(pixels.double().cpu().numpy())[1]
        place.copy_(torch.from_numpy(np.ascontiguousarray(moment)))
    return variance


def _mix_shapes(
    noisy: Tensor, chips: Chips, drawn: Sequence[Sequence[Degradation | None]]
) -> Tensor:
    """Return the shape of the spectrum of all noises of a band together, ``(M, 9)``."""
    if not any(isinstance(step, Correlated) for column in drawn for step in column):
        return torch.from_numpy(white(len(noisy))).to(noisy.device)
    own = [
        np.concatenate(
            [
                step.shape(bands) if isinstance(step, Correlated) else white(bands)
                for step, bands in zip(column, chips.bands, strict=True)
            ]
        )
        for column in drawn
    ]
    shapes = torch.from_numpy(np.stack(own, axis=1)).float().to(noisy.device)
    variances = [_average_variance(noisy, chips, column) for column in drawn]
    return mix(shapes, torch.stack(variances, dim=1)[:, None])[:, 0]


def mix(shapes: Tensor, variances: Tensor) -> Tensor:
    """Compute the shape of sums of noises, as ``geoae.radiometry.spectrum.mix``.

    Args:
        shapes: shape of each noise, ``(B, N, 9)``.
        variances: variance of each noise in each sum, ``(B, C, N)``.

    Returns:
        ``(B, C, 9)``; ones where a sum has no noise.

    """
    total = variances.sum(dim=2, keepdim=True)
    power = (variances / torch.where(total > 0, total, 1.0)) @ shapes**2
    return torch.where(total > 0, power.sqrt(), 1.0)


def _average_variance(noisy: Tensor, chips: Chips, column: Sequence[Degradation | None]) -> Tensor:
    """Return the mean of ``_compute_variance``, ``(M,)``; that of constant noise costs no pass."""
    if _are_additive(column) and all(map(_is_constant, column)):
        return _read_parameters(column, chips)[1] ** 2
    return _compute_variance(noisy, chips, column).mean(dim=(1, 2))


def _local_mean(pixels: Tensor) -> Tensor:
    """Average over boxes as ``geoae.radiometry.validity.fill.local_mean``, with its border."""
    down, across = (_weigh_box(size, pixels.device) for size in pixels.shape[1:])
    return down @ pixels @ across.mT


@lru_cache(maxsize=8)
def _weigh_box(size: int, device: torch.device) -> Tensor:
    """Return the weight of each pixel of a line in each mean, ``(size, size)``."""
    weights = ndimage.uniform_filter1d(np.eye(size), 2 * LOCAL + 1, axis=0)
    return torch.from_numpy(weights).float().to(device)
