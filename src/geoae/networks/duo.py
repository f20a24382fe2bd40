"""Two networks as one: components that belong together are restored together, the others alone."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from geoae.networks.res_cae import ResCAE

__all__ = ["Duo"]


class Duo(nn.Module):
    """A group of ``channels`` components, of which those without noise level are empty, by one of two ``ResCAE``.

    What the leading components of a scene share, edges above all, lets each help the others:
    ``together`` takes the whole group at once. A group that is all but empty (the only band of a
    panchromatic scene, the last components of another) would pay for places it does not fill:
    ``alone`` takes its components one by one.

    ``together``, ``alone``: arguments of either ``ResCAE``, without their channels.
    """

    def __init__(
        self, channels: int = 4, together: Mapping[str, Any] | None = None, alone: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.together = ResCAE(channels=channels, **(together or {}))
        self.alone = ResCAE(channels=1, **(alone or {}))
        self.channels = channels
        self.multiple = max(self.together.multiple, self.alone.multiple)
        self.field = max(self.together.field, self.alone.field)

    def forward(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        """Residual ``(B, C, H, W)`` of ``pixels``.

        ``sigma``: ``(B, C, 1, 1)`` or a map ``(B, C, H, W)``; H and W divisible by ``multiple``.
        """
        present = sigma.amax(dim=(2, 3)) > 0
        # Together costs less than three times alone.
        full = present.sum(dim=1) >= self.channels - 1
        residual = torch.zeros_like(pixels, dtype=torch.promote_types(pixels.dtype, torch.float32))
        if full.any():
            residual[full] = self.together(pixels[full], sigma[full])
        lonely = present & ~full[:, None]
        if lonely.any():
            residual[lonely] = self.alone(pixels[lonely][:, None], sigma[lonely][:, None])[:, 0]
        return residual
