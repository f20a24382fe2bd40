"""The training run: from a config and a folder of scenes to a model folder."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    EMAWeightAveraging,
    ModelCheckpoint,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from safetensors.torch import load_file
from torch import Tensor, nn

from geoae.errors import TrainingError
from geoae.models.card import WEIGHTS, Card, model_folder
from geoae.models.folder import refuse_folder, save
from geoae.networks import ARCHITECTURES
from geoae.networks.joint_cae import JointCAE, widen
from geoae.networks.res_cae import ResCAE, adapt
from geoae.training.config import TrainConfig
from geoae.training.data import (
    TrainingData,
    read_batches,
    read_validation,
    refuse_without_memory,
)
from geoae.training.denoiser import EVERY, Denoiser
from geoae.training.plots import draw_curve, draw_examples

__all__ = ["Hardware", "export", "fit", "train"]

# dB by which a validation must beat the best one to count as a gain.
LEAST_GAIN = 0.01
LAST = "last.ckpt"
NOTE = "config.json"
# Arguments of a res_cae that the model it starts from may lack.
ADDED = {"levels", "pointwise"}


@dataclass(frozen=True, slots=True)
class Hardware:
    """Lightning's own flags: where a run computes, and in how many processes."""

    accelerator: str = "auto"
    """Kind of device, such as auto, cpu or gpu."""
    devices: str = "auto"
    """Number of devices, or auto."""
    strategy: str = "auto"
    """How several devices share the work, such as auto or ddp."""


def train(
    config: TrainConfig, scenes: Path, work: Path, folder: Path, hardware: Hardware | None = None
) -> Card:
    """Train a model and write its folder.

    Args:
        config: the training run.
        scenes: folder of the scenes.
        work: folder of checkpoints and logs, from which a run that was killed continues. It also
            gets ``curve.png`` and ``examples.png``.
        folder: model folder to write.
        hardware: where to compute.

    Returns:
        The card of the model.

    Raises:
        TrainingError: a scene or a setting cannot be used, or the loss diverges.
        ModelError: the model that ``config.start`` names does not exist.
        OutputError: ``folder`` cannot be written.

    """
    refuse_folder(folder)
    checkpoint = fit(config, scenes, work, hardware)
    if rank_zero_only.rank:
        # The other processes of a run on several devices end here; the first writes the model.
        raise SystemExit
    card = export(config, checkpoint, folder)
    draw_curve(work / "csv", work / "curve.png")
    network = ARCHITECTURES[config.architecture](**config.network)
    network.load_state_dict(load_file(folder / WEIGHTS))
    draw_examples(network, read_validation(config, scenes)[0], work / "examples.png")
    return card


def fit(config: TrainConfig, scenes: Path, work: Path, hardware: Hardware | None = None) -> Path:
    """Train, or continue from ``work/last.ckpt`` where that exists.

    Args:
        config: the training run.
        scenes: folder of the scenes.
        work: folder of checkpoints and logs.
        hardware: where to compute.

    Returns:
        Path of the last checkpoint.

    Raises:
        TrainingError: a scene or a setting cannot be used, the device has no room, or the loss
            diverges.
        ModelError: the model that ``config.start`` names does not exist.

    """
    lightning.seed_everything(config.seed, verbose=False)
    module = Denoiser(config)
    if config.start:
        module.network.load_state_dict(_start(config, module.network))
    trainer = _trainer(config, work, hardware or Hardware())
    _refuse_other_run(config, work)
    last = work / LAST
    done = _read_step(last)
    with refuse_without_memory(trainer.strategy.root_device):
        data = TrainingData(read_batches(config, scenes), read_validation(config, scenes), done)
        _claim(config, work)
        try:
            trainer.fit(
                module,
                datamodule=data,
                ckpt_path=last if last.exists() else None,
                weights_only=False,
            )
        except SystemExit as error:
            # Lightning raises this on Ctrl-C, after it has closed its loaders and logs.
            raise KeyboardInterrupt from error
    return last


