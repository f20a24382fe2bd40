"""NAFNet: gated blocks without activation functions, behind a pixel-unshuffle stem."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geoae.networks.layers import apply_gate, level_at

__all__ = ["NAFNet"]

EPSILON = 1e-6


class ChannelNorm(nn.Module):
    """Normalise each pixel over its features, so that no pixel depends on the rest of its tile."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x``, ``(B, width, H, W)``, over its second dimension."""
        variance, mean = torch.var_mean(x, dim=1, keepdim=True, correction=0)
        return (x - mean) / (variance + EPSILON).sqrt() * self.weight + self.bias


class NAFBlock(nn.Module):
    """The block of Chen, Chu, Zhang and Sun, "Simple Baselines for Image Restoration", ECCV 2022.

    Two gated branches, whose learnt strength starts at zero. The authors' channel attention is left
    out: it pools over the whole image, so the receptive field would not be finite.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ChannelNorm(width), ChannelNorm(width)
        self.expand1, self.expand2 = nn.Conv2d(width, 2 * width, 1), nn.Conv2d(width, 2 * width, 1)
        self.spatial = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.reduce1, self.reduce2 = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.strength1 = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.strength2 = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block; ``x`` and the result are ``(B, width, H, W)``."""
        first, second = self.spatial(self.expand1(self.norm1(x))).chunk(2, dim=1)
        x = x + self.strength1 * self.reduce1(first * second)
        first, second = self.expand2(self.norm2(x)).chunk(2, dim=1)
        return x + self.strength2 * self.reduce2(first * second)


class NAFNet(nn.Module):
    """A U-shaped network of ``NAFBlock``s with additive skips.

    Args:
        channels: components that the network takes at once.
        widths: features at 1/2, 1/4, ... of the input's side.
        blocks: blocks of each level, from the encoder's first to the decoder's last.

    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 96),
        blocks: Sequence[int] = (2, 2, 4, 2, 2),
    ) -> None:
        super().__init__()
        depth = len(widths)
        if len(blocks) != 2 * depth - 1:
            raise ValueError(f"blocks = {list(blocks)}: {depth} widths need {2 * depth - 1}")

        def stage(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(NAFBlock(width) for _ in range(count)))

        pairs = list(itertools.pairwise(widths))
        self.channels, self.multiple = channels, 2**depth
        # One spatial convolution a block, stem and head, and the position on the grid.
        sides = [2 ** (min(index, 2 * depth - 2 - index) + 1) for index in range(len(blocks))]
        self.field = (
            4
            + sum(side * count for side, count in zip(sides, blocks, strict=True))
            + self.multiple
            - 1
        )
        self.stem = nn.Conv2d(4 * channels + channels, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            stage(*pair) for pair in zip(widths[:-1], blocks, strict=False)
        )
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.middle = stage(widths[-1], blocks[depth - 1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in pairs
        )
        self.decoder = nn.ModuleList(
            stage(*pair) for pair in zip(widths[:-1], blocks[::-1], strict=False)
        )
        self.head = nn.Conv2d(widths[0], 4 * channels, 3, padding=1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        """Predict the noise.

        Args:
            pixels: noisy pixels ``(B, C, H, W)`` in model units; H and W divisible by ``multiple``.
            sigma: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or ``(B, C, H,
                W)``.

        Returns:
            Residual ``(B, C, H, W)`` in model units, float32.

        """
        folded = nn.functional.pixel_unshuffle(pixels, 2)
        x = self.stem(torch.cat([folded, level_at(sigma, pixels, 2)], dim=1))
        skips = []
        for encode, down in zip(self.encoder, self.down, strict=True):
            skips.append(encode(x))
            x = down(skips[-1])
        x = self.middle(x)
        for level in reversed(range(len(skips))):
            x = self.decoder[level](self.up[level](x) + skips[level])
        return apply_gate(nn.functional.pixel_shuffle(self.head(x), 2), sigma)
