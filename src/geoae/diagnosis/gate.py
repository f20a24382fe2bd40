"""Tell noise that is correlated from pixel to pixel from the texture of the ground."""

from dataclasses import dataclass

import numpy as np

from geoae.diagnosis.kernels import lag_weights
from geoae.types import Array, Floats

__all__ = ["CORRELATED", "TEXTURE", "WHITE", "Calmness", "Evidence", "examine", "judge"]

WHITE, CORRELATED, TEXTURE = "white", "correlated noise", "cannot be told from texture"

# Noise of which the floor of the spectrum is this part is white, or nearly: its correlation with
# the next pixel is below 0.15.
NEARLY_WHITE = 0.8
# Fewer blocks tell nothing.
FEWEST_BLOCKS = 150
# How much more the variance of calm blocks may differ than that of noise does, for the calmest
# twentieth and tenth.
MOST_UNEVEN = (2.0, 1.8)
# Kurtosis of noise is 3, of texture more; of noise that was quantised or clipped less.
LEAST_KURTOSIS, MOST_KURTOSIS = 2.6, 3.3
# Most of the products of calm blocks that noise and texture may leave unexplained, and most of
# their variance that may be texture.
MOST_UNEXPLAINED, MOST_TEXTURE = 0.12, 0.45
# Parts of the blocks that are looked at, and the fewest.
CALM, FEWEST = (0.05, 0.1), 24
# Blocks whose variance is so many deviations above the median have an object in them.
FAR_ABOVE = 3.0
# Quantile of normal values at which the spread is measured.
TENTH, NORMAL_TENTH = 0.1, 1.2816


@dataclass(frozen=True)
class Calmness:
    """How even, and how normal, the calmest blocks of a band are."""

    blocks: int
    """Number of blocks of the band."""
    uneven: tuple[float, float]
    """Spread of the logarithm of the variance below its median, over that of noise with the same
    correlation: among the blocks with the calmest twentieth and tenth around them.
    """
    kurtosis: float
    """Kurtosis of their pixels, each block on its own."""


@dataclass(frozen=True)
class Evidence:
    """What a verdict on the noise of one band rests on."""

    calmness: Calmness
    """How even and how normal the calmest blocks are."""
    kernel: str
    """Name of the known kernel that explains them best; "" where there are too few."""
    floor: float
    """White noise as of ``noise_model`` over the deviation of the noise found."""
    unexplained: float
    """Part of the products of pixels that noise of this kernel and texture leave unexplained."""
    texture: float
    """Part of the variance of the calmest blocks that is texture."""

    @classmethod
    def none(cls, blocks: int = 0) -> "Evidence":
        """Return the evidence of a band with too few blocks."""
        return cls(Calmness(blocks, (np.inf, np.inf), np.inf), "", 0.0, 1.0, 1.0)


def examine(values: Array, variance: Floats, products: Floats, blocks: int) -> Calmness:
    """Measure how even and how normal the calmest blocks of a band are.

    The variance of a block of normal noise follows a chi-square distribution, whose degrees of
    freedom are the square of the sum of the eigenvalues of the noise's covariance over the sum of
    their squares. These are known from the products of pixels at all lags.

    Args:
        values: blocks less a quadratic plane, calmest around first, ``(block, row, col)``.
        variance: their variance, ``(block,)``.
        products: mean products of their pixels at each lag, ``(lag,)``.
        blocks: number of all blocks of the band, of which these are the first.

    """
    side = values.shape[1]
    squares = lag_weights(side) * products**2
    freedom = (side * side * products[0]) ** 2 / (2 * squares.sum() - squares[0])
    spread = np.sqrt(2 / freedom)
    uneven = []
    for part in CALM:
        logs = np.log(variance[: max(int(part * blocks), FEWEST)])
        below = np.median(logs) - np.quantile(logs, TENTH)
        uneven.append(float(below / (NORMAL_TENTH * spread)))
    few = np.log(variance)
    plain = values[few < np.median(few) + FAR_ABOVE * spread].reshape(-1, side * side)
    kurtosis = (plain**4).mean(axis=1) / (plain**2).mean(axis=1) ** 2
    return Calmness(blocks, (uneven[0], uneven[1]), float(kurtosis.mean()))


def judge(seen: Evidence) -> str:
    """Tell whether a band's noise is white, correlated, or cannot be told from texture.

    Noise makes a floor: where the blocks around are calm, the variance of a block is that of noise
    and no more uneven; its pixels are normal; and their correlation is one that a known kernel
    leaves. Texture differs from place to place, has a higher kurtosis, and reaches farther.
    """
    calm = seen.calmness
    if seen.kernel and seen.floor >= NEARLY_WHITE:
        return WHITE
    is_noise = (
        calm.blocks >= FEWEST_BLOCKS
        and all(one < most for one, most in zip(calm.uneven, MOST_UNEVEN, strict=True))
        and LEAST_KURTOSIS < calm.kurtosis < MOST_KURTOSIS
        and seen.unexplained < MOST_UNEXPLAINED
        and seen.texture < MOST_TEXTURE
    )
    return CORRELATED if is_noise else TEXTURE
