"""The training run: ``python -m geoae.training.fit CONFIG.toml --scenes DIR --work DIR``.

The finished model, card and weights, is written beside the config.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader

from geoae.errors import TrainingError
from geoae.networks import ARCHITECTURES
from geoae.training.chips import Chips, TrainingScene
from geoae.training.config import SceneGroup, TrainConfig
from geoae.training.leaves import dead_leaves
from geoae.weights import WEIGHTS, Card, model_folder, save

__all__ = ["Denoiser", "export", "fit"]

VALIDATION_SAMPLES = 96
# Noise in model units below which an error no longer weighs more: half a grey level of 255.
FAINT = 2e-3


class Denoiser(lightning.LightningModule):
    """Supervised denoising of chips whose clean version is known.

    Loss: root mean square of (residual - noise) / sigma of each sample, so that faint and strong
    noise, smooth and rough ground weigh alike. The squares keep the mean: their optimum is the
    conditional mean, where that of absolute values would shift skewed scenes towards their median.
    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        self.network = ARCHITECTURES[config.architecture](**config.network)

    def setup(self, stage: str) -> None:
        """Channels last is the layout of the fast convolutions."""
        self.network.to(memory_format=torch.channels_last)

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """``batch``: clean chips (B, C, H, W) and sigma (B, C, 1, 1)."""
        clean, sigma = batch
        # Seeded by the step, so that a resumed run draws what the undisturbed one would have.
        generator = torch.Generator(clean.device).manual_seed(self.config.seed * 1_000_003 + self.global_step)
        noise = sigma * torch.randn(clean.shape, generator=generator, device=clean.device)
        noisy = (clean + noise).contiguous(memory_format=torch.channels_last)
        error = (self.network(noisy, sigma) - noise) / sigma.clamp(min=FAINT)
        # Components past a scene's bands are empty and do not count.
        present = (sigma > 0).float()
        square = (error**2 * present).mean(dim=(2, 3)).sum(dim=1) / present.sum(dim=(1, 2, 3)).clamp(min=1)
        loss = (square + 1e-4).sqrt().mean()
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Mean gain in dB over the noisy chips."""
        clean, sigma = batch
        generator = torch.Generator(clean.device).manual_seed(index)
        noise = sigma * torch.randn(clean.shape, generator=generator, device=clean.device)
        error = self.network(clean + noise, sigma) - noise
        ratio = (noise**2).mean(dim=(1, 2, 3)) / (error**2).mean(dim=(1, 2, 3))
        self.log("gain_db", 10 * torch.log10(ratio[torch.isfinite(ratio)]).mean(), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with warm restarts, so that a run that ended goes on where another cycle is added.

        Each cycle warms up, holds, and falls to zero over its second half (restarts: Loshchilov and
        Hutter, SGDR, ICLR 2017; the shape: Zhai et al., Scaling Vision Transformers, CVPR 2022).
        """
        config = self.config
        optimizer = torch.optim.AdamW(self.network.parameters(), config.learning_rate, weight_decay=1e-4)

        def factor(step: int) -> float:
            for length in config.cycles:
                if step < length:
                    return min(1.0, (step + 1) / config.warmup, 2 * (length - step) / length)
                step -= length
            return 0.0

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _files(folder: Path, group: SceneGroup, left_out: set[Path]) -> list[Path]:
    """The scenes of ``group`` below ``folder``, less those left out; raises ``TrainingError``."""
    files = sorted({path for pattern in group.files for path in folder.glob(pattern)} - left_out)
    if not files:
        raise TrainingError(f"{folder}: no scene matches {', '.join(group.files)}; check --scenes and the config")
    return files


