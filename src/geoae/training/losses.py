"""Loss functions: restored and clean chips and noise level ``(B, C, H, W)`` to a scalar."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["LOSSES", "Loss"]

# (restored, clean, sigma) in model units, each (B, C, H, W), to a scalar.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

# Noise in model units below which an error no longer weighs more: half a grey level of 255.
FAINT = 2e-3
# Charbonnier's corner, as Lai et al. use it (CVPR 2017), in model units.
CORNER = 1e-3


def relative(restored: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
    """Root mean square of the error over sigma of each sample, averaged over the batch.

    Faint and strong noise, smooth and rough ground have equal weight. The optimum of squares is the
    conditional mean; that of absolute values would shift skewed scenes towards their median. Empty
    components, which pad a scene's bands to a full group, do not count.
    """
    level = sigma.square().mean(dim=(2, 3)).sqrt()
    present = (level > 0).float()
    error = ((restored - clean) ** 2).mean(dim=(2, 3)) / level.clamp(min=FAINT) ** 2
    square = (error * present).sum(dim=1) / present.sum(dim=1).clamp(min=1)
    return (square + 1e-4).sqrt().mean()


def l1(restored: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
    """Mean absolute error."""
    return (restored - clean).abs().mean()


def mse(restored: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
    """Mean squared error."""
    return ((restored - clean) ** 2).mean()


def charbonnier(restored: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
    """Mean of ``sqrt(error**2 + CORNER**2)``, an L1 loss with a round corner (Charbonnier et al.,
    ICIP 1994).
    """
    return torch.sqrt((restored - clean) ** 2 + CORNER**2).mean()


def ssim(restored: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
    """``1 - SSIM`` (Wang et al., IEEE TIP 13(4), 2004) for a range of values of one model unit."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    return 1 - structural_similarity_index_measure(restored, clean, data_range=1.0)


LOSSES: dict[str, Loss] = {
    "relative": relative,
    "l1": l1,
    "mse": mse,
    "charbonnier": charbonnier,
    "ssim": ssim,
}
