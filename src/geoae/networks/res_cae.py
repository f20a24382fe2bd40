"""The residual convolutional autoencoder with skips and a bottleneck at 1/8 of the input's side."""

import torch
from torch import Tensor, nn

__all__ = ["ResCAE"]

LEAK = 0.1
FAINT = 5e-3


class ResBlock(nn.Module):
    """``x + conv(leaky_relu(conv(x)))`` without normalisation (Lim et al., EDSR, CVPRW 2017).

    Batch statistics would tie a pixel to its whole tile; without them the field stays finite. But
    without them, plain ReLUs die in training: all those of the inner levels did, unnoticed by the
    loss, hence the leak.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.kaiming_normal_(self.conv1.weight, LEAK, nonlinearity="leaky_relu")
        nn.init.kaiming_normal_(self.conv2.weight, nonlinearity="linear")
        with torch.no_grad():
            self.conv2.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, width, H, W)`` to the same shape."""
        return x + self.conv2(nn.functional.leaky_relu(self.conv1(x), LEAK))


class ResCAE(nn.Module):
    """Residual autoencoder on ``channels`` components at once, told the noise level of each.

    A pixel-unshuffle stem works at half the side (Shi et al., CVPR 2016; FFDNet, Zhang et al., TIP
    2018), two strided convolutions lead to the bottleneck at 1/8, two transposed ones back; the
    encoder's outputs are concatenated to the decoder (Ronneberger et al., 2015). The output is
    gated by ``sigma / (sigma + FAINT)``: where sigma is zero the residual is exactly zero, and
    above faint noise the gate is open. A plain product with sigma would leave the network a gain
    of one over sigma to learn, which it does to a tenth only.

    ``widths``: feature channels at 1/2, 1/4 and 1/8; ``blocks``: residual blocks on each of the
    five levels from the encoder's first to the decoder's last.
    """

    multiple = 8

    def __init__(
        self,
        channels: int = 1,
        widths: tuple[int, int, int] = (32, 64, 128),
        blocks: tuple[int, int, int, int, int] = (1, 1, 1, 1, 1),
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        stages = zip(blocks, (fine, middle, coarse, middle, fine), strict=True)
        enc1, enc2, mid, dec2, dec1 = (
            nn.Sequential(*(ResBlock(width) for _ in range(count))) for count, width in stages
        )
        self.channels = channels
        self.field = 4 + 4 * (blocks[0] + blocks[4]) + 8 * (blocks[1] + blocks[3]) + 16 * blocks[2] + 7
        self.stem = nn.Conv2d(4 * channels + channels, fine, 3, padding=1)
        self.enc1, self.enc2, self.mid, self.dec2, self.dec1 = enc1, enc2, mid, dec2, dec1
        self.down1 = nn.Conv2d(fine, middle, 2, stride=2)
        self.down2 = nn.Conv2d(middle, coarse, 2, stride=2)
        self.up2 = nn.ConvTranspose2d(coarse, middle, 2, stride=2)
        self.up1 = nn.ConvTranspose2d(middle, fine, 2, stride=2)
        self.merge2 = nn.Conv2d(2 * middle, middle, 1)
        self.merge1 = nn.Conv2d(2 * fine, fine, 1)
        self.head = nn.Conv2d(fine, 4 * channels, 3, padding=1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        """Residual ``(B, C, H, W)`` of ``pixels`` ``(B, C, H, W)`` in model units.

        ``sigma``: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or a map
        ``(B, C, H, W)``; H and W divisible by ``multiple``.
        """
        folded = nn.functional.pixel_unshuffle(pixels, 2)
        level = nn.functional.avg_pool2d(sigma, 2) if sigma.shape[-1] > 1 else sigma
        level = level.expand(-1, -1, *folded.shape[-2:])
        skip1 = self.enc1(self.stem(torch.cat([folded, level], dim=1)))
        skip2 = self.enc2(self.down1(skip1))
        x = self.mid(self.down2(skip2))
        x = self.dec2(self.merge2(torch.cat([self.up2(x), skip2], dim=1)))
        x = self.dec1(self.merge1(torch.cat([self.up1(x), skip1], dim=1)))
        return sigma / (sigma + FAINT) * nn.functional.pixel_shuffle(self.head(x), 2).float()
