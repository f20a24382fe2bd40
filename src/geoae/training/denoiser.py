"""The network in training: loss, learning rate, and validation figure."""

from typing import Any

import lightning
import torch
from torch import Tensor

from geoae.errors import TrainingError
from geoae.networks import ARCHITECTURES, predict
from geoae.training.config import TrainConfig
from geoae.training.losses import LOSSES
from geoae.training.samples.batches import Batch

__all__ = ["EVERY", "Denoiser", "fall"]

# Training has diverged where the loss is this many times the first one.
DIVERGED = 1e3
# Steps between two looks at the loss, for progress and for divergence.
EVERY = 10


class Denoiser(lightning.LightningModule):
    """Supervised restoration of chips whose clean version is known.

    Args:
        config: the training run.

    Raises:
        TrainingError: the loss is NaN, or a thousand times the first one.

    """

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config
        try:
            self.network = ARCHITECTURES[config.architecture](**config.network)
            self.field = int(self.network.field)
        except (TypeError, ValueError, LookupError, RuntimeError) as error:
            raise TrainingError(
                f"network {config.network} of {config.architecture}: {error}"
            ) from error
        self.loss = LOSSES[config.loss]
        self.first = float("nan")
        self.last: Tensor | None = None

    def setup(self, stage: str) -> None:
        """Store the weights channels last, the layout of the fast convolutions."""
        self.network.to(memory_format=torch.channels_last)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Compute the loss of a batch; Lightning calls this.

        Args:
            batch: noisy chips, clean chips and sigma, each ``(B, C, H, W)`` in model units; shape
                of the noise's spectrum ``(B, C, 9)``.
            index: number of the batch.

        Returns:
            The loss, a scalar.

        """
        noisy, clean, sigma, shape = batch
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        loss = self.loss(noisy - predict(self.network, noisy, sigma, shape), clean, sigma)
        # A variational bottleneck is drawn towards the unit Gaussian.
        if hasattr(self.network, "divergence"):
            loss = loss + self.network.beta * self.network.divergence
        self.last = loss.detach()
        # To look at it makes the device wait.
        if index % EVERY == 0:
            self._check(float(loss.detach()))
        self.log("loss", loss, prog_bar=True)
        return loss

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Look at the loss before weights are kept; Lightning calls this.

        Args:
            checkpoint: what will be saved.

        """
        if self.last is not None:
            self._check(float(self.last))

    def _check(self, loss: float) -> None:
        self.first = loss if self.first != self.first else self.first
        if not loss < DIVERGED * self.first:
            raise TrainingError(
                f"the loss went from {self.first:.3g} to {loss:.3g} at step {self.global_step}: it"
                f" diverges; lower learning_rate (now {self.config.learning_rate:g})"
            )

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log the mean gain in dB over the noisy chips; Lightning calls this.

        Args:
            batch: noisy chips, clean chips and sigma, each ``(B, C, H, W)`` in model units; shape
                of the noise's spectrum ``(B, C, 9)``.
            index: number of the batch.

        """
        noisy, clean, sigma, shape = batch
        error = noisy - predict(self.network, noisy, sigma, shape) - clean
        ratio = ((noisy - clean) ** 2).mean(dim=(1, 2, 3)) / (error**2).mean(dim=(1, 2, 3))
        self.log("gain_db", 10 * torch.log10(ratio[torch.isfinite(ratio)]).mean(), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Return AdamW with warm restarts, so that a finished run can continue with another cycle.

        Each cycle warms up, then falls to zero: linearly over its second half (Zhai et al., Scaling
        Vision Transformers, CVPR 2022), or as a cosine (restarts and cosine: Loshchilov and Hutter,
        SGDR, ICLR 2017).
        """
        config = self.config
        optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=1e-4
        )

        def factor(step: int) -> float:
            for length in config.cycles:
                if step < length:
                    return min((step + 1) / config.warmup, fall(config.schedule, step / length))
                step -= length
            return 0.0

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fall(schedule: str, done: float) -> float:
    """Return the share of the full learning rate at a moment of a cycle.

    Args:
        schedule: "cosine", or a fall in a straight line in the second half of the cycle.
        done: share of the cycle that is over, from 0 to 1.

    """
    if schedule == "cosine":
        return 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * done))))
    return min(1.0, 2 * (1 - done))
