"""Correlations of noise that resampling and detectors leave, and of the texture of the ground."""

from collections.abc import Callable
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.patches import SIDE as PATCH
from geoae.radiometry.resampling import weigh_cubic
from geoae.types import Floats

__all__ = [
    "FAR",
    "LEAST_FINEST",
    "REACH",
    "average_products",
    "expect_kernel",
    "expect_kernels",
    "expect_texture",
    "find_floors",
    "known_kernels",
    "lag_weights",
    "measure_finest",
    "polynomials",
]

# Lags of a correlation go from -REACH to REACH; lags to FAR are looked at, where noise has none and
# texture has.
REACH, FAR = 4, 7
# Shifts of bilinear interpolation in pixels, down and across: correlations with the next pixel
# differ by 0.03 at most from one to the next.
SHIFTS = tuple(step / 40 for step in range(21))
# Part of a pixel that a detector carries into the next one, down or across.
MEMORIES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
# Pixels of the output for each of the input: 10 / 3 is the grid of 100 m seen every 30 m.
RATIOS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 10 / 3, 4.0)
# Standard deviations of a Gaussian blur in pixels.
BLURS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.0, 1.15, 1.3)
# Phases of a pixel of the output on the grid of the input over which a correlation is averaged.
PHASES = 40
# A finest part of noise below this tells nothing: little ground is so smooth, and none of integers.
LEAST_FINEST = 0.05

Weight = Callable[[Floats], Floats]


@lru_cache(maxsize=1)
def known_kernels() -> tuple[tuple[str, ...], Floats]:
    """Return the correlations that white noise has after known ways of resampling and reading.

    White noise itself is the first: a bilinear shift by 0.

    Returns:
        Names, and correlations ``(kernel, lag, lag)`` for lags from ``-FAR`` to ``FAR`` in row and
        column, 1 at the centre.

    """
    found: dict[str, Floats] = {}
    for down in SHIFTS:
        for across in SHIFTS:
            name = f"bilinear shift {down:g}, {across:g} px" if down or across else "white"
            found[name] = np.outer(_of_weights(1 - down, down), _of_weights(1 - across, across))
    for ratio in RATIOS:
        for name, weight in (("cubic", weigh_cubic), ("bilinear", _linear_weight)):
            line = _of_interpolation(weight, ratio)
            found[f"{name} resampling by {ratio:.3g}"] = np.outer(line, line)
    for blur in BLURS:
        line = _of_weights(*np.exp(-(np.arange(-FAR, FAR + 1) ** 2) / (2 * blur**2)))
        found[f"Gaussian blur {blur:g} px"] = np.outer(line, line)
    white = _of_weights(1.0, 0.0)
    for memory in MEMORIES:
        line = memory ** np.abs(np.arange(-FAR, FAR + 1))
        found[f"detector memory {memory:g} down"] = np.outer(line, white)
        found[f"detector memory {memory:g} across"] = np.outer(white, line)
    return tuple(found), np.stack(list(found.values()))


@lru_cache(maxsize=1)
def find_floors() -> Floats:
    """Return the root of the least power in the spectrum of each known kernel, of mean power 1,
    ``(kernel,)``: the part of the noise that an estimate of white noise finds.
    """
    spectra = np.fft.fft2(np.fft.ifftshift(known_kernels()[1], axes=(1, 2))).real
    floors: Floats = np.sqrt(np.maximum(spectra.min(axis=(1, 2)), 0.0))
    return floors


def _of_weights(*weights: float) -> Floats:
    """Correlation, for lags from ``-FAR`` to ``FAR``, of white noise under a filter."""
    full = np.correlate(weights, weights, "full")
    middle = len(weights) - 1
    line = np.zeros(2 * FAR + 1)
    reach = min(FAR, middle)
    line[FAR - reach : FAR + reach + 1] = full[middle - reach : middle + reach + 1]
    return line / line[FAR]


def _of_interpolation(weight: Weight, ratio: float) -> Floats:
    """Correlation of white noise interpolated at ``ratio`` pixels for each of its own."""
    where = np.arange(PHASES)[:, None] / PHASES - np.arange(-2 * FAR, 2 * FAR + 1)
    half = [np.sum(weight(where) * weight(where + lag / ratio)) for lag in range(FAR + 1)]
    return np.array(half[:0:-1] + half) / half[0]


def _linear_weight(distance: Floats) -> Floats:
    return np.maximum(1 - np.abs(distance), 0.0)


@lru_cache(maxsize=2)
def polynomials(side: int) -> Floats:
    """Return orthonormal polynomials to the second degree on a block, ``(6, side, side)``."""
    row, col = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    terms = np.stack([np.ones_like(row), row, col, row * col, row**2, col**2], -1)
    base: Floats = np.linalg.qr(terms.reshape(-1, 6))[0].T.reshape(6, side, side)
    return base


@lru_cache(maxsize=1)
def _lags() -> NDArray[np.intp]:
    """One of each pair of opposite lags up to ``FAR``, ``(lag, 2)``; the first is 0, 0."""
    line = range(-FAR, FAR + 1)
    return np.array([(i, j) for i in line for j in line if (i, j) >= (0, 0)])


