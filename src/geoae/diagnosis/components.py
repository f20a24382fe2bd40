"""Tell components of many bands that hold signal from those that hold nothing but noise."""

import numpy as np

from geoae.radiometry.resampling import LAG
from geoae.radiometry.scale import Scale
from geoae.types import Floats, Mask, Samples

__all__ = ["find_signal"]

# With fewer bands nearly all components hold signal.
MANY = 16
# Signal in a component makes neighbours alike: this part of the noise variance more than the noise
# itself does, and so many errors of the sample.
ALIKE, ERRORS = 0.01, 4.0
# Noise alone has at most so many times the variance that was estimated for it.
LOUDER = 1.15
# Pairs of neighbours for each band without which nothing is told.
ENOUGH = 50
# In place of the noise of components that have none.
TINY = 1e-30


def find_signal(
    samples: Samples,
    mean: Floats,
    covariance: Floats,
    sigma: Floats,
    correlation: Floats | None,
    between: Floats | None = None,
) -> Mask | None:
    """Find the components that hold more than noise.

    Those of pure noise have at most the variance at the edge that Marchenko and Pastur, Math. USSR
    Sbornik 1(4), 1967, give for a sample of this size, and neighbours that are alike only as far as
    the noise is correlated.

    Args:
        samples: pixels in DN and mask of each window, ``(band, row, col)``.
        mean: of each band in DN, ``(band,)``.
        covariance: of the bands in DN squared, ``(band, band)``.
        sigma: noise of each band in DN, ``(band,)``.
        correlation: normalised autocovariance of each band's noise ``(band, 9, 9)``; None for white
            noise.
        between: correlation of the noise from band to band, ``(band, band)``; None for none.

    Returns:
        Which components hold signal, ``(component,)``, in the order of ``Scale.principal``. None
        where all count as signal: with few bands, or few pixels that are valid in all of them.

    """
    bands = len(mean)
    if bands < MANY:
        return None
    scale = Scale.principal(mean, covariance, sigma, 1, between=between)
    forward, noise = scale.forward, np.square(scale.sigma)
    alike, pairs = _measure_neighbours(samples, mean, forward)
    if pairs < ENOUGH * bands:
        return None
    variance = ((forward @ covariance) * forward).sum(axis=1)
    expected = np.zeros_like(noise)
    if correlation is not None:
        next_ones = correlation[:, LAG, LAG + 1] + correlation[:, LAG + 1, LAG]
        squares = np.square(forward)
        share = squares @ (sigma**2 * next_ones / 2) / np.maximum(squares @ sigma**2, TINY)
        # By chance some components have more of the noise, and then more that is alike.
        expected = share * variance
    # Each pixel is in about two pairs.
    edge = (1 + np.sqrt(2 * bands / pairs)) ** 2
    least = max(ALIKE, ERRORS / np.sqrt(pairs))
    found: Mask = (variance > LOUDER * edge * noise) | (alike - expected > least * noise)
    return found


def _measure_neighbours(samples: Samples, mean: Floats, forward: Floats) -> tuple[Floats, int]:
    """Measure how far neighbouring pixels of components are alike.

    Args:
        samples: pixels in DN and mask of each window, ``(band, row, col)``.
        mean: of each band in DN, ``(band,)``.
        forward: map from bands to components, ``(component, band)``.

    Returns:
        Covariance of a pixel and the next one, the mean over both directions, ``(component,)``;
        and the number of pairs of pixels valid in all bands.

    """
    total, count = np.zeros(len(forward)), 0
    # Components vary by few of their units, so single precision does, and takes half the time.
    turned = forward.astype(np.float32)
    for pixels, mask in samples:
        valid: Mask = np.logical_and.reduce(mask, axis=0)
        # About the mean of the whole sample: what differs from window to window is signal, too.
        centred = np.where(valid, pixels - mean[:, None, None], 0).astype(np.float32)
        components = (turned @ centred.reshape(len(mean), -1)).reshape(-1, *valid.shape)
        for first, second in (
            (np.s_[..., :-1, :], np.s_[..., 1:, :]),
            (np.s_[..., :-1], np.s_[..., 1:]),
        ):
            # What is not valid is 0, and adds nothing.
            total += np.einsum("crx,crx->cr", components[first], components[second]).sum(
                axis=1, dtype=np.float64
            )
            count += int((valid[first] & valid[second]).sum())
    return total / max(count, 1), count
