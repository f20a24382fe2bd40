"""The samples of a training run: its scenes, their weights, and the fixed validation set."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader

from geoae.errors import TrainingError
from geoae.simulation.dead_leaves import dead_leaves
from geoae.system.memory import is_out_of_memory
from geoae.training.config import SceneGroup, TrainConfig
from geoae.training.samples.batches import Batch, Batches
from geoae.training.samples.scene import TrainingScene

__all__ = ["TrainingData", "read_batches", "read_validation", "refuse_without_memory"]

# Number of the samples of the validation set, and how many are drawn at once.
VALIDATION_SAMPLES, AT_ONCE = 96, 16
# Their own stream of random numbers.
VALIDATION_STREAM = 1_000_000


class TrainingData(lightning.LightningDataModule):
    """The chips of a run: those of each step, drawn on its device, and those of validation.

    Args:
        batches: the chips to train on.
        validation: batches of the validation set.
        start: first step.

    """

    def __init__(self, batches: Batches, validation: list[Batch], start: int) -> None:
        super().__init__()
        self.batches, self.validation, self.start = batches, validation, start

    def train_dataloader(self) -> Iterator[int]:
        """Count the steps."""
        return count(self.start)

    def val_dataloader(self) -> "DataLoader[Batch]":
        """Return the validation set."""
        return DataLoader(self.validation, batch_size=None)  # type: ignore[arg-type]

    def on_after_batch_transfer(self, batch: int | Batch, dataloader_idx: int) -> Batch:
        """Draw the batch of a step on the device; one of validation is drawn already.

        Args:
            batch: number of the step, or the batch.
            dataloader_idx: number of the loader.

        """
        if not isinstance(batch, int):
            return batch
        trainer = self.trainer
        assert trainer, "Lightning sets it"
        device = trainer.strategy.root_device
        # Apple's GPUs have no double precision, which the principal components need.
        drawing = torch.device("cpu") if device.type == "mps" else device
        drawn = self.batches.to(drawing).draw(batch, trainer.global_rank)
        converted: Batch = trainer.precision_plugin.convert_input(
            tuple(array.to(device) for array in drawn)
        )
        return converted


@contextmanager
def refuse_without_memory(device: torch.device) -> Iterator[None]:
    """Say what to do where a training has no room.

    Args:
        device: the device that trains.

    Raises:
        TrainingError: an allocation failed in the block, of whatever it was.

    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        other = "" if device.type == "cpu" else ", or give --accelerator cpu"
        raise TrainingError(
            f"{device}: no room for the scenes, the network and a batch; name fewer scenes or a"
            f" smaller batch_size in the config{other}"
        ) from error


def read_batches(config: TrainConfig, scenes: Path) -> Batches:
    """Read the scenes of a run and return its batches.

    Args:
        config: the training run.
        scenes: folder of the scenes.

    Returns:
        The batches.

    Raises:
        TrainingError: a scene cannot be used.

    """
    members, weights = _load(config, scenes)
    return _batches_of(config, members, weights, config.batch_size, config.seed)


def read_validation(config: TrainConfig, folder: Path) -> list[Batch]:
    """Draw a fixed set of chips of the validation scenes.

    Args:
        config: the training run.
        folder: folder of the scenes.

    Returns:
        Batches of ``config.batch_size`` samples at most, on the CPU, the same in every run.

    Raises:
        TrainingError: a scene cannot be used.

    """
    scenes = [TrainingScene.read(folder / name, config.chip) for name in config.validation]
    drawing = _batches_of(config, scenes, [1.0] * len(scenes), AT_ONCE, seed=0)
    steps = range(VALIDATION_STREAM, VALIDATION_STREAM + VALIDATION_SAMPLES // AT_ONCE)
    whole = (torch.cat(parts) for parts in zip(*map(drawing.draw, steps), strict=True))
    return list(zip(*(array.split(config.batch_size) for array in whole), strict=True))


def _batches_of(
    config: TrainConfig,
    scenes: list[TrainingScene],
    weights: list[float],
    batch_size: int,
    seed: int,
) -> Batches:
    return Batches(
        scenes,
        weights,
        config.degradations,
        config.chip,
        config.channels,
        batch_size,
        seed,
        shares_gain=config.shares_gain,
    )


def _files(folder: Path, group: SceneGroup, left_out: set[Path]) -> list[Path]:
    """List the scenes of ``group`` below ``folder``, without ``left_out``; raise
    ``TrainingError``.
    """
    files = sorted({path for pattern in group.files for path in folder.glob(pattern)} - left_out)
    if not files:
        raise TrainingError(
            f"{folder}: no scene matches {', '.join(group.files)}; check --scenes and the config"
        )
    return files


def _load(config: TrainConfig, folder: Path) -> tuple[list[TrainingScene], list[float]]:
    """Read the training scenes and their weights; in a group, weights follow the root of the
    area.
    """
    if not folder.is_dir():
        raise TrainingError(
            f"{folder}: no such folder; give --scenes the folder that the config's patterns search"
        )
    left_out = {folder / name for name in (*config.validation, *config.exclude)}
    scenes: list[TrainingScene] = []
    weights: list[float] = []
    for group in config.groups:
        members = [
            TrainingScene.read(path, config.chip) for path in _files(folder, group, left_out)
        ]
        if group.halve:
            members += [m.halve() for m in members if m.can_be_halved(config.chip)]
        area = np.sqrt([member.valid.sum() for member in members])
        scenes += members
        weights += list(group.weight * area / area.sum())
    leaves = config.leaves
    for rng in np.random.default_rng(config.seed).spawn(leaves.count):
        pixels = dead_leaves(rng, leaves.bands, leaves.side)
        scenes.append(TrainingScene.from_pixels(pixels, np.ones(pixels.shape[1:], dtype=bool)))
        weights.append(leaves.weight / leaves.count)
    return scenes, weights
