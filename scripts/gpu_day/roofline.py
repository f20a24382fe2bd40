"""What the device can do at most, measured: products of matrices, convolutions, copies."""

from typing import Any

import torch

from scripts.gpu_day.device import take_rate, use_tf32

__all__ = ["DTYPES", "measure_copies", "measure_peaks"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# A convolution like those of the network.
WIDTH, BATCH = 64, 4


def measure_peaks(
    device: torch.device, precision: str, side: int, seconds: float
) -> dict[str, Any]:
    """Measure TFLOP/s of matrix products and of convolutions of 3 x 3, with and without TF32.

    Args:
        device: where it computes.
        precision: fp32 or bf16.
        side: side of the matrices in pixels; the images of the convolution have a fourth of it.
        seconds: time to measure.

    Returns:
        The rates; TF32 matters for fp32 on a GPU alone.

    """
    dtype, rates = DTYPES[precision], {}
    one, other = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    small = side // 4
    images = torch.randn(BATCH, WIDTH, small, small, device=device, dtype=dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    kernel = torch.randn(WIDTH, WIDTH, 3, 3, device=device, dtype=dtype)
    operations = 2 * 9 * WIDTH**2 * BATCH * small**2
    for tf32 in (False, True):
        name = "TF32" if tf32 else "no TF32"
        with use_tf32(tf32):
            taken = take_rate(device, lambda: one @ other, seconds)
            rates[f"matrix TFLOP/s, {name}"] = 2 * side**3 / taken / 1e12
            taken = take_rate(device, lambda: torch.conv2d(images, kernel, padding=1), seconds)
            rates[f"convolution TFLOP/s, {name}"] = operations / taken / 1e12
    return rates


def measure_copies(device: torch.device, side: int, seconds: float) -> dict[str, Any]:
    """Measure GB/s of copies on the device (read and written), to it and from it."""
    count = 4 * side * side
    pinned = torch.empty(count, dtype=torch.float32, pin_memory=device.type == "cuda")
    there, target = (torch.empty(count, dtype=torch.float32, device=device) for _ in range(2))
    size = count * 4 / 1e9
    return {
        "device GB/s": 2 * size / take_rate(device, lambda: target.copy_(there), seconds),
        "to device GB/s": size / take_rate(device, lambda: there.copy_(pinned), seconds),
        "from device GB/s": size / take_rate(device, lambda: pinned.copy_(there), seconds),
    }
