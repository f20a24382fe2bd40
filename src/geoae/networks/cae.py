"""The basic convolutional autoencoder, the first example of the article."""

from collections.abc import Sequence

from torch import Tensor, nn

from geoae.networks.layers import ACTIVATIONS, apply_gate, with_level

__all__ = ["CAE"]


class CAE(nn.Module):
    """Convolutions 3 x 3 with 32 and 64 features, each with max pooling, and up-sampling back.

    As in the article, the decoder predicts the *image*: all that it knows has passed the
    bottleneck, whose side is ``1 / 2**len(widths)`` of the input's. The article's last layer is a
    sigmoid for RGB in 0..1; this one is linear, since model units are not bounded.

    Args:
        channels: components that the network takes at once.
        widths: features of each level.
        activation: key of ``ACTIVATIONS``.

    """

    def __init__(
        self, channels: int = 1, widths: Sequence[int] = (32, 64), activation: str = "relu"
    ) -> None:
        super().__init__()
        self.channels, self.multiple = channels, 2 ** len(widths)
        # Each level's convolution counts twice, down and up; then head and position on the grid.
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
        """Predict the noise: the pixels less the image that the decoder predicts.

        Args:
            pixels: noisy pixels ``(B, C, H, W)`` in model units; H and W divisible by ``multiple``.
            sigma: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or ``(B, C, H,
                W)``.

        Returns:
            Residual ``(B, C, H, W)`` in model units, float32.

        """
        return apply_gate(pixels - self.head(self.body(with_level(pixels, sigma))), sigma)
