"""Networks: from pixels and their noise level to the noise, ``(B, C, H, W)`` each.

A network is a ``torch.nn.Module`` with ``forward(pixels, sigma)`` and two attributes:

* ``multiple``: height and width must be divisible by it. It is also the total down-sampling factor,
  so the network is shift-consistent only in steps of it.
* ``field``: the theoretical half receptive field in pixels, an upper bound of the halo.

It predicts the *noise*: ``restored = pixels - forward(pixels, sigma)``.

A network with an attribute ``levels`` of more than 1 takes the shape of the noise's spectrum too,
``forward(pixels, sigma, shape)``; without it, the noise counts as white. ``predict`` calls either.

``ARCHITECTURES`` lists the networks that a model's card may name. A new network is one file here
and one line there.
"""

from torch import Tensor, nn

from geoae.networks.cae import CAE
from geoae.networks.nafnet import NAFNet
from geoae.networks.res_cae import ResCAE
from geoae.networks.skip_cae import SkipCAE
from geoae.networks.smp import SMP
from geoae.networks.variational_cae import VariationalCAE

__all__ = ["ARCHITECTURES", "CAE", "SMP", "NAFNet", "ResCAE", "SkipCAE", "VariationalCAE", "predict", "takes_spectrum"]

ARCHITECTURES = {
    "cae": CAE,
    "nafnet": NAFNet,
    "res_cae": ResCAE,
    "skip_cae": SkipCAE,
    "smp": SMP,
    "variational_cae": VariationalCAE,
}


def takes_spectrum(network: nn.Module) -> bool:
    """Whether a network takes the shape of the noise's spectrum."""
    return int(getattr(network, "levels", 1)) > 1  # type: ignore[arg-type]


def predict(network: nn.Module, pixels: Tensor, sigma: Tensor, shape: Tensor | None) -> Tensor:
    """Predict the noise with any network; one that does not take a spectrum is not told it.

    Args:
        network: a network as this package describes it.
        pixels: noisy pixels ``(B, C, H, W)`` in model units.
        sigma: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or ``(B, C, H, W)``.
        shape: shape of the noise's spectrum ``(B, C, 9)``; None for white noise.

    Returns:
        Residual ``(B, C, H, W)`` in model units.

    """
    told = (pixels, sigma, shape) if takes_spectrum(network) else (pixels, sigma)
    residual: Tensor = network(*told)
    return residual
