"""Tell noise that is correlated from pixel to pixel from the texture of the ground."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from geoae.diagnosis.noise.kernels import lag_weights
from geoae.types import Array, Floats

__all__ = [
    "CORRELATED",
    "SHORT",
    "TEXTURE",
    "WHITE",
    "Calmness",
    "Evidence",
    "examine",
    "judge",
    "judge_bands",
    "may_be_noise",
]

WHITE, CORRELATED, TEXTURE = "white", "correlated noise", "cannot be told from texture"

# Noise of which the floor of the spectrum is this part is white, or nearly: its correlation with
# the next pixel is below 0.15.
NEARLY_WHITE = 0.8
# Where it is so much above the noise of calm blocks, it is texture that passed for noise.
MOST_FLOOR = 2.0
# Part of the floor of a kernel's spectrum that must be there: less shows texture, which has none.
# So much below that is the error of a floor that is next to nothing.
LEAST_FLOOR, FLOOR_ERROR = 0.75, 0.03
# Where less of the deviation of calm blocks is white, they may be texture alone.
MOST_TEXTURE_FLOOR = 0.6
# Fewer blocks of a band, or of all bands that are valid in the same places, tell nothing.
FEWEST_BLOCKS, FEWEST_TOGETHER = 60, 150
# Kurtosis of noise that was quantised or clipped is below 3, but not less than this.
LEAST_KURTOSIS = 2.6
# White noise and texture leave at least so many times as much unexplained as correlated noise does.
LEAST_GAIN = 1.5
# They explain correlated noise nearly as well where the floor of its kernel is above this: then the
# floor alone tells, since it is that part of the noise; but not above the second value, where fine
# texture on white noise looks the same.
SHORT, SHORTEST = 0.65, 0.85
# So many bands with the same kernel, of which it must be half of all bands, lend it to others.
FEWEST_AGREEING = 2
# Parts of the blocks that are looked at, and the fewest.
CALM, FEWEST = (0.05, 0.1), 24
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
    """Kurtosis of their pixels: the median over blocks, since an object in one is no texture."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far what a band shows may be from noise."""

    uneven: tuple[float, float]
    """How much more the variance of calm blocks may differ than that of noise does, for the calmest
    twentieth and tenth.
    """
    kurtosis: float
    """Most kurtosis: that of noise is 3, of texture more."""
    unexplained: float
    """Most of the products of calm blocks that noise and texture may leave unexplained."""
    texture: float
    """Most of their variance that may be texture."""
    own: float
    """Least of their noise that must be the band's own, not that of bands that predict it."""


# Of a band by itself; of one among bands of which most have no such noise; and of one that has the
# kernel of most of them. Bands of a scene share its way through resampling.
ALONE = Limits(uneven=(2.0, 1.8), kurtosis=3.22, unexplained=0.12, texture=0.45, own=0.33)
OUTVOTED = replace(ALONE, texture=0.3)
AGREEING = Limits(uneven=(2.2, 2.2), kurtosis=3.5, unexplained=0.1, texture=0.5, own=0.5)


@dataclass(frozen=True)
class Evidence:
    """What a verdict on the noise of one band rests on."""

    calmness: Calmness
    """How even and how normal the calmest blocks are."""
    together: int
    """Number of blocks of all bands that are valid in the same places."""
    kernel: str
    """Name of the known kernel that explains them best; "" where there are too few."""
    floor: float
    """White noise as of ``noise_model`` over the deviation of the noise found: what is seen of the
    floor of the noise's spectrum.
    """
    expected: float
    """What would be seen of noise of this kernel."""
    unexplained: float
    """Part of the products of pixels that noise of this kernel and texture leave unexplained."""
    gain: float
    """What white noise and texture leave unexplained, over what this kernel and texture leave."""
    texture: float
    """Part of the variance of the calmest blocks that is texture."""
    own: float
    """Part of the noise in them that is the band's own, not that of bands that predict it."""

    @property
    def even(self) -> bool:
        """Whether calm blocks are as even and as normal as those of noise."""
        return may_be_noise(self.calmness)

    @property
    def backed(self) -> float:
        """Part of the level found that the floor backs: texture adds to the level without a floor.

        It is not less than the part of the floor that a verdict asks for.
        """
        part = (self.floor + FLOOR_ERROR) / (self.expected + FLOOR_ERROR)
        return float(np.clip(part, LEAST_FLOOR, 1.0))

    @property
    def is_hardly_white(self) -> bool:
        """Whether white noise is a small part of what calm blocks show, or no estimate of it."""
        return not MOST_TEXTURE_FLOOR <= self.floor <= MOST_FLOOR

    @classmethod
    def none(cls) -> Self:
        """Return the evidence of a band with too few blocks."""
        return cls(Calmness(0, (np.inf, np.inf), np.inf), 0, "", 0.0, 1.0, 1.0, 1.0, 1.0, 0.0)


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
    squared = np.square(values.reshape(-1, side * side))
    kurtosis = np.square(squared).mean(axis=1) / np.square(squared.mean(axis=1))
    return Calmness(blocks, (uneven[0], uneven[1]), float(np.median(kurtosis)))