def _read_step(last: Path) -> int:
    """Return the step of a checkpoint; raise ``TrainingError`` where it cannot be read."""
    if not last.exists():
        return 0
    try:
        return int(torch.load(last, map_location="cpu", weights_only=False)["global_step"])
    except (OSError, EOFError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{last}: is no checkpoint; delete it to begin anew") from error


def export(config: TrainConfig, checkpoint: Path, folder: Path) -> Card:
    """Write the averaged weights of a checkpoint as a model folder.

    Args:
        config: the training run.
        checkpoint: checkpoint of that run.
        folder: model folder to write.

    Returns:
        The card of the model.

    """
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    network = ARCHITECTURES[config.architecture](**config.network)
    network.load_state_dict({key.removeprefix("network."): value for key, value in state.items()})
    facts = {
        "name": config.name,
        "description": config.description,
        "architecture": config.architecture,
    }
    trained_on = [pattern for group in config.groups for pattern in group.files]
    return save(
        folder,
        network,
        **facts,
        network=config.network,
        tile=config.tile,
        start=config.start or "",
        trained_on=trained_on,
        limits=config.limits,
    )


def _refuse_other_run(config: TrainConfig, work: Path) -> None:
    """Raise ``TrainingError`` where ``work`` belongs to another config.

    A config with more or longer cycles continues the same run.
    """
    if work.exists() and not work.is_dir():
        raise TrainingError(f"{work}: is no folder; give --work another path")
    note = work / NOTE
    try:
        if note.exists() and note.read_text() != _describe(config):
            raise TrainingError(
                f"{work}: holds a run of another config; give --work another folder, or delete it"
            )
    except OSError as error:
        raise TrainingError(f"{work}: cannot be read ({error.strerror})") from error


def _claim(config: TrainConfig, work: Path) -> None:
    """Mark ``work`` as the folder of ``config``; raise ``TrainingError`` where it cannot be."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        (work / NOTE).write_text(_describe(config))
    except OSError as error:
        raise TrainingError(
            f"{work}: cannot be written ({error.strerror}); give --work another folder"
        ) from error


def _describe(config: TrainConfig) -> str:
    return config.model_dump_json(indent=1, exclude={"cycles", "patience"})


def _trainer(config: TrainConfig, work: Path, hardware: Hardware) -> lightning.Trainer:
    try:
        return lightning.Trainer(
            accelerator=hardware.accelerator,
            devices=int(hardware.devices) if hardware.devices.isdecimal() else hardware.devices,
            strategy=hardware.strategy,
            max_steps=sum(config.cycles),
            precision=config.precision,
            gradient_clip_val=config.clip,
            callbacks=_callbacks(config, work),
            logger=[CSVLogger(work, name="csv"), TensorBoardLogger(work, name="tensorboard")],
            val_check_interval=config.validate_every,
            num_sanity_val_steps=0,
            log_every_n_steps=50,
            enable_model_summary=False,
            default_root_dir=work,
        )
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        flags = (
            f"--accelerator {hardware.accelerator} --devices {hardware.devices} --strategy"
            f" {hardware.strategy}"
        )
        raise TrainingError(
            f"{flags}, precision {config.precision}: {str(error).splitlines()[0]}"
        ) from error


def _callbacks(config: TrainConfig, work: Path) -> list[Callback]:
    callbacks: list[Callback] = [
        # Not all in one call: the mean stays float32, also in runs of double precision or bf16.
        EMAWeightAveraging(decay=config.ema),
        # Without the counter, or a run in a folder that was moved would write `last-v1.ckpt`.
        ModelCheckpoint(
            work,
            save_last=True,
            save_top_k=0,
            every_n_train_steps=config.validate_every,
            enable_version_counter=False,
        ),
        # Lightning's other bar counts to epoch -2 of a run of steps, and is silent in a log.
        TQDMProgressBar(refresh_rate=EVERY),
    ]
    if config.patience:
        callbacks.append(
            EarlyStopping("gain_db", mode="max", min_delta=LEAST_GAIN, patience=config.patience)
        )
    return callbacks


def _start(config: TrainConfig, network: nn.Module) -> dict[str, Tensor]:
    """Read the weights that ``config.start`` names; raise ``ModelError`` or ``TrainingError``.

    A ``res_cae`` may start one that differs from it in what ``adapt`` converts, and one of one
    component a ``joint_cae``.
    """
    assert config.start is not None
    folder = model_folder(config.start)
    card = Card.read(folder)
    added = set(config.network) - set(card.network)
    extended = config.network | card.network == config.network and added <= ADDED
    if isinstance(network, ResCAE) and card.architecture == config.architecture and extended:
        return adapt(load_file(folder / WEIGHTS), network)
    alone = {name: value for name, value in config.network.items() if name != "channels"}
    same = {"channels": 1} | card.network == {"channels": 1} | alone
    if isinstance(network, JointCAE) and card.architecture == "res_cae" and same:
        return widen(load_file(folder / WEIGHTS), network)
    if (card.architecture, card.network) != (config.architecture, config.network):
        raise TrainingError(
            f"{folder}: is {card.architecture} {card.network}, but the config asks for"
            f" {config.architecture} {config.network}; give start and config the same network"
        )
    return load_file(folder / WEIGHTS)
