"""Pieces that the networks share: how they are told the noise, and how they answer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "UPSAMPLINGS", "ResBlock", "by_rows", "gated", "level_at", "with_level"]

LEAK = 0.1
# Noise in model units at which the gate is half open: about a grey level of 255.
FAINT = 5e-3

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(LEAK, inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


def _transposed(inner: int, outer: int) -> nn.Module:
    return nn.ConvTranspose2d(inner, outer, 2, stride=2)


def _nearest(inner: int, outer: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inner, outer, 3, padding=1))


# (inner, outer) features to a module that doubles both sides. Kernel and stride of the transposed
# convolution are equal, so that every output has as many contributions as the next and no checker
# pattern arises from uneven overlap (Odena, Dumoulin and Olah, Distill, 2016).
UPSAMPLINGS: dict[str, Callable[[int, int], nn.Module]] = {
    "transposed": _transposed,
    "nearest": _nearest,
}


def level_at(sigma: Tensor, pixels: Tensor, shrink: int = 1) -> Tensor:
    """``sigma`` ``(B, C, 1, 1)`` or ``(B, C, H, W)`` as a map over ``pixels`` at ``1 / shrink`` of
    their side.
    """
    if sigma.shape[-2:] == (1, 1):
        return sigma.expand(-1, -1, pixels.shape[-2] // shrink, pixels.shape[-1] // shrink)
    return nn.functional.avg_pool2d(sigma, shrink) if shrink > 1 else sigma


def with_level(pixels: Tensor, sigma: Tensor) -> Tensor:
    """Pixels with their noise level beside them, ``(B, 2 C, H, W)``."""
    return torch.cat([pixels, level_at(sigma, pixels)], dim=1)


def gated(residual: Tensor, sigma: Tensor) -> Tensor:
    """``sigma / (sigma + FAINT) * residual`` in float32.

    Where sigma is zero the residual is exactly zero, and above faint noise the gate is open. A
    plain product with sigma would leave the network a gain of one over sigma to learn, which it
    does to a tenth only.
    """
    return sigma / (sigma + FAINT) * residual.float()


def by_rows(compute: Callable[[slice], Tensor], height: int, reach: int, at_once: int) -> Tensor:
    """Compute ranges of rows one after another, to bound the memory of what lies between input and
    result.

    Args:
        compute: gives the rows ``(B, C, rows, W)`` of a range. ``reach`` rows at either end of it
            may be wrong, unless that is an end of the whole.
        height: rows of the whole.
        reach: rows.
        at_once: rows of one range without its reach.

    Returns:
        All rows, ``(B, C, height, W)``.

    """
    if height <= at_once:
        return compute(slice(0, height))
    whole: Tensor | None = None
    for start in range(0, height, at_once):
        stop, first = min(start + at_once, height), max(start - reach, 0)
        part = compute(slice(first, min(stop + reach, height)))
        if whole is None:
            shape = (*part.shape[:2], height, part.shape[3])
            whole = torch.empty(
                shape, dtype=part.dtype, device=part.device, memory_format=torch.channels_last
            )
        whole[:, :, start:stop] = part[:, :, start - first : stop - first]
    assert whole is not None
    return whole


class ResBlock(nn.Module):
    """``x + conv(activation(conv(x)))`` without normalisation (Lim et al., EDSR, CVPRW 2017).

    Batch statistics would tie a pixel to its whole tile; without them the field stays finite. But
    without them, plain ReLUs die in training: all those of the inner levels did, unnoticed by the
    loss, hence the leak by default.
    """

    def __init__(self, width: int, activation: str = "leaky_relu") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.activation = ACTIVATIONS[activation]()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.conv1.weight, LEAK, nonlinearity="leaky_relu")
        nn.init.kaiming_normal_(self.conv2.weight, nonlinearity="linear")
        with torch.no_grad():
            self.conv2.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, width, H, W)`` to the same shape."""
        return self.conv2(self.activation(self.conv1(x))).add_(x)
