"""A training run of seconds."""

from pathlib import Path

import numpy as np

from geoae.simulation import Correlated
from geoae.training.config import SceneGroup, TrainConfig
from tests.support.rasters import texture, write

NETWORK = {"channels": 1, "widths": [8, 8, 8], "blocks": [1, 0, 0, 0, 0]}


def config(**changes: object) -> TrainConfig:
    settings = {
        "name": "tiny",
        "description": "a test's",
        "network": NETWORK,
        "chip": 32,
        "batch_size": 4,
        "cycles": [60],
        "warmup": 5,
        "learning_rate": 3e-3,
        "ema": 0.9,
        "precision": "32-true",
        "validation": ["kept.tif"],
        "leaves": {"count": 1, "bands": 2, "side": 64},
        "groups": [SceneGroup(files=["*.tif"])],
    }
    return TrainConfig.model_validate(settings | changes)


def calm(side: int = 256, seed: int = 0) -> np.ndarray:
    """Two bands with a contrast so low that noise can be told from texture."""
    return 1000 + 0.2 * (texture(2, side, side, seed) - 1000)


def write_noisy(path: Path, kernel: str = "white", seed: int = 0, side: int = 256) -> str:
    """A calm scene with noise of 30 DN."""
    noisy = Correlated(30.0, kernel)(calm(side, seed), np.random.default_rng(seed))
    return str(write(path, noisy.astype(np.float32)))
