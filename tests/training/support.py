"""A training run of seconds."""

from geoae.training.config import SceneGroup, TrainConfig

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
