"""The variational autoencoder: latent distributions, whose spread gives an uncertainty."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geoae.networks.layers import LEAK, ResBlock, apply_gate, with_level

__all__ = ["VariationalCAE"]

# Limits of the logarithm of a variance x, so that exp(x / 2) neither vanishes nor overflows.
LOG_VARIANCE = (-12.0, 4.0)


class VariationalCAE(nn.Module):
    """Encoder to a mean and a variance of each latent feature; the decoder predicts the image.

    Kingma and Welling, ICLR 2014. In training mode the latents are sampled, and ``divergence``
    holds the Kullback-Leibler divergence from the unit Gaussian, per latent value, for the loss. In
    evaluation mode the mean is decoded, so a restoration is deterministic; ``spread`` samples.

    Args:
        channels: components that the network takes at once.
        widths: features at 1/2, 1/4, ... of the input's side.
        latent: features of the bottleneck.
        beta: weight of the divergence in the loss (Higgins et al., ICLR 2017).

    """

    def __init__(
        self,
        channels: int = 1,
        widths: Sequence[int] = (32, 64),
        latent: int = 64,
        beta: float = 1e-3,
    ) -> None:
        super().__init__()
        self.channels, self.multiple, self.beta = channels, 2 ** len(widths), beta
        # A block and a resampling convolution of two pixels at each level, down and up, and the
        # position on the grid.
        self.field = 4 * sum(2 ** (level + 1) for level in range(len(widths))) + 4 * self.multiple
        encoder: list[nn.Module] = []
        inner = 2 * channels
        for width in widths:
            encoder += [nn.Conv2d(inner, width, 2, stride=2), nn.LeakyReLU(LEAK), ResBlock(width)]
            inner = width
        decoder: list[nn.Module] = [nn.Conv2d(latent, inner, 1)]
        for width in reversed((2 * channels, *widths[:-1])):
            decoder += [
                ResBlock(inner),
                nn.LeakyReLU(LEAK),
                nn.ConvTranspose2d(inner, width, 2, stride=2),
            ]
            inner = width
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)
        self.moments = nn.Conv2d(widths[-1], 2 * latent, 1)
        self.head = nn.Conv2d(inner, channels, 3, padding=1)
        self.divergence = torch.zeros(())

    def encode(self, pixels: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the distribution of the latents.

        Args:
            pixels: noisy pixels ``(B, C, H, W)`` in model units.
            sigma: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or ``(B, C, H,
                W)``.

        Returns:
            Mean and standard deviation, ``(B, latent, H / multiple, W / multiple)`` each.

        """
        mean, log_variance = self.moments(self.encoder(with_level(pixels, sigma))).chunk(2, dim=1)
        log_variance = log_variance.clamp(*LOG_VARIANCE)
        if self.training:
            self.divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        return mean, (0.5 * log_variance).exp()

    def decode(self, latent: Tensor) -> Tensor:
        """Predict the image ``(B, C, H, W)`` from the latents ``(B, latent, H / multiple, W /
        multiple)``.
        """
        return self.head(self.decoder(latent))

    def forward(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        """Predict the noise: the pixels less the image that the decoder predicts.

        Args:
            pixels: noisy pixels ``(B, C, H, W)`` in model units; H and W divisible by ``multiple``.
            sigma: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or ``(B, C, H,
                W)``.

        Returns:
            Residual ``(B, C, H, W)`` in model units, float32.

        """
        mean, deviation = self.encode(pixels, sigma)
        latent = mean + deviation * torch.randn_like(deviation) if self.training else mean
        return apply_gate(pixels - self.decode(latent), sigma)

    @torch.inference_mode()
    def spread(
        self, pixels: Tensor, sigma: Tensor, draws: int, generator: torch.Generator
    ) -> Tensor:
        """Estimate the uncertainty of each pixel: the deviation of the image over sampled latents.

        Call it in evaluation mode.

        Args:
            pixels: noisy pixels ``(B, C, H, W)`` in model units; H and W divisible by ``multiple``.
            sigma: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or ``(B, C, H,
                W)``.
            draws: number of samples, two or more.
            generator: source of random numbers, on the device of ``pixels``.

        Returns:
            Standard deviation ``(B, C, H, W)`` in model units.

        """
        mean, deviation = self.encode(pixels, sigma)
        images = []
        for _ in range(draws):
            drawn = torch.randn(
                mean.shape, generator=generator, device=mean.device, dtype=mean.dtype
            )
            images.append(self.decode(mean + deviation * drawn))
        return torch.stack(images).std(dim=0)
