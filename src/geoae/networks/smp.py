"""Decoders and encoders of segmentation-models-pytorch, with a head that regresses the noise."""

from functools import cached_property

import torch
from torch import Tensor, nn

from geoae.networks.halo import measure_field
from geoae.networks.layers import apply_gate, with_level
from geoae.resources import require_extra

__all__ = ["SMP"]

# Features of the decoders that take them, from 1/16 of the side to the full one.
DECODER_WIDTHS = (256, 128, 64, 32, 16)


class SMP(nn.Module):
    """Any ``decoder`` over any ``encoder`` that the library knows by name, for any number of
    channels.

    Needs the extra ``train``. Trained from scratch: no weights are downloaded. Networks that look
    at the whole image at once (global pooling, attention, normalisation over the tile) have no
    finite receptive field, and ``field`` raises ``ValueError``. Unet, unetplusplus and linknet over
    encoders such as resnet and vgg have one.

    Args:
        channels: components that the network takes at once.
        decoder: name of the decoder.
        encoder: name of the encoder.
        depth: how many times the encoder halves the side; ``multiple`` is ``2**depth``.

    """

    def __init__(
        self, channels: int = 1, decoder: str = "unet", encoder: str = "resnet18", depth: int = 3
    ) -> None:
        super().__init__()
        require_extra("train", "segmentation_models_pytorch")
        import segmentation_models_pytorch

        widths = {"decoder_channels": DECODER_WIDTHS[-depth:]} if decoder.startswith("unet") else {}
        self.body = segmentation_models_pytorch.create_model(
            decoder,
            encoder,
            encoder_depth=depth,
            encoder_weights=None,
            in_channels=2 * channels,
            classes=channels,
            **widths,
        )
        _drop_idle(self.body, 2 * channels, 2**depth)
        self.channels, self.multiple = channels, 2**depth
        head = next(
            module for module in self.body.segmentation_head if isinstance(module, nn.Conv2d)
        )
        nn.init.zeros_(head.weight)
        assert head.bias is not None
        nn.init.zeros_(head.bias)

    @cached_property
    def field(self) -> int:
        """Half receptive field in pixels, measured. ``ValueError`` where it is not finite."""
        return measure_field(self, self.channels, self.multiple)

    def forward(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        """Predict the noise.

        Args:
            pixels: noisy pixels ``(B, C, H, W)`` in model units; H and W divisible by ``multiple``.
            sigma: standard deviation of the noise in model units, ``(B, C, 1, 1)`` or ``(B, C, H,
                W)``.

        Returns:
            Residual ``(B, C, H, W)`` in model units, float32.

        """
        return apply_gate(self.body(with_level(pixels, sigma)), sigma)


def _drop_idle(body: nn.Module, channels: int, multiple: int) -> None:
    """Remove layers that no forward pass uses: encoders also build those below their depth."""
    reached: set[nn.Module] = set()
    hooks = [
        module.register_forward_hook(lambda module, *_: reached.add(module))
        for module in body.modules()
    ]
    was_training = body.training
    with torch.inference_mode():
        body.eval()(torch.zeros(1, channels, multiple, multiple))
    body.train(was_training)
    for hook in hooks:
        hook.remove()
    for parent in list(body.modules()):
        for name, child in list(parent.named_children()):
            if not reached.intersection(child.modules()):
                setattr(parent, name, nn.Identity())
