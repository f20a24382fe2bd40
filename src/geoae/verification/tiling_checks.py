"""Checks that tiles give what the whole scene would give, for which the halo must be true."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from geoae.models.restorer import Restorer
from geoae.networks.halo import measure_halo
from geoae.radiometry.spectrum import FREQUENCIES
from geoae.verification.bench import Bench, overlap, restore_array
from geoae.verification.finding import Finding, largest, tolerance

__all__ = ["compare_tiles", "compare_tiles_under_growth", "halo", "shift"]

# Growth of the noise variance per model unit of signal, relative to the variance at the mean.
GROWTH = 2.0


def compare_tiles(bench: Bench) -> Finding:
    """Restoring in the smallest tiles that the halo allows equals restoring in one tile."""
    units, scale = bench.leading_components
    side = 2 * overlap(bench.restorer)
    tiles = restore_array(bench.restorer, units, scale, tile=side)
    what = f"a scene in tiles of {side} px against the scene whole"
    return Finding(
        measured=what,
        figure=largest(tiles - bench.whole),
        limit=tolerance(bench),
        unit="model units",
    )


def compare_tiles_under_growth(bench: Bench) -> Finding | None:
    """As ``compare_tiles``, with a map of noise whose variance grows with the signal."""
    if not bench.subject.noise_aware:
        return None
    units, scale = bench.leading_components
    grown = replace(scale, slope=GROWTH * scale.noise**2)
    side = 2 * overlap(bench.restorer)
    tiles = restore_array(bench.restorer, units, grown, tile=side)
    figure = largest(tiles - restore_array(bench.restorer, units, grown))
    what = f"the same under noise that grows with the signal, tiles of {side} px"
    return Finding(measured=what, figure=figure, limit=tolerance(bench), unit="model units")


def shift(bench: Bench) -> Finding:
    """A crop that starts elsewhere on the network's grid gives the same result beyond the halo."""
    step = bench.restorer.multiple
    note = ""
    if step > 1:
        units, _ = bench.leading_components
        off = _measure_shift(bench, 3 * step + 1, 5 * step + step // 2)
        removed = np.std(units - bench.whole)
        share = np.std(off) / removed if removed else 0.0
        note = (
            f"started off its grid of {step} px: {share:.1%} of what is taken away, root mean"
            " square"
        )
    what = f"a crop that starts at ({3 * step}, {5 * step}) against the scene, beyond the halo"
    figure = largest(_measure_shift(bench, 3 * step, 5 * step))
    return Finding(
        measured=what, figure=figure, limit=tolerance(bench), unit="model units", note=note
    )


def _measure_shift(bench: Bench, row: int, col: int) -> NDArray[np.float32]:
    units, scale = bench.leading_components
    margin = bench.restorer.halo
    crop = restore_array(bench.restorer, units[:, row:, col:], scale)
    whole = bench.whole[:, row:, col:]
    return (crop - whole)[:, margin:, margin:]


class _Network(torch.nn.Module):
    """A restorer as the network that ``measure_halo`` expects."""

    def __init__(self, restorer: Restorer) -> None:
        super().__init__()
        self.restorer = restorer
        # Measure well beyond the declared halo.
        self.field = restorer.halo + 64
        self.levels = len(FREQUENCIES) ** 2 if restorer.takes_spectrum else 1

    def forward(
        self, pixels: torch.Tensor, sigma: torch.Tensor, shape: torch.Tensor | None = None
    ) -> torch.Tensor:
        told = None if shape is None else shape.numpy()
        return torch.from_numpy(
            self.restorer(pixels.contiguous().numpy(), sigma[:, :, 0, 0].numpy(), told)
        )


def halo(bench: Bench) -> Finding:
    """The halo, measured on the CPU in float32 as when the model was saved, is at most the declared
    one.
    """
    restorer = bench.subject.exact
    measured = measure_halo(_Network(restorer), restorer.channels, restorer.multiple)
    what = (
        "distance from which an input moves a pixel by 1e-5 model units, against the halo declared"
    )
    return Finding(measured=what, figure=measured, limit=restorer.halo, unit="px")
