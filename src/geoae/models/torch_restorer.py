"""A network on one device as a ``Restorer``."""

from collections import deque

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoae.errors import DeviceError, ModelError
from geoae.models.card import Card
from geoae.networks import predict, takes_spectrum
from geoae.system.forks import use_one_thread
from geoae.types import Array

__all__ = ["TorchRestorer", "choose_device", "count_gpus", "is_out_of_memory"]

# A CPU is fastest one tile a forward pass, while activations stay near its caches; a GPU wants to
# be filled.
CUDA_PIXELS = 16 << 20
# Pixels (B, C, H, W), sigma (B, C) or (B, C, H, W), and shape (B, C, 9) or none.
Given = tuple[Array, Array, Array | None]
use_one_thread("torch", lambda: torch.set_num_threads(1))


def choose_device(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is the first GPU, or the CPU where there is none.

    Raises:
        DeviceError: this machine has no such device.

    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name}: no such device; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"{name}: not on this machine, which has {torch.cuda.device_count()} GPUs; use --device"
            " cpu or auto"
        )
    return device


def count_gpus() -> int:
    """Count the GPUs of this machine that this process may use."""
    return torch.cuda.device_count()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed. PyTorch has an error of its own for that on GPUs alone."""
    own = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return own or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def _bf16_is_faster(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


class TorchRestorer:
    """Runs a network on batches on one device. The residual is float32 for every precision.

    On a GPU, ``fp32`` forbids rounding to the 10 bits of TF32, which PyTorch does by default in
    convolutions: a setting of the whole process.
    """

    def __init__(
        self,
        card: Card,
        network: nn.Module,
        device: torch.device,
        precision: str,
        batch_size: int | None,
    ) -> None:
        self.name, self.digest = card.name, card.digest
        self.channels, self.multiple, self.halo = card.channels, card.multiple, card.halo
        self.shares_gain = card.shares_gain
        self.card, self.device, self.tile = card, device, card.tile
        self.precision = (
            ("bf16" if _bf16_is_faster(device) else "fp32") if precision == "auto" else precision
        )
        if device.type == "cuda" and self.precision == "fp32":
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self.takes_spectrum = takes_spectrum(network)
        self._batch_size = batch_size

    @property
    def setting(self) -> str:
        """Device type, precision, version of torch and batch size: what the bits of an output
        depend on.
        """
        return (
            f"{self.device.type} {self.precision} torch {torch.__version__} batch"
            f" {self._batch_size or 'auto'}"
        )

    def batch(self, height: int, width: int) -> int:
        """Return how many samples to give in one call.

        That is one forward pass on a CPU, and four on a GPU, where copies run beside the
        computation.

        Args:
            height: height of a sample in pixels.
            width: width of a sample in pixels.

        """
        return self._forward_size(height, width) * (4 if self.device.type == "cuda" else 1)

    def _forward_size(self, height: int, width: int) -> int:
        """Return the samples of one forward pass: as asked, else one on a CPU, 16 megapixels on a
        GPU.
        """
        if self._batch_size is not None:
            return self._batch_size
        return 1 if self.device.type == "cpu" else max(1, CUDA_PIXELS // (height * width))

    def __call__(
        self,
        pixels: NDArray[np.float32],
        sigma: NDArray[np.float32],
        shape: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Predict the noise.

        All forward passes have the same batch size, since the bits of a result may depend on it;
        the last one is padded. The size is halved where the device runs out of memory.

        Args:
            pixels: ``(B, C, H, W)`` in model units.
            sigma: standard deviation of the noise in model units, ``(B, C)`` or ``(B, C, H, W)``.
            shape: shape of the noise's spectrum ``(B, C, 9)``; None for white noise. Ignored where
                the network does not take it.

        Returns:
            Residual ``(B, C, H, W)`` in model units.

        Raises:
            DeviceError: there is not enough memory for a single sample.
            ModelError: the residual holds NaN or infinity.

        """
        shape = shape if self.takes_spectrum else None
        while True:
            size = self._forward_size(*pixels.shape[2:])
            parts = [
                slice(start, min(start + size, len(pixels)))
                for start in range(0, len(pixels), size)
            ]
            run = self._run_cuda if self.device.type == "cuda" else self._run_cpu
            try:
                return _check_finite(run((pixels, sigma, shape), parts, size), self.name)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    height, width = pixels.shape[2:]
                    raise DeviceError(
                        f"{self.device}: out of memory at one tile of {height} x {width} px; give a"
                        " smaller --tile"
                    ) from error
                self._batch_size = size // 2
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    @torch.inference_mode()
    def _run_cpu(self, given: Given, parts: list[slice], size: int) -> Array:
        residual = np.empty_like(given[0])
        for part in parts:
            batch = _pad_batch(given, part, size)
            residual[part] = self._forward(*batch)[: part.stop - part.start].numpy()
        return residual

    @torch.inference_mode()
    def _run_cuda(self, given: Given, parts: list[slice], size: int) -> Array:
        """Run on two streams in turn: one copies while the other computes."""
        residual = np.empty_like(given[0])
        streams = [torch.cuda.Stream(self.device) for _ in range(2)]
        running: deque[tuple[slice, Tensor, torch.cuda.Stream]] = deque()

        def collect() -> None:
            part, host, stream = running.popleft()
            stream.synchronize()
            residual[part] = host[: part.stop - part.start].numpy()

        for index, part in enumerate(parts):
            batch = [tensor.pin_memory() for tensor in _pad_batch(given, part, size)]
            with torch.cuda.stream(streams[index % 2]) as _:
                found = self._forward(
                    *(tensor.to(self.device, non_blocking=True) for tensor in batch)
                )
                host = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
                host.copy_(found, non_blocking=True)
            running.append((part, host, streams[index % 2]))
            if len(running) > 1:
                collect()
        while running:
            collect()
        return residual

    def _forward(self, batch: Tensor, level: Tensor, shape: Tensor | None = None) -> Tensor:
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            residual = predict(self._network, batch, level, shape)
        return residual.float()


def _check_finite(residual: Array, name: str) -> Array:
    """Return ``residual``; raise ``ModelError`` where it holds NaN or infinity."""
    if not np.isfinite(residual).all():
        raise ModelError(
            f"{name}: gives values that are no numbers; restore with another --model or --precision"
            " fp32, and report the scene"
        )
    return residual


def _pad_batch(given: Given, part: slice, size: int) -> list[Tensor]:
    """Return samples ``part`` of the inputs, padded with zeros up to ``size`` samples."""
    batch = [torch.from_numpy(array[part]) for array in given if array is not None]
    batch[1] = batch[1] if batch[1].ndim == 4 else batch[1][:, :, None, None]
    missing = size - len(batch[0])
    if not missing:
        return batch
    return [torch.cat([t, t.new_zeros(missing, *t.shape[1:])]) for t in batch]
