"""A network on one device as a ``Restorer``."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoae.errors import DeviceError, ModelError
from geoae.models.card import Card
from geoae.networks import predict, takes_spectrum
from geoae.system.forks import use_one_thread
from geoae.system.memory import is_out_of_memory
from geoae.types import Array, DeviceArray

__all__ = ["TorchRestorer", "choose_device", "count_gpus"]

# A CPU is fastest one tile a forward pass, while activations stay near its caches; a GPU wants to
# be filled.
CUDA_PIXELS = 16 << 20
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


def _bf16_is_faster(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


class TorchRestorer:
    """Runs a network on batches on one device. The residual is float32 for every precision.

    On a GPU, products of matrices are not rounded to the 10 bits of TF32, and with ``fp32`` no
    convolutions are either, which PyTorch does by default: settings of the whole process.
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
        if device.type == "cuda":
            # The map of DN to model units needs whole float32 at every precision.
            torch.backends.cuda.matmul.allow_tf32 = False
            if self.precision == "fp32":
                torch.backends.cudnn.allow_tf32 = False
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self.takes_spectrum = takes_spectrum(network)
        self._batch_size = batch_size

    @cached_property
    def _streams(self) -> tuple[torch.cuda.Stream, torch.cuda.Stream] | None:
        """Where arrays are copied to a GPU and back, beside the computation; None on a CPU."""
        if self.device.type != "cuda":
            return None
        return torch.cuda.Stream(self.device), torch.cuda.Stream(self.device)

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
        """Return how many samples to give in one call: those of a forward pass.

        That is one on a CPU, and 16 megapixels on a GPU, unless a number was asked for.

        Args:
            height: height of a sample in pixels.
            width: width of a sample in pixels.

        """
        if self._batch_size is not None:
            return self._batch_size
        return 1 if self.device.type == "cpu" else max(1, CUDA_PIXELS // (height * width))

    def place(self, pixels: NDArray[Any]) -> DeviceArray:
        """Bring an array to the device.

        On a GPU it is copied beside the computation; what is computed later waits for it.

        Args:
            pixels: any array of the host.

        Returns:
            The array itself on a CPU, a tensor otherwise.

        """
        return pixels if self.device.type == "cpu" else self._send(pixels)

    def _send(self, array: NDArray[Any]) -> Tensor:
        """Return a tensor on the device, on a CPU one of the same memory."""
        if self._streams is None:
            return torch.from_numpy(array)
        upward, _ = self._streams
        # Pinned memory is a copy with the same strides, which those of a view may not be.
        tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
        with torch.cuda.stream(upward):
            sent = tensor.pin_memory().to(self.device, non_blocking=True)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(upward)
        # Its memory is not used anew before the computation is done with it.
        sent.record_stream(computing)
        return sent

    def fetch(self, residual: DeviceArray) -> Callable[[], Array]:
        """Begin to bring an array back to the host, beside the computation.

        Args:
            residual: float32, an array of the host or a tensor on the device; nobody changes it any
                more.

        Returns:
            A function that waits for the array and returns it, and raises ``ModelError`` where it
            holds NaN or infinity.

        """
        if not isinstance(residual, Tensor):
            return lambda: _check_finite(residual, self.name)
        if self._streams is None:
            return lambda: _check_finite(residual.numpy(), self.name)
        _, downward = self._streams
        downward.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(downward):
            host = torch.empty(residual.shape, dtype=residual.dtype, pin_memory=True)
            host.copy_(residual, non_blocking=True)
            arrived = torch.cuda.Event(blocking=True)  # others compute while a thread waits
            arrived.record(downward)
        residual.record_stream(downward)

        def wait() -> Array:
            arrived.synchronize()
            return _check_finite(host.numpy(), self.name)

        return wait

    def __call__(
        self, pixels: DeviceArray, sigma: DeviceArray, shape: DeviceArray | None = None
    ) -> DeviceArray:
        """Predict the noise.

        All forward passes have the same batch size, since the bits of a result may depend on it;
        the last one is padded. The size is halved where the device runs out of memory.

        Args:
            pixels: ``(B, C, H, W)`` in model units, of numpy, or of torch on the device; the others
                are alike.
            sigma: standard deviation of the noise in model units, ``(B, C)`` or ``(B, C, H, W)``.
            shape: shape of the noise's spectrum ``(B, C, 9)``; None for white noise. Ignored where
                the network does not take it.

        Returns:
            Residual ``(B, C, H, W)`` in model units, of the library of ``pixels``.

        Raises:
            DeviceError: there is not enough memory for a single sample.
            ModelError: the residual holds NaN or infinity; of tensors, ``fetch`` tells that.

        """
        given = (pixels, sigma, shape if self.takes_spectrum else None)
        if isinstance(pixels, Tensor):
            return self._run(given)
        residual = self._run([None if array is None else self._send(array) for array in given])
        return self.fetch(residual)()

    @torch.inference_mode()
    def _run(self, given: Sequence[Tensor | None]) -> Tensor:
        pixels = given[0]
        assert pixels is not None
        residual: Tensor | None = None
        while True:
            size = self.batch(*pixels.shape[2:])
            try:
                residual = torch.empty_like(pixels) if residual is None else residual
                for start in range(0, len(pixels), size):
                    part = slice(start, min(start + size, len(pixels)))
                    found = self._forward(*_pad_batch(given, part, size))
                    residual[part] = found[: part.stop - part.start]
                return residual
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if size == 1:
                    height, width = pixels.shape[2:]
                    raise DeviceError(
                        f"{self.device}: out of memory at one tile of {height} x {width} px; give a"
                        " smaller --tile"
                    ) from error
            # After the error is gone, which holds what the pass had computed.
            self._batch_size = size // 2
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

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


def _pad_batch(given: Sequence[Tensor | None], part: slice, size: int) -> list[Tensor]:
    """Return samples ``part`` of the inputs, padded with zeros up to ``size`` samples."""
    batch = [array[part] for array in given if array is not None]
    batch[1] = batch[1] if batch[1].ndim == 4 else batch[1][:, :, None, None]
    missing = size - len(batch[0])
    if not missing:
        return batch
    return [torch.cat([t, t.new_zeros(missing, *t.shape[1:])]) for t in batch]
