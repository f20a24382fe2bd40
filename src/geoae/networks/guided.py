"""One component at a time, with an eye on the others: what they share, edges above all, shows in the clearer ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geoae.networks.layers import level_at
from geoae.networks.res_cae import ResCAE

__all__ = ["Guided"]


class Guided(nn.Module):
    """A ``ResCAE`` for one component, which is shown the other components of its group beside it.

    The same weights restore every component of a group of ``channels``, and the only band of a panchromatic
    scene, which costs what one component costs: components without noise level are empty, and neither
    restored nor shown. What is shown enters after the stem by a convolution of its own, which begins at
    zero: a network that has learnt to restore a component by itself can be trained on from there.

    ``widths``, ``blocks``: as of ``ResCAE``.
    """

    def __init__(
        self, channels: int = 4, widths: Sequence[int] = (32, 64, 128), blocks: Sequence[int] = (1, 1, 1, 1, 1)
    ) -> None:
        super().__init__()
        self.core = ResCAE(channels=1, widths=widths, blocks=blocks)
        # Four pixels and a level of each other component.
        self.guide = nn.Conv2d(5 * (channels - 1), widths[0], 3, padding=1, bias=False)
        nn.init.zeros_(self.guide.weight)
        self.channels, self.multiple, self.field = channels, self.core.multiple, self.core.field

    def forward(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        """Residual ``(B, C, H, W)`` of ``pixels``.

        ``sigma``: ``(B, C, 1, 1)`` or a map ``(B, C, H, W)``; H and W divisible by ``multiple``.
        """
        present = sigma.amax(dim=(2, 3)) > 0
        folded = nn.functional.pixel_unshuffle(pixels, 2).unflatten(1, (self.channels, 4))
        seen = torch.cat([folded, level_at(sigma, pixels, 2).unsqueeze(2)], dim=2)
        residual = torch.zeros_like(pixels, dtype=torch.promote_types(pixels.dtype, torch.float32))
        for index in range(self.channels):
            rows = present[:, index]
            if not rows.any():
                continue
            others = torch.arange(self.channels, device=pixels.device) != index
            hint = self.guide(seen[rows][:, others].flatten(1, 2)) if present[rows][:, others].any() else None
            one = slice(index, index + 1)
            residual[rows, one] = self.core(pixels[rows, one], sigma[rows, one], hint)
        return residual
