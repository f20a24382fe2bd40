"""Judge a model against the one it began with, on noisy scenes of which no clean one is known."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from geoae.networks import predict
from geoae.training.noisy import NoisyScene
from geoae.training.objectives import estimate_error
from geoae.types import Floats

__all__ = ["Gain", "estimate_errors", "estimate_gain", "restore"]

# Certainty with which a gain must be above 0.
CERTAINTY = 0.95


@dataclass(frozen=True, slots=True)
class Gain:
    """The estimated gain of a model on scenes that it was not trained on."""

    given: float
    """Mean squared error that the given model leaves, over the variance of the noise."""
    adapted: float
    """The same of the adapted model."""
    decibel: float
    """Gain in dB; NaN where an error is estimated at 0 or less."""
    error: float
    """Standard error of the gain in dB, from scene to scene."""
    scenes: int
    """Number of scenes, or of windows where there are few scenes."""

    @property
    def is_significant(self) -> bool:
        """Whether the gain is above 0 with 95 % certainty (t-test of the differences)."""
        return self.decibel > self.error * float(stats.t.ppf(CERTAINTY, self.scenes - 1))

    def __str__(self) -> str:
        return (
            f"error left {self.given:.4f} of the noise's variance, adapted {self.adapted:.4f}:"
            f" {self.decibel:+.3f} +- {self.error:.3f} dB on {self.scenes} held out"
        )


def restore(network: nn.Module, pixels: Tensor, sigma: Tensor, shape: Tensor) -> Tensor:
    """Restore pixels ``(B, C, H, W)`` in model units; arguments as for ``predict``."""
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    return pixels - predict(network, pixels, sigma, shape)


@torch.inference_mode()
def estimate_errors(network: nn.Module, scenes: Sequence[NoisyScene], seed: int) -> Floats:
    """Estimate the error of a network on each scene with SURE.

    Args:
        network: the network, in evaluation mode.
        scenes: noisy scenes.
        seed: seed of the noise by which the divergence is measured.

    Returns:
        Squared error of all components, over the variance of the noise, ``(scene,)``.

    """
    run = partial(restore, network)
    found = []
    for index, scene in enumerate(scenes):
        rng = np.random.default_rng([seed, index])
        # Components that the network does not get keep no error of their own that could change.
        errors = [float(estimate_error(run, chip).mean()) for chip in scene.chips(rng)]
        found.append(np.mean(errors))
    return np.array(found)


def estimate_gain(given: Floats, adapted: Floats) -> Gain:
    """Compare the errors of two models on the same scenes.

    Args:
        given: errors of the given model, ``(scene,)``.
        adapted: errors of the adapted model, ``(scene,)``.

    """
    count, before, after = len(given), float(given.mean()), float(adapted.mean())
    if not (before > 0 and after > 0):
        return Gain(before, after, math.nan, math.nan, count)
    # The errors of both models share the scene and the noise, so their differences vary little.
    deviation = float((given - adapted).std(ddof=1)) / math.sqrt(count)
    slope = 10 / math.log(10) / after
    return Gain(before, after, 10 * math.log10(before / after), slope * deviation, count)