def may_be_noise(calm: Calmness, limits: Limits = ALONE) -> bool:
    """Whether calm blocks are as even and as normal as those of noise."""
    even = all(one < most for one, most in zip(calm.uneven, limits.uneven, strict=True))
    normal = LEAST_KURTOSIS < calm.kurtosis < limits.kurtosis
    return calm.blocks >= FEWEST_BLOCKS and even and normal


def judge_bands(evidence: Sequence[Evidence]) -> list[str]:
    """Tell what ``judge`` does for each of the bands that are valid in the same places.

    Bands that went through the same resampling share its kernel. Where at least half of them have
    noise of one kernel, a band that it explains as well may be less calm; where fewer than half
    have correlated noise of any kernel, more of what such a band shows must be noise.

    Args:
        evidence: evidence of each band.

    Returns:
        The verdict on each band.

    """
    alone = [judge(seen) for seen in evidence]
    pairs = list(zip(evidence, alone, strict=True))
    told = sum(bool(seen.kernel) for seen in evidence)
    kernels = Counter(seen.kernel for seen, verdict in pairs if verdict == CORRELATED)
    if 2 * kernels.total() < told:
        return [
            judge(seen, OUTVOTED) if verdict == CORRELATED else verdict for seen, verdict in pairs
        ]
    (kernel, agreeing), *_ = kernels.most_common(1) or [("", 0)]
    if agreeing < FEWEST_AGREEING or 2 * agreeing < told:
        return alone
    return [
        CORRELATED if seen.kernel == kernel and judge(seen, AGREEING) == CORRELATED else verdict
        for seen, verdict in pairs
    ]


def judge(seen: Evidence, limits: Limits = ALONE) -> str:
    """Tell whether a band's noise is white, correlated, or cannot be told from texture.

    Noise makes a floor: where the blocks around are calm, the variance of a block is that of noise
    and no more uneven; its pixels are normal; and their correlation is one that a known kernel
    leaves, floor of the spectrum included. Texture differs from place to place, has a higher
    kurtosis, reaches farther, and has no floor.

    Args:
        seen: evidence of one band.
        limits: how far that may be from noise.

    Returns:
        ``CORRELATED`` where this holds, the floor is not that of white noise of the level found,
        and white noise explains calm blocks worse or the correlation is short; ``WHITE`` where the
        floor is nearly all of the noise, or white noise and texture explain noisy blocks as well;
        else ``TEXTURE``.

    """
    explained = seen.unexplained < limits.unexplained and seen.texture < limits.texture
    even = may_be_noise(seen.calmness, limits) and seen.together >= FEWEST_TOGETHER
    # Where the white estimate is texture, what was found is less, and does less harm.
    own = seen.own > limits.own or seen.floor > MOST_FLOOR
    noisy = even and explained and own
    # A kernel whose own floor is that of nearly white noise says no more than that it is white.
    middle = (1 + seen.expected) / 2 if seen.expected < NEARLY_WHITE else NEARLY_WHITE
    is_white = max(middle, NEARLY_WHITE) <= seen.floor <= MOST_FLOOR
    floored = LEAST_FLOOR * seen.expected - FLOOR_ERROR <= seen.floor and not is_white
    fine = seen.expected >= SHORTEST and seen.floor <= MOST_FLOOR
    distinct = seen.gain >= LEAST_GAIN or (seen.expected >= SHORT and not fine)
    if noisy and floored and distinct:
        return CORRELATED
    nearly_white = NEARLY_WHITE <= seen.floor <= MOST_FLOOR
    return WHITE if nearly_white or (noisy and seen.gain < LEAST_GAIN) else TEXTURE
