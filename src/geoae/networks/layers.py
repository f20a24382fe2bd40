"""Layers that the networks share: noise level as input, gate of the output, up-sampling, blocks."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = [
    "ACTIVATIONS",
    "UPSAMPLINGS",
    "ResBlock",
    "apply_gate",
    "by_rows",
    "level_at",
    "refuse_levels",
    "spread_levels",
    "with_level",
]

LEAK = 0.1
# Noise in model units at which the gate is half open: about a grey level of 255.
FAINT = 5e-3
# Noise levels of a component: its deviation, or that at each frequency of a spectrum.
LEVELS = (1, 9)

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(LEAK, inplace=True),
    "elu": lambda: nn.ELU(inplace=True),
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


def _transposed_convolution(inner: int, outer: int) -> nn.Module:
    return nn.ConvTranspose2d(inner, outer, 2, stride=2)


def _nearest(inner: int, outer: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inner, outer, 3, padding=1))


# (inner, outer) features to a module that doubles both sides. Kernel and stride of the transposed
# convolution are equal, so that every output has as many contributions as the next and no checker
# pattern arises from uneven overlap (Odena, Dumoulin and Olah, Distill, 2016).
UPSAMPLINGS: dict[str, Callable[[int, int], nn.Module]] = {
    "transposed": _transposed_convolution,
    "nearest": _nearest,
}


def level_at(sigma: Tensor, pixels: Tensor, shrink: int = 1) -> Tensor:
    """Bring the noise level to the size of an inner layer.

    Args:
        sigma: noise level ``(B, C, 1, 1)`` or ``(B, C, H, W)``.
        pixels: input of the network ``(B, C, H, W)``, which gives the size.
        shrink: factor by which the layer's height and width are smaller than the input's.

    Returns:
        Noise level ``(B, C, H / shrink, W / shrink)``.

    """
    if sigma.shape[-2:] == (1, 1):
        return sigma.expand(-1, -1, pixels.shape[-2] // shrink, pixels.shape[-1] // shrink)
    return nn.functional.avg_pool2d(sigma, shrink) if shrink > 1 else sigma


def refuse_levels(levels: int) -> None:
    """Raise ``ValueError`` where ``levels`` is no number of noise levels a component can have."""
    if levels not in LEVELS:
        raise ValueError(f"levels = {levels}: give 1 or 9")


def spread_levels(level: Tensor, shape: Tensor | None, levels: int) -> Tensor:
    """Multiply the noise level by the shape of its spectrum.

    Args:
        level: noise level ``(B, C, H, W)``.
        shape: square root of the power at each of ``levels`` frequencies, ``(B, C, levels)``;
            None where the noise is white.
        levels: levels of each component; with 1 there is no shape.

    Returns:
        Noise level at each frequency ``(B, C * levels, H, W)``, the frequencies of a component
        side by side.

    """
    if levels == 1:
        return level
    if shape is None:
        return level.repeat_interleave(levels, dim=1)
    return (level[:, :, None] * shape[..., None, None]).flatten(1, 2)


def with_level(pixels: Tensor, sigma: Tensor) -> Tensor:
    """Concatenate pixels and noise level.

    Args:
        pixels: ``(B, C, H, W)`` in model units.
        sigma: noise level ``(B, C, 1, 1)`` or ``(B, C, H, W)``.

    Returns:
        Pixels, then noise level, ``(B, 2 C, H, W)``.

    """
    return torch.cat([pixels, level_at(sigma, pixels)], dim=1)


def apply_gate(residual: Tensor, sigma: Tensor) -> Tensor:
    """Scale a residual by ``sigma / (sigma + FAINT)``, so that no noise gives a residual of zero.

    Above faint noise the gate is open. A product with sigma alone would leave the network to learn
    a gain of one over sigma; in training it reaches only a tenth of that.

    Args:
        residual: output of the network's last layer ``(B, C, H, W)``.
        sigma: noise level in model units, ``(B, C, 1, 1)`` or ``(B, C, H, W)``.

    Returns:
        Residual ``(B, C, H, W)``, float32.

    """
    return sigma / (sigma + FAINT) * residual.float()


def by_rows(compute: Callable[[slice], Tensor], height: int, reach: int, at_once: int) -> Tensor:
    """Compute an output in bands of rows, one after the other, to bound the memory of inner layers.

    Args:
        compute: computes the output ``(B, C, rows, W)`` for a range of rows. Its first and last
            ``reach`` rows may be wrong unless they are the first or last rows of the whole output;
            such rows are discarded.
        height: rows of the whole output.
        reach: rows by which ``compute`` looks beyond its range.
        at_once: rows to keep of each range.

    Returns:
        The whole output ``(B, C, height, W)``.

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

    Batch statistics would make a pixel depend on its whole tile; without them the receptive field
    stays finite. Without normalisation, however, plain ReLUs can die during training, and the loss
    does not show it; leaky ReLUs, the default, do not die.
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
        """Compute the block; ``x`` and the result are ``(B, width, H, W)``."""
        return self.conv2(self.activation(self.conv1(x))).add_(x)
