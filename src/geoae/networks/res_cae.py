"""The residual convolutional autoencoder with skips; by default its bottleneck is at 1/8 of the
side.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from geoae.networks.layers import (
    UPSAMPLINGS,
    ResBlock,
    apply_gate,
    by_rows,
    level_at,
    refuse_levels,
    spread_levels,
)

__all__ = ["ResCAE", "Share", "adapt"]

# Rows of a level that a CPU computes at a time: their features need a fraction of the memory of a
# whole tile's, and fit the cache better.
ROWS = 256
# Changes the features of a place, given its name.
Share = Callable[[str, Tensor], Tensor]


class ResCAE(nn.Module):
    """Residual autoencoder with skips, which takes the noise level of each component as input.

    A pixel-unshuffle stem works at half the side (Shi et al., CVPR 2016; FFDNet, Zhang et al., TIP
    2018). Strided convolutions lead to the bottleneck at ``1 / 2**len(widths)``, up-sampling leads
    back; the encoder's outputs are concatenated to the decoder's (Ronneberger et al., 2015).

    Args:
        channels: components that the network takes at once.
        widths: features at 1/2, 1/4, ... of the input's side.
        blocks: residual blocks of each level, from the encoder's first to the decoder's last.
        upsampling: key of ``UPSAMPLINGS``.
        activation: key of ``ACTIVATIONS``.
        levels: noise levels of each component: 1, or 9 where the network takes the shape of the
            noise's spectrum too, as ``geoae.radiometry.spectrum`` describes it.
        pointwise: whether the bottleneck's last convolution is 1 x 1, so that the network sees less
            far by one pixel of the bottleneck.

    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (1, 1, 1, 1, 1),
        upsampling: str = "transposed",
        activation: str = "leaky_relu",
        levels: int = 1,
        pointwise: bool = False,
    ) -> None:
        super().__init__()
        depth = len(widths)
        refuse_levels(levels)
        if len(blocks) != 2 * depth - 1:
            raise ValueError(f"blocks = {list(blocks)}: {depth} widths need {2 * depth - 1}")

        def stage(width: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(ResBlock(width, activation) for _ in range(count)))

        pairs = list(itertools.pairwise(widths))
        self.channels, self.multiple, self.levels = channels, 2**depth, levels
        self.field = _field(blocks, upsampling) - (2**depth if pointwise else 0)
        self.stem = nn.Conv2d((4 + levels) * channels, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            stage(*pair) for pair in zip(widths[:-1], blocks, strict=False)
        )
        self.down = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.middle = stage(widths[-1], blocks[depth - 1])
        if pointwise:
            cast(ResBlock, self.middle[-1]).conv2 = nn.Conv2d(widths[-1], widths[-1], 1)
        self.up = nn.ModuleList(UPSAMPLINGS[upsampling](coarse, fine) for fine, coarse in pairs)
        self.merge = nn.ModuleList(nn.Conv2d(2 * fine, fine, 1) for fine, _ in pairs)
        self.decoder = nn.ModuleList(
            stage(*pair) for pair in zip(widths[:-1], blocks[::-1], strict=False)
        )
        self.head = nn.Conv2d(widths[0], 4 * channels, 3, padding=1)
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
        return apply_gate(self.predict_open(pixels, sigma, shape), sigma)

    def predict_open(
        self,
        pixels: Tensor,
        sigma: Tensor,
        shape: Tensor | None,
        share: Share = lambda place, x: x,
    ) -> Tensor:
        """Predict the noise before the gate; arguments as for ``forward``.

        Args:
            pixels: as for ``forward``.
            sigma: as for ``forward``.
            shape: as for ``forward``.
            share: changes the features ``(B, width, H, W)`` of a place, pixel by pixel: after each
                stage of the encoder, in the middle, and before each stage of the decoder but its
                last.

        """
        told = spread_levels(level_at(sigma, pixels, 2), shape, self.levels)
        x = torch.cat([nn.functional.pixel_unshuffle(pixels, 2), told], dim=1)
        if not self.down:
            x = share("middle", self.middle(self.stem(x)))
            return nn.functional.pixel_shuffle(self.head(x), 2)
        rows = ROWS if len(x) == 1 else ROWS // 2
        # Training keeps every activation anyway, and a GPU is fast on large arrays only.
        bounded = x.device.type == "cpu" and not torch.is_grad_enabled()
        skips: list[Tensor] = []
        for level, down in enumerate(self.down):
            at_once = rows if bounded else x.shape[2]
            skips.append(
                by_rows(
                    partial(self._encode, x, level, share),
                    x.shape[2],
                    self._reach(level),
                    at_once,
                )
            )
            x = down(skips[-1])
        x = share("middle", self.middle(x))
        while skips:
            skip, level = skips.pop(), len(skips)
            at_once = rows if bounded else skip.shape[2]
            x = by_rows(
                partial(self._decode, x, skip, level, share),
                skip.shape[2],
                self._reach(level),
                at_once,
            )
        return nn.functional.pixel_shuffle(x, 2)

    def _encode(self, x: Tensor, level: int, share: Share, rows: slice) -> Tensor:
        """Compute ``rows`` of the skip of a level from the level's input ``x``."""
        x = x[:, :, rows]
        return share(f"encoder{level}", self.encoder[level](self.stem(x) if level == 0 else x))

    def _decode(self, inner: Tensor, skip: Tensor, level: int, share: Share, rows: slice) -> Tensor:
        """Compute ``rows`` of a level's output from the output ``inner`` of the level below and the
        skip.

        At level 0 this is the output of the network before the last pixel shuffle.
        """
        x = self.up[level](inner[:, :, rows.start // 2 : rows.stop // 2])
        x = self.merge[level](torch.cat([x, skip[:, :, rows]], dim=1))
        x = share(f"decoder{level}", x) if level else x
        # Block by block: the call of the whole stage would hold its input.
        for block in cast(nn.Sequential, self.decoder[level]):
            x = block(x)
        return cast(Tensor, self.head(x) if level == 0 else x)

    def _reach(self, level: int) -> int:
        """Return the rows by which one half of a level looks beyond its own.

        Two for each block, and one each for stem, head and up-sampling.
        """
        blocks = max(
            len(cast(nn.Sequential, stage[level])) for stage in (self.encoder, self.decoder)
        )
        return 2 * blocks + 2  # even, since two rows become one


def adapt(state: Mapping[str, Tensor], network: ResCAE) -> dict[str, Tensor]:
    """Convert the weights of a plain ``ResCAE`` to one with several levels, or a pointwise one.

    The stem's weights of the level are spread evenly over the levels, so that the network computes
    the same for white noise. A pointwise convolution gets the sum of the weights of its neighbours,
    so that it computes the same where features are flat.

    Args:
        state: weights of a network that differs from ``network`` in ``levels`` and ``pointwise``
            alone.
        network: the network that is to have the weights.

    Returns:
        Weights for ``network``.

    """
    adapted = dict(state)
    for name, target in network.state_dict().items():
        weight = state[name]
        if weight.shape == target.shape:
            continue
        if name == "stem.weight":
            pixels, level = weight.split([4 * network.channels, network.channels], dim=1)
            spread = level.repeat_interleave(network.levels, dim=1) / network.levels
            adapted[name] = torch.cat([pixels, spread], dim=1)
        else:
            adapted[name] = weight.sum(dim=(2, 3), keepdim=True)
    return adapted


def _field(blocks: Sequence[int], upsampling: str) -> int:
    """Return the half receptive field in pixels.

    It adds up two convolutions a block, stem, head, and the position on the network's grid.
    """
    depth = len(blocks) // 2 + 1
    field = 4 + 2**depth - 1
    for index, count in enumerate(blocks):
        side = 2 ** (min(index, 2 * depth - 2 - index) + 1)
        field += 2 * side * count
    if upsampling == "nearest":
        field += sum(2 ** (level + 1) for level in range(depth - 1))
    return field
