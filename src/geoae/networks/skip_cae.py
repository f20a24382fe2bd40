"""The convolutional autoencoder with skips, the second example of the article."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geoae.networks.layers import ACTIVATIONS, UPSAMPLINGS, apply_gate, with_level

__all__ = ["SkipCAE"]


class SkipCAE(nn.Module):
    """``CAE`` whose encoder's outputs are concatenated to the decoder's.

    Args:
        channels: components that the network takes at once.
        widths: features at full side, 1/2, 1/4, ...; the last is the bottleneck.
        image: whether the decoder predicts the image, as in the article, rather than the noise.
        upsampling: key of ``UPSAMPLINGS``.
        activation: key of ``ACTIVATIONS``.

    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (16, 32, 64),
        image: bool = False,
        upsampling: str = "nearest",
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.channels, self.multiple, self.image = channels, 2 ** (len(widths) - 1), image
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
            for inner, outer in zip((2 * channels, *widths[:-1]), widths, strict=True)
        )
        self.up = nn.ModuleList(UPSAMPLINGS[upsampling](coarse, fine) for fine, coarse in pairs)
        self.decoder = nn.ModuleList(stage(2 * fine, fine) for fine, _ in pairs)
        self.head = nn.Conv2d(widths[0], channels, 3, padding=1)
        if not image:
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
        skips = [self.encoder[0](with_level(pixels, sigma))]
        for encode in self.encoder[1:]:
            skips.append(encode(nn.functional.max_pool2d(skips[-1], 2)))
        x = skips.pop()
        for level in reversed(range(len(skips))):
            x = self.decoder[level](torch.cat([self.up[level](x), skips[level]], dim=1))
        drawn = self.head(x)
        return apply_gate(pixels - drawn if self.image else drawn, sigma)
