"""The network alone: batches on the device, layouts, compilation, and the memory it moves."""

from typing import Any

import torch
from torch import Tensor, nn

from geoae.models.folder import load
from geoae.networks import predict, takes_spectrum

__all__ = ["MODEL", "count_bytes", "make_batch", "make_forward"]

MODEL = "res-cae"
LEVEL = 0.1
LAYOUTS = {"channels last": torch.channels_last, "contiguous": torch.contiguous_format}


def make_batch(device: torch.device, network: nn.Module, batch: int, side: int) -> list[Any]:
    """Noise in model units, its level and, where the network takes it, its white spectrum."""
    channels = int(network.channels)  # type: ignore[arg-type]
    generator = torch.Generator(device).manual_seed(0)
    shape = (batch, channels, side, side)
    pixels = LEVEL * torch.randn(shape, generator=generator, device=device)
    level = torch.full((batch, channels, 1, 1), LEVEL, device=device)
    white = torch.ones(batch, channels, 9, device=device) if takes_spectrum(network) else None
    return [pixels, level, white]


def make_forward(
    device: torch.device,
    precision: str,
    batch: int,
    side: int,
    *,
    layout: str = "channels last",
    backend: str | None = None,
    mode: str | None = None,
) -> Any:
    """Return a function without arguments that is one forward pass over tensors on the device.

    Args:
        device: where it computes.
        precision: fp32 or bf16.
        batch: samples of a pass.
        side: side of a sample in pixels.
        layout: key of ``LAYOUTS``.
        backend: compile the network with this backend of ``torch.compile``; None for no compiling.
        mode: of the backend inductor, such as reduce-overhead.

    Returns:
        The function, which returns the residual.

    """
    network = load(MODEL, device=str(device), precision="fp32")._network
    network = network.to(memory_format=LAYOUTS[layout])
    pixels, level, white = make_batch(device, network, batch, side)
    pixels = pixels.contiguous(memory_format=LAYOUTS[layout])
    run: Any = network
    if backend:
        torch._dynamo.reset()
        run = torch.compile(network, backend=backend, mode=mode, dynamic=False)

    @torch.inference_mode()
    def forward() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return predict(run, pixels, level, white)

    return forward


def count_bytes(side: int) -> tuple[float, float]:
    """Count what one pass does for a pixel of one component, at fp32.

    Args:
        side: side of the sample in pixels.

    Returns:
        Floating-point operations, and bytes that the layers read and write if none is fused with
        the next.

    """
    restorer = load(MODEL, device="cpu", precision="fp32")
    moved = 0

    def add(_: nn.Module, given: tuple[Any, ...], found: Any) -> None:
        nonlocal moved
        moved += sum(t.numel() * 4 for t in (*given, found) if isinstance(t, Tensor))

    hooks = [
        layer.register_forward_hook(add)
        for layer in restorer._network.modules()
        if not list(layer.children())
    ]
    with torch.inference_mode():
        predict(restorer._network, *make_batch(torch.device("cpu"), restorer._network, 1, side))
    for hook in hooks:
        hook.remove()
    pixels = side * side * restorer.channels
    return restorer.card.kflop_per_pixel * 1e3 / restorer.channels, moved / pixels
