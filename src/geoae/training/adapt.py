"""Adapt a model to noisy scenes of which no clean ones exist."""

import copy
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, TQDMProgressBar
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader

from geoae.errors import TrainingError
from geoae.models.card import CARD, WEIGHTS, Card, model_folder
from geoae.models.folder import load, refuse_folder, save
from geoae.networks import ARCHITECTURES, takes_spectrum
from geoae.training.denoiser import EVERY, fall
from geoae.training.gain import Gain, estimate_errors, estimate_gain, restore
from geoae.training.noisy import NoisyChips, NoisyScene
from geoae.training.objectives import OBJECTIVES, Noisy, Objective

__all__ = ["STEPS", "Adapted", "adapt"]

# A short training: the model is nearly right, and the archive is small.
STEPS, BATCH, LEARNING_RATE, WARMUP, DECAY, CLIP = 300, 8, 4e-4, 20, 0.98, 0.5
# One of so many scenes is held out, and at least so many; where there are fewer scenes than
# FEWEST, their windows count as scenes.
SHARE, LEAST, FEWEST = 4, 3, 8
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Adapted:
    """The result of an adaptation."""

    gain: Gain
    """What it gains on scenes that were held out."""
    card: Card | None
    """Card of the model that was written; None where the gain is not significant."""

    def require(self) -> Card:
        """Return the card; raise ``TrainingError`` where no model was written."""
        if self.card is None:
            raise TrainingError(
                f"no significant gain, so nothing is written: {self.gain}; add scenes of the same"
                " sensor, or keep the given model"
            )
        return self.card


def adapt(
    sources: Sequence[str],
    model: str,
    folder: Path,
    *,
    objective: str = "r2r",
    steps: int = STEPS,
    seed: int = 0,
) -> Adapted:
    """Fine-tune a model on noisy scenes, and write it if it is better on scenes held out.

    Args:
        sources: noisy scenes of one sensor, as GDAL opens them.
        model: shipped model's name, or path of a model folder, to begin with.
        folder: model folder to write.
        objective: key of ``OBJECTIVES``.
        steps: steps of training.
        seed: seed of all random numbers.

    Returns:
        The gain, and the card of the new model.

    Raises:
        TrainingError: too few scenes can be used, there is no such objective, or ``folder`` holds
            a model.
        OutputError: ``folder`` cannot be written.
        ModelError: the model to begin with cannot be used.

    """
    _refuse_folder(folder)
    if objective not in OBJECTIVES:
        raise TrainingError(f"{objective}: no objective; give one of {', '.join(OBJECTIVES)}")
    card, network = _load(model)
    scenes = _read_scenes(sources, card, network, objective)
    kept, held = _hold_out(scenes, seed)
    log.info("%d scenes to train on, %d held out to judge", len(kept), len(held))
    before = estimate_errors(network, held, seed)
    tuned = _fine_tune(network, OBJECTIVES[objective], kept, steps, seed)
    gain = estimate_gain(before, estimate_errors(tuned, held, seed))
    if not gain.is_significant:
        return Adapted(gain, None)
    facts: dict[str, Any] = {
        "name": folder.resolve().name,
        "description": f"{card.name}, adapted to noisy scenes without clean ones",
        "start": card.name,
        "trained_on": sorted({scene.source for scene in kept}),
        "figures": {"adaptation": asdict(gain) | {"objective": objective, "steps": steps}},
        "limits": [*card.limits, "adapted to one kind of scene: use it for no other"],
    }
    same = card.model_dump(include={"architecture", "network", "tile", "licence"})
    return Adapted(gain, save(folder, tuned, **facts, **same))


def _refuse_folder(folder: Path) -> None:
    """Refuse a folder before the training where no model could be written after it.

    Raises:
        TrainingError: it holds a model.
        OutputError: it cannot be written.

    """
    if (folder / CARD).exists():
        raise TrainingError(f"{folder}: holds a model already; give -o another folder")
    refuse_folder(folder)


def _load(model: str) -> tuple[Card, nn.Module]:
    """Read a model folder; raise ``ModelError``."""
    card = load(model, device="cpu", precision="fp32").card  # checks that card and weights fit
    network = ARCHITECTURES[card.architecture](**card.network)
    network.load_state_dict(load_file(model_folder(model) / WEIGHTS))
    return card, network.eval()


def _read_scenes(
    sources: Sequence[str], card: Card, network: nn.Module, objective: str
) -> list[NoisyScene]:
    """Read the scenes that can be used; a line says of each other one why it is left out."""
    found = []
    for source in sources:
        try:
            scene = NoisyScene.read(source, card.channels, shares_gain=card.shares_gain)
        except TrainingError as error:
            log.info("left out: %s", error)
            continue
        if scene.is_correlated and not OBJECTIVES[objective].takes_correlated:
            log.info("left out: %s: its noise is correlated; %s needs white", source, objective)
        elif scene.is_correlated and not takes_spectrum(network):
            log.info("left out: %s: its noise is correlated; %s knows white", source, card.name)
        else:
            found.append(scene)
    return found


def _hold_out(scenes: list[NoisyScene], seed: int) -> tuple[list[NoisyScene], list[NoisyScene]]:
    """Divide scenes, or their windows where there are few, into those to train on and to judge by.

    Raises:
        TrainingError: there are too few.

    """
    parts = scenes
    if len(scenes) < FEWEST:
        parts = [part for scene in scenes for part in scene.split()]
    if len(parts) < FEWEST:
        raise TrainingError(
            f"too few scenes to train on and to judge by: noise is known in {len(scenes)}, which"
            f" have {len(parts)} windows; give {FEWEST} scenes of one sensor or more"
        )
    order = np.random.default_rng(seed).permutation(len(parts))
    count = max(len(parts) // SHARE, LEAST)
    return [parts[i] for i in sorted(order[count:])], [parts[i] for i in sorted(order[:count])]


def _fine_tune(
    network: nn.Module, objective: Objective, scenes: list[NoisyScene], steps: int, seed: int
) -> nn.Module:
    """Train a copy of a network, and return it with averaged weights."""
    module = _FineTuning(copy.deepcopy(network).train(), objective, steps, seed)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        gradient_clip_val=CLIP,
        callbacks=[EMAWeightAveraging(decay=DECAY), TQDMProgressBar(refresh_rate=EVERY)],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    loader = DataLoader(NoisyChips(scenes, seed), batch_size=BATCH)
    try:
        trainer.fit(module, loader)
    except SystemExit as error:
        # Lightning raises this on Ctrl-C, after it has ended its loop.
        raise KeyboardInterrupt from error
    return module.network.eval()


class _FineTuning(lightning.LightningModule):
    """A network that learns from noisy chips alone."""

    def __init__(self, network: nn.Module, objective: Objective, steps: int, seed: int) -> None:
        super().__init__()
        self.network, self.objective, self.steps = network, objective, steps
        self.rng = torch.Generator().manual_seed(seed)

    def training_step(self, batch: Noisy, index: int) -> Tensor:
        """Compute the loss of a batch; Lightning calls this.

        Args:
            batch: noisy chips.
            index: number of the batch.

        Returns:
            The loss, a scalar.

        """
        return self.objective.loss(partial(restore, self.network), batch, self.rng)

    def configure_optimizers(self) -> Any:
        """Return Adam with a rate that warms up, then falls to zero as a cosine."""
        optimizer = torch.optim.Adam(self.network.parameters(), LEARNING_RATE)

        def factor(step: int) -> float:
            return min((step + 1) / WARMUP, fall("cosine", step / self.steps))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
