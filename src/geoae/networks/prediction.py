"""Call any network, whether it takes the spectrum of the noise or its level alone."""

from torch import Tensor, nn

__all__ = ["predict", "takes_spectrum"]


def takes_spectrum(network: nn.Module) -> bool:
    """Whether a network takes the shape of the noise's spectrum."""
    return int(getattr(network, "levels", 1)) > 1


def predict(network: nn.Module, pixels: Tensor, sigma: Tensor, shape: Tensor | None) -> Tensor:
    """Predict the noise with any network; one that does not take a spectrum is not told it.

    Args:
        network: a network as ``geoae.networks`` describes it.
        pixels: noisy pixels ``(B, C, H, W)`` in model units.
        sigma: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or ``(B, C, H, W)``.
        shape: shape of the noise's spectrum ``(B, C, 9)``; None for white noise.

    Returns:
        Residual ``(B, C, H, W)`` in model units.

    """
    told = (pixels, sigma, shape) if takes_spectrum(network) else (pixels, sigma)
    residual: Tensor = network(*told)
    return residual
