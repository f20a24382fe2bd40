"""The halo of a network, measured."""

import torch
from torch import nn

__all__ = ["measure_halo"]

TOLERANCE = 1e-5
# Noise levels that training covers, in model units, and the one that reaches farthest.
LEVELS = (0.02, 0.1, 0.25)


@torch.inference_mode()
def measure_halo(network: nn.Module, channels: int, multiple: int, seed: int = 0) -> int:
    """Distance in pixels beyond which an input changes the output by less than 1e-5 model units.

    Everything beyond a border is replaced by something else (other noise, an adversarial checker of
    full contrast, a bright step) and the change is followed inwards, for every phase of the border
    on the network's grid and for faint to strong noise, in float32.
    """
    generator = torch.Generator().manual_seed(seed)
    side, middle = 256, 128
    farthest = 0
    for level in LEVELS:
        sigma = torch.full((1, channels, 1, 1), level)
        base = 0.5 * torch.rand((1, channels, 64, side), generator=generator)
        base += level * torch.randn(base.shape, generator=generator)
        checker = ((torch.arange(64)[:, None] + torch.arange(side)[None, :]) % 2).float().expand_as(base)
        for other in (base.roll(64, -1).flip(-2), checker * 2 - 1, torch.full_like(base, 2.0)):
            for phase in range(0, multiple, 3):
                border = middle + phase
                changed = torch.cat([base[..., :border], other[..., border:]], dim=-1)
                change = (network(base, sigma) - network(changed, sigma)).abs().amax(dim=(0, 1, 2))[:border]
                reached = torch.nonzero(change >= TOLERANCE)
                farthest = max(farthest, border - int(reached[0]) if len(reached) else 0)
    return farthest
