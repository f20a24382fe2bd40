"""Tell components of many bands that hold signal from those that hold nothing but noise."""

import numpy as np

from geoae.diagnosis.sampling import count_valid
from geoae.radiometry.resampling import LAG
from geoae.radiometry.scale import Scale
from geoae.types import Floats, Mask, Samples

__all__ = ["find_signal", "measure_neighbours"]

# With fewer bands nearly all components hold signal.
MANY = 16
# Signal in a component makes neighbours alike: this part of the noise variance more than the noise
# itself does, and so many errors of the sample.
ALIKE, ERRORS = 0.01, 4.0
# Noise alone has at most so many times the variance that was estimated for it.
LOUDER = 1.3
# In place of the noise of components that have none.
TINY = 1e-30


def measure_neighbours(samples: Samples) -> Floats | None:
    """Measure how neighbouring pixels of two bands vary together.

    Args:
        samples: pixels in DN and mask of each window, ``(band, row, col)``.

    Returns:
        Covariance of a band and of the next pixel of another one in DN squared, ``(band, band)``,
        the mean over both directions; None for fewer than ``MANY`` bands, or without neighbours
        that are valid in all bands.

    """
    if not samples or len(samples[0][0]) < MANY or not count_valid(samples).any():
        return None
    bands = len(samples[0][0])
    total, count = np.zeros((bands, bands)), 0
    for pixels, mask in samples:
        valid: Mask = np.logical_and.reduce(mask, axis=0)
        if not valid.any():
            continue
        centre = pixels[:, valid].mean(axis=1, dtype=np.float64)[:, None, None]
        centred = np.where(valid, pixels - centre, 0)
        for axis in (0, 1):
            first, second = (
                (slice(None),) * axis + (along,) for along in (slice(-1), slice(1, None))
            )
            both = valid[first] & valid[second]
            total += centred[:, *first][:, both] @ centred[:, *second][:, both].T
            count += int(both.sum())
    return (total + total.T) / (2 * count) if count else None


def find_signal(
    scale: Scale, covariance: Floats, neighbours: Floats, correlation: Floats | None, pixels: int
) -> Mask:
    """Find the components that hold more than noise.

    Those of pure noise have at most the variance at the edge that Marchenko and Pastur, Math. USSR
    Sbornik 1(4), 1967, give for a sample of this size, and neighbours that are alike only as far as
    the noise is correlated.

    Args:
        scale: the components.
        covariance: of the bands in DN squared, ``(band, band)``.
        neighbours: the same of neighbouring pixels, as of ``measure_neighbours``.
        correlation: normalised autocovariance of each band's noise ``(band, 9, 9)``; None for white
            noise.
        pixels: number of pixels of the sample.

    Returns:
        Which components hold signal, ``(component,)``.

    """
    forward, noise = scale.forward, np.square(scale.sigma)
    variance, alike = (
        np.einsum("cb,bd,cd->c", forward, of, forward) for of in (covariance, neighbours)
    )
    expected = np.zeros_like(noise)
    if correlation is not None:
        next_ones = correlation[:, LAG, LAG + 1] + correlation[:, LAG + 1, LAG]
        share = np.square(forward) @ (scale.noise**2 * next_ones / 2) / np.maximum(noise, TINY)
        # By chance some components have more of the noise, and then more that is alike.
        expected = share * variance
    bands = len(covariance)
    edge = (1 + np.sqrt(bands / max(pixels, 1))) ** 2
    least = max(ALIKE, ERRORS / np.sqrt(2 * max(pixels, 1)))
    found: Mask = (variance > LOUDER * edge * noise) | (alike - expected > least * noise)
    return found
