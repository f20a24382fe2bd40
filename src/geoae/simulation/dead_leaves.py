"""Synthetic scenes without any noise of their own, which real scenes always have.

They hold ground that is exactly flat and edges that are exactly sharp. A network needs both to
learn to smooth the one and to keep the other.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["dead_leaves"]

# Leaves are painted at this many times the resolution and averaged, as a detector would.
FINE = 2
UNCOVERED = 0.002


def dead_leaves(rng: np.random.Generator, bands: int, side: int) -> NDArray[np.float32]:
    """Draw a scene of opaque shapes that occlude each other (the dead leaves model).

    Sizes follow the power law of exponent -3 that gives the statistics of natural images (Lee,
    Mumford and Huang, IJCV 41, 2001). Achddou, Gousseau and Ladjal (SSVM 2021) train denoisers on
    such scenes. The shapes are ellipses and rectangles, mostly along two directions as in a town.
    Each has a colour; half of them have a slope, half a texture. The scene is blurred by a random
    amount.

    Args:
        rng: source of random numbers.
        bands: number of bands.
        side: height and width in pixels.

    Returns:
        Pixels ``(band, row, col)``, in no unit, all positive.

    """
    fine = FINE * side
    scene = np.zeros((bands, fine, fine), dtype=np.float32)
    free = np.ones((fine, fine), dtype=bool)
    texture = _texture(rng, fine)
    least, contrast, heading = (
        2.0 ** rng.uniform(2, 5),
        rng.uniform(0.2, 0.9),
        rng.uniform(0, np.pi),
    )
    while free.mean() > UNCOVERED:
        # Top leaves first: each pixel is painted once.
        for _ in range(200):
            _paint(rng, scene, free, texture, (least, contrast, heading))
    scene[:, free] = np.median(scene[:, ~free], axis=1)[:, None]
    blurred = ndimage.gaussian_filter(scene, (0, *[FINE * rng.uniform(0, 0.8)] * 2))
    means: NDArray[np.float32] = blurred.reshape(bands, side, FINE, side, FINE).mean(axis=(2, 4))
    return means


def _paint(
    rng: np.random.Generator,
    scene: NDArray[np.float32],
    free: NDArray[np.bool_],
    texture: NDArray[np.float32],
    style: tuple[float, float, float],
) -> None:
    """Paint one shape where ``scene`` is still ``free``."""
    least, contrast, heading = style
    fine = len(free)
    half = (least**-2 - rng.random() * (least**-2 - (fine / 3) ** -2)) ** -0.5
    long, short = half * np.exp(np.abs(rng.normal(0, 0.7)) * np.array([1, -1]))
    angle = heading + np.pi / 2 * rng.integers(2) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    row, col = rng.uniform(0, fine, 2)
    reach = float(np.hypot(long, short))
    rows = slice(max(int(row - reach), 0), int(row + reach) + 1)
    cols = slice(max(int(col - reach), 0), int(col + reach) + 1)
    window = free[rows, cols]
    if not window.any():
        return
    y, x = np.ogrid[
        rows.start : rows.start + window.shape[0], cols.start : cols.start + window.shape[1]
    ]
    along = ((y - row) * np.sin(angle) + (x - col) * np.cos(angle)) / long
    across = ((x - col) * np.sin(angle) - (y - row) * np.cos(angle)) / short
    inside = (
        np.hypot(along, across) <= 1
        if rng.random() < 0.4
        else np.maximum(np.abs(along), np.abs(across)) <= 1
    )
    inside &= window
    colour = np.exp(contrast * (rng.normal() + 0.4 * rng.normal(size=(len(scene), 1))))
    slope = rng.normal(0, 0.15) if rng.random() < 0.5 else 0.0
    rough = rng.exponential(0.15) if rng.random() < 0.5 else 0.0
    shade = 1 + slope * along[inside] + rough * texture[rows, cols][inside]
    scene[:, rows, cols][:, inside] = colour * shade
    window[inside] = False


def _texture(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Draw noise of unit variance whose spectrum falls with a random power of frequency."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * frequency ** -rng.uniform(0.8, 1.8)
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=(side, side))
    return (field / field.std()).astype(np.float32)
