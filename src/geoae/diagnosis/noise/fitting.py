"""Explain what calm blocks show by noise of known kernels and by texture."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from geoae.diagnosis.noise.kernels import expect_kernels, expect_texture, lag_weights
from geoae.types import Floats

__all__ = ["Fit", "choose_kernels", "fit_kernels", "unmix_variance"]

# A band has the kernel of all bands if that leaves so many times as much unexplained as its own, at
# most.
ALIKE = 1.5
# Part that a kernel leaves unexplained at which it is wrong, however much more it is.
HOPELESS = 0.1
# Rounds in which the noise of bands is told from that of their predictors.
ROUNDS = 300


@dataclass(frozen=True, eq=False)
class Fit:
    """How each known kernel explains one band."""

    left: Floats
    """Part of the products that is left unexplained, ``(kernel,)``."""
    variance: Floats
    """Variance of the noise in DN squared, ``(kernel,)``."""
    texture: Floats
    """Part of the variance of calm blocks that is texture, ``(kernel,)``."""


def fit_kernels(
    products: Floats, loud: Floats | None, side: int, expected: Floats | None = None
) -> Fit:
    """Explain products by noise of each kernel and by texture, with weights of 0 or more.

    There are two kinds of texture at most, so each set of them is tried.

    Args:
        products: mean products of calm blocks at each lag, ``(lag,)``.
        loud: what louder blocks have more, ``(lag,)``, as a kind of texture; None for none.
        side: rows and columns of the blocks.
        expected: products that noise of each kernel has, ``(kernel, lag)``; None for those of
            ``known_kernels``.

    """
    root = np.sqrt(lag_weights(side))
    seen = products * root
    noise, sets = _expect_known(side) if expected is None else _expect(expected, side)
    if loud is not None:
        kind = expect_texture(side) * root
        sets = [*sets, *(_Texture.of(noise, some) for some in ([loud * root], [kind, loud * root]))]
    left = np.full(len(noise), np.inf)
    variance, texture = np.zeros((2, len(noise)))
    for some in sets:
        basis, own = some.basis, some.own
        rest = seen - basis @ (basis.T @ seen)
        amount = own @ rest / some.power
        weights = np.linalg.solve(some.upper, basis.T @ (seen - amount[:, None] * noise).T)
        unexplained = np.square(rest - amount[:, None] * own).sum(axis=1) / np.square(seen).sum()
        better = (amount > 0) & (weights >= 0).all(axis=0) & (unexplained < left)
        left[better], variance[better] = unexplained[better], amount[better]
        texture[better] = weights.sum(axis=0)[better] / products[0]
    return Fit(left, variance, texture)


@dataclass(frozen=True, eq=False, slots=True)
class _Texture:
    """Some kinds of texture, and what is left of each kernel's noise beside them."""

    basis: Floats
    """Orthonormal products of the kinds, ``(lag, kind)``."""
    upper: Floats
    """What the kinds are in this basis, ``(kind, kind)``."""
    own: Floats
    """Products of each kernel that no kind has, ``(kernel, lag)``."""
    power: Floats
    """Their sum of squares, ``(kernel,)``."""

    @classmethod
    def of(cls, noise: Floats, kinds: Sequence[Floats]) -> Self:
        """Part the products of ``noise`` (kernel, lag) from those of each kind, ``(lag,)``."""
        base = np.stack(kinds, axis=1) if kinds else np.zeros((noise.shape[1], 0))
        basis, upper = np.linalg.qr(base)
        own = noise - (noise @ basis) @ basis.T
        return cls(basis, upper, own, np.square(own).sum(axis=1))


def _expect(expected: Floats, side: int) -> tuple[Floats, list[_Texture]]:
    """Return the weighted products of noise, and the sets of texture that are the same for all."""
    root = np.sqrt(lag_weights(side))
    noise = expected * root
    return noise, [_Texture.of(noise, some) for some in ([], [expect_texture(side) * root])]


@lru_cache(maxsize=2)
def _expect_known(side: int) -> tuple[Floats, list[_Texture]]:
    return _expect(expect_kernels(side), side)


def choose_kernels(fits: Sequence[Fit | None]) -> list[int]:
    """Index of the kernel of each band: that of all bands, or its own where that is far better."""
    told = [fit for fit in fits if fit is not None]
    if not told:
        return [0] * len(fits)
    common = int(np.sum([np.minimum(fit.left, HOPELESS) for fit in told], axis=0).argmin())
    chosen = []
    for fit in fits:
        best = common if fit is None else int(fit.left.argmin())
        shared = fit is None or fit.left[common] <= ALIKE * fit.left[best]
        chosen.append(common if shared else best)
    return chosen


def unmix_variance(variance: Floats, squares: Floats) -> Floats:
    """Tell the noise variance of each band from that of the residuals, ``squares @ own``.

    By the rule of Richardson and Lucy: nothing gets negative, and where bands are so alike that
    the residuals do not tell their noise apart, they share it.

    Args:
        variance: variance of the residual of each band, ``(band,)``, in DN squared.
        squares: share of each band's noise in the variance of each residual,
            ``(residual, band)``.

    Returns:
        The variance of the noise of each band, in DN squared.

    """
    own, total = variance.copy(), squares.sum(axis=0)
    for _ in range(ROUNDS):
        mixed = squares @ own
        ratio = np.divide(variance, mixed, out=np.zeros_like(mixed), where=mixed > 0)
        own *= squares.T @ ratio / total
    return own
