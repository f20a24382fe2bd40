"""The variational autoencoder: a bottleneck of distributions, whose spread is an uncertainty."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from geoae.networks.layers import LEAK, ResBlock, gated, with_level

__all__ = ["VariationalCAE"]

# exp(x / 2) of a logarithm of variance beyond these neither vanishes nor overflows.
LOG_VARIANCE = (-12.0, 4.0)


class VariationalCAE(nn.Module):
    """Encoder to a mean and a variance of each latent feature, decoder that draws the image.

    Kingma and Welling, ICLR 2014. In training mode a latent is drawn, and ``divergence`` holds the
    Kullback-Leibler divergence from the unit Gaussian, per latent value, for the loss to weigh. In
    evaluation mode the mean is decoded, so a restoration is deterministic; ``spread`` draws.

    ``widths``: features at 1/2, 1/4, ... of the side; ``latent``: features of the bottleneck;
    ``beta``: weight of the divergence in the loss (Higgins et al., ICLR 2017).
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
        # A block and a resampling convolution of two pixels at each level, both ways, and the
        # grid's phase.
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
        """Mean and standard deviation ``(B, latent, H / multiple, W / multiple)`` of the
        latents.
        """
        mean, log_variance = self.moments(self.encoder(with_level(pixels, sigma))).chunk(2, dim=1)
        log_variance = log_variance.clamp(*LOG_VARIANCE)
        if self.training:
            self.divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()
        return mean, (0.5 * log_variance).exp()

    def decode(self, latent: Tensor) -> Tensor:
        """The image of ``latent``, ``(B, C, H, W)``."""
        return self.head(self.decoder(latent))

    def forward(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        """Residual ``(B, C, H, W)`` of ``pixels``: what they differ by from the image drawn.

        ``sigma``: ``(B, C, 1, 1)`` or a map ``(B, C, H, W)``; H and W divisible by ``multiple``.
        """
        mean, deviation = self.encode(pixels, sigma)
        latent = mean + deviation * torch.randn_like(deviation) if self.training else mean
        return gated(pixels - self.decode(latent), sigma)

    @torch.inference_mode()
    def spread(
        self, pixels: Tensor, sigma: Tensor, draws: int, generator: torch.Generator
    ) -> Tensor:
        """Standard deviation of the image over ``draws`` latents (two or more), ``(B, C, H, W)`` in
        model units.

        How far the decoder's answer would move within what the encoder leaves open: a per-pixel
        uncertainty. Arguments as for ``forward``, in evaluation mode.
        """
        mean, deviation = self.encode(pixels, sigma)
        images = []
        for _ in range(draws):
            drawn = torch.randn(
                mean.shape, generator=generator, device=mean.device, dtype=mean.dtype
            )
            images.append(self.decode(mean + deviation * drawn))
        return torch.stack(images).std(dim=0)
