"""A model folder, card and safetensors, to a restorer that runs it."""

import hashlib
from collections import deque
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from geoae.config import explain
from geoae.errors import DeviceError, ModelError
from geoae.networks import ARCHITECTURES
from geoae.networks.halo import measure_halo
from geoae.resources import shipped
from geoae.system.forks import use_one_thread

__all__ = ["CARD", "WEIGHTS", "Card", "TorchRestorer", "load", "model_folder", "save", "shipped_models"]

Array = NDArray[np.float32]

WEIGHTS = "weights.safetensors"
CARD = "card.json"
# A CPU is fastest one tile a forward pass, while activations stay near its caches; a GPU wants to
# be filled.
CUDA_PIXELS = 16 << 20
use_one_thread("torch", lambda: torch.set_num_threads(1))


class Card(BaseModel):
    """What a model says of itself; kept as ``card.json`` beside its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    architecture: str
    network: dict[str, Any] = Field(description="arguments of the network")
    channels: int = Field(gt=0, description="components the network takes at once")
    multiple: int = Field(gt=0, description="total down-sampling; tiles keep to this grid")
    halo: int = Field(ge=0, description="measured, in pixels; see networks/halo.py")
    field: int = Field(ge=0, description="theoretical half receptive field in pixels")
    tile: int = Field(gt=0, description="largest tile side by default")
    parameters: int
    kflop_per_pixel: float = Field(description="of one group of components; 1 MAC = 2 FLOP")
    digest: str = Field(description="sha256 of the weights file")
    trained_on: list[str] = Field(
        default_factory=list, description="patterns of the training scenes, below their folder"
    )
    figures: dict[str, Any] = Field(default_factory=dict, description="what was measured, where and how")
    limits: list[str] = Field(default_factory=list, description="when not to use it")
    verified: dict[str, Any] = Field(default_factory=dict, description="written by geoae verify --into-card")
    licence: str = "Apache-2.0"

    def kflop(self, bands: int) -> float:
        """Thousands of floating-point operations per pixel and band of a scene of ``bands`` bands."""
        groups = -(-bands // self.channels)
        return groups * self.kflop_per_pixel / bands

    @property
    def is_verified(self) -> bool:
        """Whether every contract was measured and kept, by these very weights."""
        return self.verified.get("digest") == self.digest

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The card in ``folder``; raises ``ModelError``."""
        try:
            return cls.model_validate_json((folder / CARD).read_text())
        except OSError as error:
            raise ModelError(f"{folder}: has no {CARD}; a model is a folder with {CARD} and {WEIGHTS}") from error
        except UnicodeDecodeError as error:
            raise ModelError(f"{folder / CARD}: is not text; copy the model folder again") from error
        except ValidationError as error:
            raise ModelError(f"{folder / CARD}: {explain(error, cls)}") from error


def shipped_models() -> list[Card]:
    """Cards of the models that travel with geoae."""
    return [Card.read(path.parent) for path in sorted(shipped("models").glob(f"*/{CARD}"))]


def model_folder(name: str) -> Path:
    """The folder of a shipped model's name, or of a path; raises ``ModelError``."""
    inside = shipped("models") / name
    if (inside / CARD).exists():
        return inside
    if Path(name).is_dir():
        return Path(name)
    names = ", ".join([card.name for card in shipped_models()] + ["identity"])
    raise ModelError(f"{name}: no such model; shipped are {names}, or give the path of a model folder")


def save(folder: Path, network: nn.Module, /, **facts: Any) -> Card:
    """Write ``network`` and its card into ``folder``: halo, size and digest are measured here."""
    folder.mkdir(parents=True, exist_ok=True)
    network = network.float().eval()
    state = {key: value.detach().contiguous().cpu() for key, value in network.state_dict().items()}
    save_file(state, folder / WEIGHTS)
    channels, multiple = int(network.channels), int(network.multiple)  # type: ignore[arg-type]
    card = Card(
        channels=channels, multiple=multiple, field=int(network.field),  # type: ignore[arg-type]
        halo=measure_halo(network, channels, multiple), parameters=sum(p.numel() for p in network.parameters()),
        kflop_per_pixel=round(_flops(network, channels) / 1e3, 1), digest=_digest(folder / WEIGHTS), **facts,
    )  # fmt: skip
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    return card


def _flops(network: nn.Module, channels: int) -> float:
    """Floating-point operations per pixel of one group of components."""
    from torch.utils.flop_counter import FlopCounterMode

    side = 128
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, channels, side, side), torch.zeros(1, channels, 1, 1))
    return counter.get_total_flops() / side**2


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(name: str, *, device: str = "auto", precision: str = "auto", batch_size: int | None = None) -> "TorchRestorer":
    """The restorer of a shipped model's name or of a model folder.

    ``device``: auto, cpu, cuda or cuda:N; ``precision``: auto, fp32 or bf16; ``batch_size``: samples
    a forward pass, by default what suits the device. Raises ``ModelError`` or ``DeviceError``.
    """
    folder = model_folder(name)
    card = Card.read(folder)
    if card.architecture not in ARCHITECTURES:
        raise ModelError(
            f"{folder}: unknown architecture {card.architecture}; this geoae knows {', '.join(ARCHITECTURES)}"
        )
    path = folder / WEIGHTS
    if not path.exists():
        raise ModelError(f"{folder}: has a card but no {WEIGHTS}; copy the whole model folder")
    if _digest(path) != card.digest:
        raise ModelError(f"{path}: is not the file its card describes (sha256 differs); copy the model folder again")
    try:
        network = ARCHITECTURES[card.architecture](**card.network)
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, TypeError, ValueError, LookupError) as error:
        raise ModelError(
            f"{path}: does not fit {card.architecture} as the card describes it ({str(error).splitlines()[0]})"
        ) from error
    try:
        return TorchRestorer(card, network.eval(), _device(device), precision, batch_size)
    except RuntimeError as error:
        if "forked subprocess" not in str(error):
            raise
        raise DeviceError(
            f"{device}: CUDA cannot be used in a process forked from one that has used it; start processes by spawn "
            "(multiprocessing.get_context('spawn')), or give --device cpu"
        ) from error


