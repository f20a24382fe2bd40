"""The basic convolutional autoencoder: the article's first example."""

from collections.abc import Sequence

from torch import Tensor, nn

from geoae.networks.layers import ACTIVATIONS, gated, with_level

__all__ = ["CAE"]


class CAE(nn.Module):
    """Convolutions 32 then 64, 3 x 3, each with max pooling, and up-sampling back.

    As in the article, the decoder draws the *image*; all it knows went through the bottleneck at
    ``1 / 2**len(widths)`` of the side. The article's last layer is a sigmoid for RGB in 0..1; ours
    is linear, since model units are not bounded. ``widths``: features of each level;
    ``activation``: a name in ``layers``.
    """

    def __init__(
        self, channels: int = 1, widths: Sequence[int] = (32, 64), activation: str = "relu"
    ) -> None:
        super().__init__()
        self.channels, self.multiple = channels, 2 ** len(widths)
        # Each level's convolution counts twice, down and up; then the head, and the grid's phase.
        self.field = (
            2 * sum(2**level for level in range(len(widths)))
            + self.multiple
            + 2 * (self.multiple - 1)
        )
        layers: list[nn.Module] = []
        inner = 2 * channels
        for width in widths:
            layers += [
                nn.Conv2d(inner, width, 3, padding=1),
                ACTIVATIONS[activation](),
                nn.MaxPool2d(2),
            ]
            inner = width
        for width in reversed(widths):
            layers += [
                nn.Conv2d(inner, width, 3, padding=1),
                ACTIVATIONS[activation](),
                nn.Upsample(scale_factor=2),
            ]
            inner = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(inner, channels, 3, padding=1)

    def forward(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        """Residual ``(B, C, H, W)`` of ``pixels``: what they differ by from the image drawn.

        ``sigma``: ``(B, C, 1, 1)`` or a map ``(B, C, H, W)``; H and W divisible by ``multiple``.
        """
        return gated(pixels - self.head(self.body(with_level(pixels, sigma))), sigma)
