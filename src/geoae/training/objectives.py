"""Losses that need no clean scene: a network that restores and noisy chips to a scalar."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

__all__ = ["OBJECTIVES", "Noisy", "Objective", "Restore", "estimate_error"]

# Noisy chip, more noise of the same covariance that is independent of it, and level of the noise in
# model units, each (B, C, H, W); shape of the noise's spectrum (B, C, 9).
Noisy = tuple[Tensor, Tensor, Tensor, Tensor]
# Pixels, level and shape as above to restored pixels (B, C, H, W).
Restore = Callable[[Tensor, Tensor, Tensor], Tensor]

# Part of the noise that R2R adds to its input; the target gets 1 / AMOUNT of it.
AMOUNT = 0.5
# Part of the noise by which the divergence is measured on both sides.
STEP = 0.1
# Weight of the second term of Neighbor2Neighbor, which forgives what neighbours differ by.
FORGIVEN = 1.0
# Part of the pixels that Noise2Void hides, and how far away the pixels are that hide them.
HIDDEN, REACH = 0.02, 2
# Noise in model units below which an error no longer weighs more.
FAINT = 2e-3


def _over_noise(square: Tensor, sigma: Tensor) -> Tensor:
    """Return squares ``(B, C, H, W)`` as a part of the noise's variance, ``(B, C)``."""
    variance = sigma.square().mean(dim=(2, 3)).clamp(min=FAINT**2)
    return square.mean(dim=(2, 3)) / variance


def estimate_error(restore: Restore, noisy: Noisy) -> Tensor:
    """Estimate the squared error of a restoration without the clean scene (SURE).

    Stein, Annals of Statistics 9(6), 1981: for Gaussian noise of covariance ``S`` it is ``|f(y) -
    y|^2 - tr(S) + 2 tr(S J)`` with the Jacobian ``J`` of ``f``. The trace is the mean of ``n^T J
    n`` for ``n`` of covariance ``S``, by differences (Ramani, Blu and Unser, IEEE TIP 17(9), 2008).

    Args:
        restore: the restoration.
        noisy: noisy chips.

    Returns:
        Error over the variance of the noise, ``(B, C)``: unbiased, so it may be below 0.

    """
    pixels, noise, sigma, shape = noisy
    residual = restore(pixels, sigma, shape) - pixels
    ahead, behind = (restore(pixels + step * noise, sigma, shape) for step in (STEP, -STEP))
    trace = noise * (ahead - behind) / (2 * STEP)
    return _over_noise(residual**2 - sigma**2 + 2 * trace, sigma)


def sure(restore: Restore, noisy: Noisy, rng: torch.Generator) -> Tensor:
    """Stein's unbiased risk estimate, see ``estimate_error``."""
    return estimate_error(restore, noisy).mean()


def r2r(restore: Restore, noisy: Noisy, rng: torch.Generator) -> Tensor:
    """Recorrupted-to-Recorrupted (Pang et al., CVPR 2021): restore ``y + a n``, compare with ``y -
    n / a``.

    The noises of both are independent. The input has more noise than the scene, and the network is
    told so.
    """
    pixels, noise, sigma, shape = noisy
    told = sigma * (1 + AMOUNT**2) ** 0.5
    restored = restore(pixels + AMOUNT * noise, told, shape)
    return _over_noise((restored - (pixels - noise / AMOUNT)) ** 2, sigma).mean()


def neighbor2neighbor(restore: Restore, noisy: Noisy, rng: torch.Generator) -> Tensor:
    """Neighbor2Neighbor (Huang et al., CVPR 2021): restore one of two neighbouring pixels of each
    2 x 2, compare with the other.

    What both differ by in the restored chip is forgiven, since neighbours are not the same ground.
    """
    pixels, _, sigma, shape = noisy
    height, width = pixels.shape[2] // 2, pixels.shape[3] // 2
    turn = torch.randint(4, (len(pixels), 1, height, width), generator=rng)
    # Corners of a 2 x 2 in a circle, so that the next one is a neighbour: (0, 1, 3, 2) by rows.
    circle = torch.tensor([0, 1, 3, 2])
    step = torch.randint(2, turn.shape, generator=rng) * 2 - 1
    places = [circle[turn], circle[(turn + step) % 4]]

    def pick(chip: Tensor, place: Tensor) -> Tensor:
        corners = pixel_unshuffle(chip, 2).unflatten(1, (chip.shape[1], 4))
        chosen = place[:, :, None].expand(-1, chip.shape[1], -1, -1, -1).to(chip.device)
        return corners.gather(2, chosen)[:, :, 0]

    level = pick(sigma.expand_as(pixels), places[0])
    error = restore(pick(pixels, places[0]), level, shape) - pick(pixels, places[1])
    with torch.no_grad():
        whole = restore(pixels, sigma, shape)
        gap = pick(whole, places[0]) - pick(whole, places[1])
    return _over_noise(error**2 + FORGIVEN * (error - gap) ** 2, level).mean()


def noise2void(restore: Restore, noisy: Noisy, rng: torch.Generator) -> Tensor:
    """Noise2Void (Krull et al., CVPR 2019): hide pixels behind others nearby, and predict them."""
    pixels, _, sigma, shape = noisy
    hidden = (torch.rand(pixels.shape, generator=rng) < HIDDEN).to(pixels.device)
    shift = torch.randint(1, REACH + 1, (2,), generator=rng).tolist()
    around = pixels.roll(shift, dims=(2, 3))
    error = restore(torch.where(hidden, around, pixels), sigma, shape) - pixels
    return _over_noise(hidden * error**2, sigma).mean() / HIDDEN


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss, and the noise for which its optimum is the clean scene."""

    loss: Callable[[Restore, Noisy, torch.Generator], Tensor]
    """Restoration, noisy chips and source of random numbers to a scalar, in variances of the
    noise."""
    takes_correlated: bool
    """Whether noise may be correlated from pixel to pixel."""


OBJECTIVES: dict[str, Objective] = {
    "r2r": Objective(r2r, takes_correlated=True),
    "sure": Objective(sure, takes_correlated=True),
    "neighbor2neighbor": Objective(neighbor2neighbor, takes_correlated=False),
    "noise2void": Objective(noise2void, takes_correlated=False),
}