def _device(name: str) -> torch.device:
    """``auto`` is the first GPU, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name}: no such device; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"{name}: not on this machine, which has {torch.cuda.device_count()} GPUs; use --device cpu or auto"
        )
    return device


def _bf16_is_faster(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())


class TorchRestorer:
    """Runs a network over batches on one device; the residual is float32 whatever the precision."""

    def __init__(
        self, card: Card, network: nn.Module, device: torch.device, precision: str, batch_size: int | None
    ) -> None:
        self.name, self.digest = card.name, card.digest
        self.channels, self.multiple, self.halo = card.channels, card.multiple, card.halo
        self.card, self.device, self.tile = card, device, card.tile
        self.precision = ("bf16" if _bf16_is_faster(device) else "fp32") if precision == "auto" else precision
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self._batch_size = batch_size

    @property
    def setting(self) -> str:
        """Device type, precision, torch and batch: what bits depend on."""
        return f"{self.device.type} {self.precision} torch {torch.__version__} batch {self._batch_size or 'auto'}"

    def batch(self, height: int, width: int) -> int:
        """Samples a call is best given: one forward pass on a CPU, four on a GPU, so that copies
        run beside the computation.
        """
        return self._forward_size(height, width) * (4 if self.device.type == "cuda" else 1)

    def _forward_size(self, height: int, width: int) -> int:
        """Samples of one forward pass: as asked, else one on a CPU and 16 megapixels on a GPU."""
        if self._batch_size is not None:
            return self._batch_size
        return 1 if self.device.type == "cpu" else max(1, CUDA_PIXELS // (height * width))

    def __call__(self, pixels: NDArray[np.float32], sigma: NDArray[np.float32]) -> NDArray[np.float32]:
        """Noise of ``pixels`` (B, C, H, W), given its deviation, (B, C) or a map (B, C, H, W); model units.

        Forward passes have one constant batch size, the last one padded, since bits may depend on
        it. It is halved when the device runs out of memory; raises ``DeviceError`` at one, and
        ``ModelError`` where the residual is no number.
        """
        while True:
            size = self._forward_size(*pixels.shape[2:])
            parts = [slice(start, min(start + size, len(pixels))) for start in range(0, len(pixels), size)]
            run = self._run_cuda if self.device.type == "cuda" else self._run_cpu
            try:
                return _numbers(run(pixels, sigma, parts, size), self.name)
            except torch.OutOfMemoryError as error:
                if size == 1:
                    height, width = pixels.shape[2:]
                    raise DeviceError(
                        f"{self.device}: out of memory at one tile of {height} x {width} px; give a smaller --tile"
                    ) from error
                self._batch_size = size // 2
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()

    @torch.inference_mode()
    def _run_cpu(self, pixels: Array, sigma: Array, parts: list[slice], size: int) -> Array:
        residual = np.empty_like(pixels)
        for part in parts:
            batch, level = _padded(pixels[part], sigma[part], size)
            residual[part] = self._forward(batch, level)[: part.stop - part.start].numpy()
        return residual

    @torch.inference_mode()
    def _run_cuda(self, pixels: Array, sigma: Array, parts: list[slice], size: int) -> Array:
        """Two streams in turn: one copies while the other computes."""
        residual = np.empty_like(pixels)
        streams = [torch.cuda.Stream(self.device) for _ in range(2)]
        running: deque[tuple[slice, Tensor, torch.cuda.Stream]] = deque()

        def collect() -> None:
            part, host, stream = running.popleft()
            stream.synchronize()
            residual[part] = host[: part.stop - part.start].numpy()

        for index, part in enumerate(parts):
            batch, level = (tensor.pin_memory() for tensor in _padded(pixels[part], sigma[part], size))
            with torch.cuda.stream(streams[index % 2]) as _:
                found = self._forward(
                    batch.to(self.device, non_blocking=True), level.to(self.device, non_blocking=True)
                )
                host = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
                host.copy_(found, non_blocking=True)
            running.append((part, host, streams[index % 2]))
            if len(running) > 1:
                collect()
        while running:
            collect()
        return residual

    def _forward(self, batch: Tensor, level: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            residual: Tensor = self._network(batch.contiguous(memory_format=torch.channels_last), level)
        return residual.float()


def _numbers(residual: Array, name: str) -> Array:
    """``residual``; raises ``ModelError`` where it holds a value that is no number."""
    if not np.isfinite(residual).all():
        raise ModelError(
            f"{name}: gives values that are no numbers; restore with another --model or --precision fp32, and report the scene"
        )
    return residual


def _padded(pixels: Array, sigma: Array, size: int) -> tuple[Tensor, Tensor]:
    """``pixels`` (B, C, H, W) and ``sigma``, (B, C, 1, 1) or a map, with zeros added up to ``size`` samples."""
    batch, level = torch.from_numpy(pixels), torch.from_numpy(sigma)
    level = level if level.ndim == 4 else level[:, :, None, None]
    missing = size - len(batch)
    if not missing:
        return batch, level
    return tuple(torch.cat([t, t.new_zeros(missing, *t.shape[1:])]) for t in (batch, level))  # type: ignore[return-value]