@lru_cache(maxsize=2)
def lag_weights(side: int) -> Floats:
    """Return the number of pairs of pixels of a block for each lag, ``(lag,)``."""
    weights: Floats = np.prod(side - np.abs(_lags()), axis=1).astype(np.float64)
    return weights


def average_products(blocks: NDArray[np.floating[Any]], weight: Floats | None = None) -> Floats:
    """Average the products of pixels at each lag, over the places of blocks and over blocks.

    Args:
        blocks: pixels ``(block, row, col)``.
        weight: what each block counts, ``(block,)``; None for 1.

    Returns:
        The mean over blocks, whose number divides, whatever they count, ``(lag,)``.

    """
    count, side = blocks.shape[:2]
    flat = blocks.reshape(count, -1)
    if weight is not None:
        flat = flat * np.sqrt(weight).astype(flat.dtype)[:, None]
    # The products of all pixels are one product of matrices: fewer are wanted, but this is fast.
    pairs, first = _pairs_at_lags(side)
    sums = np.add.reduceat((flat.T @ flat).ravel()[pairs].astype(np.float64), first)
    mean: Floats = sums / (lag_weights(side) * count)
    return mean


@lru_cache(maxsize=2)
def _pairs_at_lags(side: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where the pairs of pixels of a block are in a matrix of all pairs, lag by lag, and
    which of them is the first of each lag, ``(lag,)``.
    """
    index = np.arange(side * side).reshape(side, side)
    places = []
    for down, across in _lags().tolist():
        # One of two opposite lags: down is 0 or more.
        left, right = max(-across, 0), side - max(across, 0)
        one = index[: side - down, left:right]
        other = index[down:, left + across : right + across]
        places.append((one * side * side + other).ravel())
    return np.concatenate(places), np.cumsum([0, *map(len, places)])[:-1]


@lru_cache(maxsize=2)
def expect_kernels(side: int) -> Floats:
    """Return the expected products of blocks of noise of each known kernel, of variance 1, less a
    quadratic plane, ``(kernel, lag)``.
    """
    lags, centre = _lags(), side - 1
    # What each lag and its opposite bring: there are fewer of them than kernels.
    pairs = np.zeros((len(lags), 2 * side - 1, 2 * side - 1))
    for opposite in (lags, -lags):
        pairs[np.arange(len(lags)), *(centre + opposite).T] = 1.0
    expected: Floats = known_kernels()[1][:, *(FAR + lags).T] @ _expect(pairs, side)
    return expected


def expect_kernel(correlation: Floats, side: int) -> Floats:
    """Return the expected products of blocks of noise of variance 1 with a known correlation.

    Args:
        correlation: for lags from ``-REACH`` to ``REACH``, ``(9, 9)``.
        side: rows and columns of the blocks, less a quadratic plane.

    Returns:
        ``(1, lag)``, as ``expect_kernels``.

    """
    return _expect(np.pad(correlation[None], ((0, 0), *[(side - 1 - REACH,) * 2] * 2)), side)


@lru_cache(maxsize=2)
def expect_texture(side: int) -> Floats:
    """Return the expected products of blocks of texture less a quadratic plane, ``(lag,)``.

    Texture is taken for a surface whose variogram is the distance of two pixels: its spectrum falls
    as the third power of the frequency. Its variance in a block is 1.
    """
    row, col = np.mgrid[1 - side : side, 1 - side : side]
    products = _expect(-np.hypot(row, col)[None], side)[0]
    return products / products[0]


def _expect(covariance: Floats, side: int) -> Floats:
    """Return the expected products of blocks less a quadratic plane, ``(case, lag)``.

    ``covariance`` (case, lag, lag) is that of the pixels before, for lags from ``1 - side`` to
    ``side - 1``. The block is ``(I - Q Q') n``, so its covariance is ``(I - Q Q') T (I - Q Q')``.
    """
    base, size = polynomials(side), 3 * side
    spectra = np.fft.rfft2(covariance, (size, size))[:, None] * np.fft.rfft2(base, (size, size))
    moved = np.fft.irfft2(spectra, (size, size))[..., side - 1 : 2 * side - 1, side - 1 :]
    moved = moved[..., :side]
    within = np.einsum("iab,cjab->cij", base, moved)
    both = np.einsum("cij,jab->ciab", within, base)
    one, other, last = (np.fft.rfft2(part, (size, size)) for part in (base, moved, both))
    # Sums of a(x) b(x + lag) over x, and their mirror images.
    cross = np.conj(one) * other
    sums = np.fft.irfft2((np.conj(one) * last - cross - np.conj(cross)).sum(axis=1), (size, size))
    lags, centre = _lags(), side - 1
    exact = covariance[:, *(centre + lags).T]
    return exact + sums[:, *lags.T] / lag_weights(side)


def measure_finest(correlation: Floats) -> float:
    """Return the part of noise that ``noise_model`` finds: its least deviation in any pattern of a
    patch, where that of the noise is 1.

    Args:
        correlation: normalised autocovariance, ``(9, 9)``.

    """
    places = np.array(list(product(range(PATCH), repeat=2)))
    row, col = np.moveaxis(places[:, None] - places[None], -1, 0) + REACH
    return float(np.sqrt(max(np.linalg.eigvalsh(correlation[row, col])[0], 0.0)))
