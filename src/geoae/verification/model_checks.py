"""Checks of a model by itself: no bias, no chance, no influence between tiles of a batch."""

import numpy as np
from numpy.typing import NDArray

from geoae.types import Array
from geoae.verification.bench import Bench, identity_scale, restore_array
from geoae.verification.finding import Finding, count_differences, largest, tolerance

__all__ = ["bias", "clean", "company", "determinism"]

# Percent of a band's range. The noise itself has a mean of some hundredths of a percent here.
BIAS = 0.1


def clean(bench: Bench) -> Finding | None:
    """With a noise level of zero the model finds no noise."""
    if not bench.subject.noise_aware:
        return None
    pixels = _windows(bench, 1)
    residual = bench.restorer(pixels, np.zeros(pixels.shape[:2], np.float32), _shape(bench, 1))
    what = "residual where the noise is told to be zero"
    return Finding(measured=what, figure=largest(residual), limit=0, unit="model units")


def bias(bench: Bench) -> Finding:
    """The residual has no mean in any band; the noise is estimated, as in a run."""
    result = restore_array(bench.restorer, bench.units, identity_scale(bench.scale.sigma))
    moved = np.abs(bench.scale.inverse @ (bench.units - result).mean(axis=(1, 2), dtype=np.float64))
    low, high = np.percentile(bench.pixels, (0.5, 99.5), axis=(1, 2))
    what = "shift of a band's mean, of its range"
    return Finding(
        measured=what, figure=float((100 * moved / (high - low)).max()), limit=BIAS, unit="%"
    )


def determinism(bench: Bench) -> Finding:
    """Restoring twice gives the same bits."""
    units, scale = bench.leading_components
    again = restore_array(bench.restorer, units, scale)
    figure = count_differences(again, bench.whole)
    return Finding(
        measured="pixels that differ when restored twice", figure=figure, limit=0, unit="pixels"
    )


def company(bench: Bench) -> Finding:
    """The residual of a tile does not depend on the other tiles of its batch."""
    pixels = _windows(bench, 3)
    sigma = np.tile(bench.leading_components[1].sigma.astype(np.float32), (len(pixels), 1))
    shape = _shape(bench, 1)
    together = bench.restorer(pixels, sigma, _shape(bench, len(pixels)))
    alone = np.concatenate(
        [bench.restorer(pixels[i : i + 1], sigma[i : i + 1], shape) for i in range(len(pixels))]
    )
    what = "a tile in a batch against the tile alone"
    return Finding(
        measured=what,
        figure=largest(together - alone),
        limit=tolerance(bench),
        unit="model units",
    )


def _windows(bench: Bench, count: int) -> NDArray[np.float32]:
    """Cut windows (count, channels, H, W) of the leading components from different parts of the
    scene.
    """
    units, step = bench.units[: bench.restorer.channels], bench.restorer.multiple
    side = -(-96 // step) * step
    return np.stack(
        [units[:, i * 16 : i * 16 + side, i * 16 : i * 16 + side] for i in range(count)]
    )


def _shape(bench: Bench, samples: int) -> Array | None:
    """Return the spectrum that the model is told for some samples, ``(samples, channels, 9)``."""
    shape = bench.shape(bench.restorer.channels)
    return None if shape is None else np.tile(shape.astype(np.float32), (samples, 1, 1))
