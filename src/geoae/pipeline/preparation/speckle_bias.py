"""Measure the factor that keeps the mean of speckled scenes, before their first tile."""

from dataclasses import replace

import numpy as np

from geoae.corrections.chain import NONE
from geoae.models.restorer import Identity
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.tiles import Work
from geoae.raster.memory import ArraySink, ArraySource, write_into
from geoae.tiling.plan import TilePlan
from geoae.types import Floats, Mask, Pixels, Samples

__all__ = ["keep_means"]

# In place of a rounded 0, in DN.
LEAST = 1e-9
# Windows of a sample that are restored: as many as a usual sample has.
MOST_WINDOWS = 16


def keep_means(work: Work, samples: Samples) -> Work:
    """Restore the sample of a scene, and return the work that keeps its means.

    Args:
        work: what is done to the scene.
        samples: corrected pixels in DN and mask of each window, ``(band, row, col)``, in which
            pixels without a logarithm are masked.

    Returns:
        The same with the bias of its speckle.

    """
    speckle = work.speckle
    if speckle is None or isinstance(work.restorer, Identity) or not samples:
        return work
    before, after = np.zeros((2, len(samples[0][0])))
    for pixels, mask in samples[:: -(-len(samples) // MOST_WINDOWS)]:
        # Rounding would count as bias where restored values are small integers. Zeros of floating
        # point are no measurements, but those of integers that are left here are.
        exact = pixels.astype(np.float64)
        if speckle.kind != "db":
            exact[mask & (exact <= 0)] = LEAST
        restored = _restore(work, exact, mask)
        # What stays as it is, such as strong scatterers, gets no factor.
        changed = mask & (restored != exact)
        for total, found in ((before, exact), (after, restored)):
            linear = speckle.to_balance(np.where(changed, found, 0))
            total += np.where(changed, linear, 0).sum(axis=(1, 2))
    return replace(work, speckle=speckle.balance(before.tolist(), after.tolist()))


def _restore(work: Work, pixels: Floats, mask: Mask) -> Pixels:
    """Restore one window as a scene of its own."""
    restorer, size = work.restorer, pixels.shape[1:]
    plan = TilePlan.fit(*size, tile=restorer.tile, halo=restorer.halo, multiple=restorer.multiple)
    restored = np.zeros_like(pixels)
    source = ArraySource(pixels, mask)
    sink = write_into(ArraySink(restored))
    alone = replace(work, plan=plan, corrections=NONE)  # the sample has been corrected
    restore_slabs(alone, source.read, list(plan.slabs()), sink)
    return restored