def _load(config: TrainConfig, folder: Path) -> tuple[list[TrainingScene], list[float]]:
    """Training scenes and their weights; a group's weight is spread by the root of the area."""
    left_out = {folder / name for name in (*config.validation, *config.exclude)}
    scenes: list[TrainingScene] = []
    weights: list[float] = []
    for group in config.groups:
        members = [TrainingScene.read(path, config.chip) for path in _files(folder, group, left_out)]
        if group.halve:
            members += [half for half in (m.halved() for m in members) if min(half.valid.shape) >= config.chip]
        area = np.sqrt([member.valid.sum() for member in members])
        scenes += members
        weights += list(group.weight * area / area.sum())
    leaves = config.leaves
    for rng in np.random.default_rng(config.seed).spawn(leaves.count):
        pixels = dead_leaves(rng, leaves.bands, leaves.side)
        scenes.append(TrainingScene.from_pixels(pixels, np.ones(pixels.shape[1:], dtype=bool)))
        weights.append(leaves.weight / leaves.count)
    return scenes, weights


def _start(config: TrainConfig) -> dict[str, Tensor]:
    """The weights of the model that ``config.start`` names; raises ``ModelError``, ``TrainingError``."""
    assert config.start is not None
    folder = model_folder(config.start)
    card = Card.read(folder)
    if (card.architecture, card.network) != (config.architecture, config.network):
        raise TrainingError(
            f"{folder}: is {card.architecture} {card.network}, but the config asks for"
            f" {config.architecture} {config.network}; give start and config the same network"
        )
    return load_file(folder / WEIGHTS)


def _validation(config: TrainConfig, folder: Path) -> DataLoader[tuple[Tensor, Tensor]]:
    """A fixed set of chips of the scenes kept out, in batches."""
    scenes = [TrainingScene.read(folder / name, config.chip) for name in config.validation]
    chips = Chips(scenes, [1.0] * len(scenes), config.chip, _group(config), seed=0)
    drawn = [chips.draw(rng) for rng in [np.random.default_rng(0)] for _ in range(VALIDATION_SAMPLES)]
    return DataLoader(drawn, batch_size=config.batch_size)  # type: ignore[arg-type]


def _group(config: TrainConfig) -> int:
    channels = config.network.get("channels", 1)
    assert isinstance(channels, int)
    return channels


def fit(config: TrainConfig, scenes: Path, work: Path, threads: int | None = None) -> Path:
    """Train as ``config`` says and return the path of the last checkpoint.

    Resumes from ``work/last.ckpt`` where that exists. Raises ``TrainingError``.
    """
    if threads:
        torch.set_num_threads(threads)
    lightning.seed_everything(config.seed)
    members, weights = _load(config, scenes)
    last = work / "last.ckpt"
    module = Denoiser(config)
    if config.start:
        module.network.load_state_dict(_start(config))
    done = torch.load(last, map_location="cpu", weights_only=False)["global_step"] if last.exists() else 0
    # The stream of samples is a function of the step at which the run (re)starts.
    chips = Chips(members, weights, config.chip, _group(config), seed=config.seed * 1_000_003 + done)
    trainer = lightning.Trainer(
        max_steps=sum(config.cycles),
        precision=config.precision,
        gradient_clip_val=0.5,
        callbacks=[
            EMAWeightAveraging(decay=config.ema),
            ModelCheckpoint(work, save_last=True, save_top_k=0, every_n_train_steps=1000),
        ],
        logger=CSVLogger(work, name="log"),
        val_check_interval=1000,
        num_sanity_val_steps=0,
        log_every_n_steps=50,
        enable_model_summary=False,
        default_root_dir=work,
    )
    loader = DataLoader(chips, batch_size=config.batch_size, num_workers=1, prefetch_factor=8)
    trainer.fit(
        module, loader, _validation(config, scenes), ckpt_path=last if last.exists() else None, weights_only=False
    )
    return last


def export(config: TrainConfig, checkpoint: Path, folder: Path) -> Card:
    """Write the averaged weights of ``checkpoint`` as a model ``folder``: card and safetensors."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=False)["state_dict"]
    network = ARCHITECTURES[config.architecture](**config.network)
    network.load_state_dict({key.removeprefix("network."): value for key, value in state.items()})
    facts = {"name": config.name, "description": config.description, "architecture": config.architecture}
    trained_on = [pattern for group in config.groups for pattern in group.files]
    return save(folder, network, **facts, network=config.network, tile=config.tile, trained_on=trained_on, limits=config.limits)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO)
    config = TrainConfig.read(options.config)
    export(config, fit(config, options.scenes, options.work), options.config.parent)


if __name__ == "__main__":
    main()
