"""Principal components of a batch of scenes: ``Scale.principal`` for many at once."""

import torch
from torch import Tensor

from geoae.radiometry.scale import LEAST_NOISE, LEAST_WHITE, SPREAD

__all__ = ["principal"]


def principal(
    covariance: Tensor, sigma: Tensor, present: Tensor, group: int, *, shares_gain: bool
) -> Tensor:
    """Compute the maps to the components of noise-whitened scenes, as ``Scale.principal`` does.

    The sign of a component is arbitrary.

    Args:
        covariance: of each noisy scene, ``(B, N, N)``, float64.
        sigma: noise of each band, ``(B, N)``, float64.
        present: which bands a scene has, ``(B, N)``.
        group: components that the network takes at once.
        shares_gain: whether the components of a group have one gain.

    Returns:
        Map from bands to components, ``(B, C, N)``, where ``C`` is the next multiple of ``group``;
        components that a scene lacks are zero.

    """
    bands = sigma.shape[1]
    spread = covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
    white = torch.maximum(sigma, LEAST_NOISE * spread)
    white = torch.where(white > LEAST_WHITE, white, 1.0)
    whitened = covariance / (white[:, :, None] * white[:, None, :])
    # Bands that a scene lacks come last, behind all that it has.
    whitened = whitened - torch.diag_embed((~present).to(whitened.dtype))
    variances, vectors = torch.linalg.eigh(whitened)
    variances, vectors = variances.flip(-1), vectors.flip(-1)
    order = torch.arange(bands, device=sigma.device)
    leader = order // group * group if shares_gain else order
    # No component has less variance than its noise; one that seems to is not amplified.
    gain = 1.0 / (SPREAD * variances[:, leader].clamp(min=1.0).sqrt())
    forward = (gain * present)[:, :, None] * vectors.mT / white[:, None, :]
    return torch.nn.functional.pad(forward, (0, 0, 0, -bands % group))
