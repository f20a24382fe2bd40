"""Steps per second of a training run against a bare loop over tensors already in memory, with the
same network.
"""

import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import torch

from geoae.networks import predict
from geoae.training.config import TrainConfig
from geoae.training.data import read_batches
from geoae.training.denoiser import Denoiser
from geoae.training.fit import fit

CONFIG = Path("models/res-cae/white.toml")
SCENES = Path(__file__).parents[3] / "shared/scenes/train"
# Steps that are not counted, and those that are.
FIRST, STEPS = 20, 150
HELD = 8


def bare(config: TrainConfig) -> float:
    """Steps per second of forward, backward and optimiser alone."""
    batches = read_batches(config, SCENES)
    held = [batches.draw(step) for step in range(HELD)]
    module = Denoiser(config)
    module.network.to(memory_format=torch.channels_last).train()
    module.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    optimizer = torch.optim.AdamW(module.network.parameters(), 1e-4)
    began = time.perf_counter()
    for step in range(FIRST + STEPS):
        if step == FIRST:
            began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            noisy, clean, sigma, shape = held[step % HELD]
            loss = module.loss(noisy - predict(module.network, noisy, sigma, shape), clean, sigma)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.network.parameters(), config.clip)
        optimizer.step()
    return STEPS / (time.perf_counter() - began)


def whole(config: TrainConfig) -> float:
    """Steps per second of ``fit``, between its first steps and its end."""
    ends: list[float] = []
    note_end = patch.object(
        Denoiser, "on_train_batch_end", lambda *told: ends.append(time.perf_counter())
    )
    longer = {"cycles": [FIRST + STEPS], "validate_every": 10_000}
    with tempfile.TemporaryDirectory() as folder, note_end:
        fit(config.model_copy(update=longer), SCENES, Path(folder))
    return STEPS / (ends[-1] - ends[FIRST - 1])


def measure() -> dict[str, float | str]:
    """Both, and their ratio."""
    config = TrainConfig.read(CONFIG)
    one, other = bare(config), whole(config)
    return {"bare loop steps/s": one, "geoae train steps/s": other, "bare / train": one / other}
