"""Rotations and flips of the samples of a batch."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from geoae.radiometry.spectrum import FREQUENCIES

__all__ = ["Turn"]


@dataclass(frozen=True, slots=True)
class Turn:
    """Numbers of the samples that are transposed, then flipped: one of eight ways for each."""

    transposed: Tensor
    """Samples whose rows and columns are exchanged."""
    rows: Tensor
    """Samples whose rows are reversed."""
    cols: Tensor
    """Samples whose columns are reversed."""

    @classmethod
    def draw(cls, number: int, device: torch.device, rng: np.random.Generator) -> Self:
        """Draw the turns of a batch.

        Args:
            number: samples of the batch.
            device: where the batch lies.
            rng: source of random numbers.

        """
        drawn = rng.integers(0, 2, (3, number))
        return cls(*(torch.from_numpy(np.flatnonzero(chosen)).to(device) for chosen in drawn))

    def pixels(self, pixels: Tensor) -> Tensor:
        """Turn ``(B, C, H, H)`` in place, and return it."""
        pixels[self.transposed] = pixels[self.transposed].mT
        pixels[self.rows] = pixels[self.rows].flip(-2)
        pixels[self.cols] = pixels[self.cols].flip(-1)
        return pixels

    def shape(self, shape: Tensor) -> Tensor:
        """Turn the shape of spectra ``(B, C, 9)`` in place, and return it; flips change none."""
        side = len(FREQUENCIES)
        square = shape[self.transposed].unflatten(-1, (side, side))
        shape[self.transposed] = square.mT.flatten(-2)
        return shape
