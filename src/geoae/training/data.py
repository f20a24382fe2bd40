"""The samples of a training run: its scenes, their weights, and the fixed validation set."""

from pathlib import Path

import numpy as np

from geoae.errors import TrainingError
from geoae.simulation.dead_leaves import dead_leaves
from geoae.training.config import SceneGroup, TrainConfig
from geoae.training.samples.batches import Batch, Batches
from geoae.training.samples.scene import TrainingScene

__all__ = ["read_batches", "validation_batches"]

# Number and size of the batches of the validation set.
VALIDATION, SAMPLES = 6, 16


def read_batches(config: TrainConfig, scenes: Path, rank: int = 0) -> Batches:
    """Read the scenes of a run and return its batches.

    Args:
        config: the training run.
        scenes: folder of the scenes.
        rank: number of the process, which has batches of its own.

    Returns:
        The batches.

    Raises:
        TrainingError: a scene cannot be used.

    """
    members, weights = _load(config, scenes)
    return Batches(
        members,
        weights,
        config.degradations,
        config.chip,
        config.channels,
        config.batch_size,
        config.seed,
        rank,
        shares_gain=config.shares_gain,
    )


def validation_batches(config: TrainConfig, folder: Path) -> list[Batch]:
    """Draw a fixed set of chips of the validation scenes.

    Args:
        config: the training run.
        folder: folder of the scenes.

    Returns:
        The batches, on the CPU, the same in every run.

    Raises:
        TrainingError: a scene cannot be used.

    """
    scenes = [TrainingScene.read(folder / name, config.chip) for name in config.validation]
    batches = Batches(
        scenes,
        [1.0] * len(scenes),
        config.degradations,
        config.chip,
        config.channels,
        SAMPLES,
        seed=0,
        shares_gain=config.shares_gain,
    )
    return [batches.draw(step) for step in range(VALIDATION)]


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
