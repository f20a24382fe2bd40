"""Model folders (card and safetensors): write one, load one as a restorer, put one in use."""

import hashlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes
from torch import nn

from geoae.errors import DeviceError, ModelError, OutputError
from geoae.models.card import CARD, WEIGHTS, Card, model_folder
from geoae.models.torch_restorer import TorchRestorer, choose_device
from geoae.networks import ARCHITECTURES
from geoae.networks.halo import measure_halo

__all__ = ["CURRENT", "current_model", "load", "promote", "refuse_folder", "save"]

# The link in a folder of models that names the one in use.
CURRENT = "current"


def refuse_folder(folder: Path) -> None:
    """Refuse a folder into which no model can be written, before hours of training, not after.

    Args:
        folder: model folder to write.

    Raises:
        OutputError: neither it nor the first folder above it that exists can be written.

    """
    there = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise OutputError(f"{folder}: cannot be a model's folder; give -o another path")


def save(folder: Path, network: nn.Module, /, **facts: Any) -> Card:
    """Write a network and its card; measure halo, size and digest for the card.

    Args:
        folder: folder to write, made where it is missing.
        network: a network as ``geoae.networks`` describes it, with its final weights.
        **facts: the fields of ``Card`` that cannot be measured, such as name and architecture.

    Returns:
        The card written.

    """
    folder.mkdir(parents=True, exist_ok=True)
    network = network.float().eval()
    state = {key: value.detach().contiguous().cpu() for key, value in network.state_dict().items()}
    # safetensors' own save_file lets nobody but the owner read the file, such as a worker's user.
    (folder / WEIGHTS).write_bytes(as_bytes(state))
    channels, multiple = int(network.channels), int(network.multiple)  # type: ignore[arg-type]
    card = Card(
        channels=channels,
        shares_gain=bool(getattr(network, "shares_gain", True)),
        multiple=multiple,
        field=int(network.field),  # type: ignore[arg-type]
        halo=measure_halo(network, channels, multiple),
        parameters=sum(p.numel() for p in network.parameters()),
        kflop_per_pixel=round(_flops(network, channels) / 1e3, 1),
        digest=_digest(folder / WEIGHTS),
        **facts,
    )
    (folder / CARD).write_text(card.model_dump_json(indent=2) + "\n")
    return card


def _flops(network: nn.Module, channels: int) -> float:
    """Count floating-point operations per pixel of one group of components."""
    from torch.utils.flop_counter import FlopCounterMode

    side = 128
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, channels, side, side), torch.ones(1, channels, 1, 1))
    return counter.get_total_flops() / side**2


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(
    name: str, *, device: str = "auto", precision: str = "auto", batch_size: int | None = None
) -> "TorchRestorer":
    """Load a model as a restorer.

    Args:
        name: name of a shipped model, or path of a model folder.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32 or bf16.
        batch_size: samples of one forward pass; by default what suits the device.

    Returns:
        The restorer.

    Raises:
        ModelError: card or weights are missing, damaged, or do not fit together.
        DeviceError: the device does not exist or cannot be used in this process.

    """
    folder = model_folder(name)
    card = Card.read(folder)
    if card.architecture not in ARCHITECTURES:
        raise ModelError(
            f"{folder}: unknown architecture {card.architecture}; this geoae knows"
            f" {', '.join(ARCHITECTURES)}"
        )
    path = folder / WEIGHTS
    if not path.exists():
        raise ModelError(f"{folder}: has a card but no {WEIGHTS}; copy the whole model folder")
    if _digest(path) != card.digest:
        raise ModelError(
            f"{path}: is not the file its card describes (sha256 differs); copy the model folder"
            " again"
        )
    try:
        network = ARCHITECTURES[card.architecture](**card.network)
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, TypeError, ValueError, LookupError) as error:
        raise ModelError(
            f"{path}: does not fit {card.architecture} as the card describes it"
            f" ({str(error).splitlines()[0]})"
        ) from error
    try:
        return TorchRestorer(card, network.eval(), choose_device(device), precision, batch_size)
    except RuntimeError as error:
        if "forked subprocess" not in str(error):
            raise
        raise DeviceError(
            f"{device}: CUDA cannot be used in a process forked from one that has used it; start"
            " processes by spawn (multiprocessing.get_context('spawn')), or give --device cpu"
        ) from error


def current_model(models: Path, shipped: str) -> str:
    """Find the model in use.

    Args:
        models: folder of one's own models, with the link ``current``.
        shipped: name of the shipped model to use where there is no such link.

    Returns:
        Path of the link, or ``shipped``.

    """
    link = models / CURRENT
    return str(link) if link.exists() else shipped


def promote(new: Path, models: Path) -> Path:
    """Copy a model into a folder of models and make it the one in use.

    The model used before stays, under its own name. The link ``current`` changes in one step: a
    process that opens it gets either the old model or the new one.

    Args:
        new: model folder to copy.
        models: folder of one's own models.

    Returns:
        The copy.

    Raises:
        OutputError: ``models`` cannot be written, or ``current`` in it is not a link.

    """
    card = Card.read(new)
    folder, link = models / f"{card.name}-{card.digest[:8]}", models / CURRENT
    if link.exists() and not link.is_symlink():
        raise OutputError(f"{link}: is a folder and no link; rename it, and link {CURRENT} to it")
    draft = models / f".{uuid.uuid4().hex}"
    try:
        models.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            shutil.copytree(new, draft)
            draft.rename(folder)
        draft.symlink_to(folder.name)
        draft.replace(link)
    except OSError as error:
        raise OutputError(
            f"{models}: cannot be written ({error.strerror}); allow it or choose another folder"
        ) from error
    return folder
