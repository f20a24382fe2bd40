"""The convolutional autoencoder with skips, the second example of the article."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geoae.networks.layers import (
    ACTIVATIONS,
    UPSAMPLINGS,
    apply_gate,
    level_at,
    refuse_levels,
    spread_levels,
)

__all__ = ["SkipCAE"]


class SkipCAE(nn.Module):
    """``CAE`` whose encoder's outputs are concatenated to the decoder's.

    Args:
        channels: components that the network takes at once.
        widths: features at full side, 1/2, 1/4, ...; the last is the bottleneck.
        image: whether the decoder predicts the image, as in the article, rather than the noise.
        upsampling: key of ``UPSAMPLINGS``.
        activation: key of ``ACTIVATIONS``.
        levels: noise levels of each component: 1, or 9 where the network takes the shape of the
            noise's spectrum too.

    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (16, 32, 64),
        image: bool = False,
        upsampling: str = "nearest",
        activation: str = "relu",
        levels: int = 1,
    ) -> None:
        super().__init__()
        refuse_levels(levels)
        self.channels, self.multiple, self.image = channels, 2 ** (len(widths) - 1), image
        self.levels = levels
        # A convolution down and one up at each level (and one more of nearest up-sampling), the
        # bottleneck's, the head, and the position on the grid.
        convolutions = 3 if upsampling == "nearest" else 2
        self.field = (
            convolutions * (self.multiple - 1) + self.multiple + 1 + 2 * (self.multiple - 1)
        )

        def stage(inner: int, outer: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inner, outer, 3, padding=1), ACTIVATIONS[activation]())

        pairs = list(itertools.pairwise(widths))
        self.encoder = nn.ModuleList(
            stage(inner, outer)
            for inner, outer in zip(((1 + levels) * channels, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(UPSAMPLINGS[upsampling](coarse, fine) for fine, coarse in pairs)
        self.decoder = nn.ModuleList(stage(2 * fine, fine) for fine, _ in pairs)
        self.head = nn.Conv2d(widths[0], channels, 3, padding=1)
        if not image:
            for parameter in self.head.parameters():
                nn.init.zeros_(parameter)

    def forward(self, pixels: Tensor, sigma: Tensor, shape: Tensor | None = None) -> Tensor:
        """Predict the noise.

        Args:
            pixels: noisy pixels ``(B, C, H, W)`` in model units; H and W divisible by ``multiple``.
            sigma: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or ``(B, C, H,
                W)``.
            shape: shape of the noise's spectrum ``(B, C, 9)``; None for white noise. Ignored where
                the network has one level.

        Returns:
            Residual ``(B, C, H, W)`` in model units, float32.

        """
        told = spread_levels(level_at(sigma, pixels), shape, self.levels)
        skips = [self.encoder[0](torch.cat([pixels, told], dim=1))]
        for encode in self.encoder[1:]:
            skips.append(encode(nn.functional.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for level in reversed(range(len(skips))):
            x = self.decoder[level](torch.cat([self.up[level](x), skips[level]], dim=1))
        drawn = self.head(x)
        return apply_gate(pixels - drawn if self.image else drawn, sigma)
