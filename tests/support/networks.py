"""Small networks with random weights, and inputs for networks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from geoae.models.folder import save
from geoae.networks import ResCAE
from tests.support.doubles import randomised

LEVEL = 0.1


def save_small_network(
    folder: Path,
    *,
    channels: int = 1,
    widths: Sequence[int] = (2, 2, 2),
    head: float = 0.1,
    tile: int = 256,
    levels: int = 1,
) -> nn.Module:
    """Save a model folder with a small network of random weights, and return the network.

    ``head`` is the spread of the last layer's weights: the residual is as large as it is. With 9
    ``levels`` it takes the spectrum of the noise.
    """
    torch.manual_seed(0)
    arguments: dict[str, Any] = {
        "channels": channels,
        "widths": list(widths),
        "blocks": [1, 0, 0, 0, 0],
    }
    if levels > 1:
        arguments["levels"] = levels
    network = randomised(ResCAE(**arguments), head=head)
    save(
        folder,
        network,
        name="small",
        description="random",
        architecture="res_cae",
        network=arguments,
        tile=tile,
    )
    return network


def noisy(
    network: nn.Module, height: int, width: int, batch: int = 1, seed: int = 0
) -> torch.Tensor:
    """Random pixels in model units for ``network``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((batch, network.channels, height, width), generator=generator)


def level(network: nn.Module, batch: int = 1, value: float = LEVEL) -> torch.Tensor:
    """One noise level for all pixels."""
    return torch.full((batch, network.channels, 1, 1), value)


def random_batch(samples: int = 5, side: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``(B, 2, side, side)`` in model units and their noise levels, for a restorer."""
    rng = np.random.default_rng(seed)
    pixels = rng.random((samples, 2, side, side), np.float32)
    return pixels, rng.uniform(0.05, 0.2, (samples, 2)).astype(np.float32)


def random_shapes(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    """Any spectra ``(samples, channels, 9)`` of noise."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 2, (samples, channels, 9)).astype(np.float32)
