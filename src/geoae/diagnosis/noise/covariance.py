"""Estimate the covariance of a scene's noise from the scene itself."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.blocks import Blocks, Residuals, cut_blocks, leave_bands, subtract_bands
from geoae.diagnosis.noise.faint import find_faint_texture
from geoae.diagnosis.noise.fitting import choose_kernels, fit_kernels, unmix_variance
from geoae.diagnosis.noise.gate import (
    CORRELATED,
    TEXTURE,
    Calmness,
    Evidence,
    examine,
    judge_bands,
    may_be_noise,
)
from geoae.diagnosis.noise.kernels import (
    FAR,
    LEAST_FINEST,
    REACH,
    average_products,
    expect_kernel,
    find_floors,
    known_kernels,
    measure_finest,
)
from geoae.diagnosis.noise.level import noise_model
from geoae.diagnosis.patches import group_bands
from geoae.types import Floats, Samples

__all__ = ["NoiseCovariance", "estimate_covariance", "estimate_level"]

# Side of the blocks, and of those for noise that is correlated so much from pixel to pixel that a
# quadratic plane takes most of it from small ones.
SIDE, LARGE_SIDE, LONG = 16, 24, 0.7
# Part of the blocks, those with the calmest ones around them, from which noise is estimated, and
# parts between which they show how texture looks.
CALM, EXAMINED, FEWEST = 0.05, 0.1, 24
LOUD, MOST_LOUD = (0.4, 0.9), 500
# Loud blocks tell of texture if their variance exceeds that of calm ones by this part of it.
LEAST_TEXTURE = 0.1
# A block counts for no more than so many times the median variance.
LOUDEST = 1.5


@dataclass(frozen=True, eq=False)
class NoiseCovariance:
    """The noise of each band of a scene, and how it is correlated from pixel to pixel."""

    sigma: Floats
    """Standard deviation of the noise at the band's mean signal in DN, ``(band,)``. That of
    ``noise_model`` wherever the verdict is not "correlated noise"; but 0 where that is faint and
    calm ground shows that it is texture.
    """
    slope: Floats
    """Growth of the noise variance with the signal in DN, ``(band,)``; 0 where it is constant."""
    correlation: Floats
    """Autocovariance over the variance, ``(band, 9, 9)``: lags from -4 to 4 in row and column, 1 at
    the centre, the same for opposite lags; 0 elsewhere wherever the verdict is not "correlated
    noise".
    """
    verdict: tuple[str, ...]
    """For each band "white", "correlated noise" or "cannot be told from texture"."""
    evidence: tuple[Evidence, ...]
    """What the verdicts rest on."""


def estimate_covariance(
    samples: Samples,
    white: tuple[Floats, Floats] | None = None,
    most: float | None = None,
    *,
    shares_noise: bool = False,
) -> NoiseCovariance:
    """Estimate the covariance of additive, stationary noise.

    From each band goes what the others predict, since bands share texture, not noise. Noise is then
    looked for in the blocks of 16 x 16 px, less a quadratic plane, that have the calmest blocks
    around them: a choice by pixels of their own would find too little noise. The mean products of
    their pixels at each lag are explained by noise of a known kernel (``known_kernels``), by
    texture whose variogram is a straight line, and by texture as it is in louder blocks, all with
    weights of 0 or more. The kernel that leaves least unexplained in all bands is that of each band
    for which it does nearly as well as the best one for this band alone.

    What is found counts only where ``judge_bands`` takes it for noise.

    Args:
        samples: pairs of pixels in DN and mask, True = valid, ``(band, row, col)``, of one scene.
        white: the result of ``noise_model`` for these samples; None to compute it.
        most: the largest deviation that the noise can have where it is known that there is noise,
            as in the logarithm of speckle. Up to it, what is found then counts even where
            ``judge_bands`` cannot tell it from texture. None where it is not known.
        shares_noise: whether bands share noise, so that none is predicted from others.

    Returns:
        Noise, correlation, verdict and evidence of each band.

    """
    sigma, slope = noise_model(samples) if white is None else white
    sigma, slope, bands = sigma.copy(), slope.copy(), len(sigma)
    correlation = np.zeros((bands, 2 * REACH + 1, 2 * REACH + 1))
    correlation[:, REACH, REACH] = 1.0
    evidence = [Evidence.none()] * bands
    verdict = judge_bands(evidence)
    for group in group_bands(samples):
        some = [(pixels[group], mask[group]) for pixels, mask in samples]
        found = _estimate_group(some, (sigma[group], slope[group]), shares_noise)
        kinds = judge_bands([one[3] for one in found])
        for band, (deviation, kernel, grows, seen), kind in zip(group, found, kinds, strict=True):
            evidence[band], verdict[band] = seen, kind
            if kind == CORRELATED:
                deviation *= seen.backed
            if most is not None and kind == TEXTURE and deviation > 0:
                verdict[band], deviation = CORRELATED, min(deviation, most)
            if verdict[band] == CORRELATED:
                steeper = (deviation / sigma[band]) ** 2 if sigma[band] > 0 and grows else 0.0
                slope[band] *= steeper
                sigma[band], correlation[band] = deviation, kernel
    if most is None:
        texture = find_faint_texture(samples, sigma, slope, verdict, evidence)
        sigma[texture], slope[texture] = 0.0, 0.0
    return NoiseCovariance(sigma, slope, correlation, tuple(verdict), tuple(evidence))


def estimate_level(samples: Samples, correlation: Floats, white: tuple[Floats, Floats]) -> Floats:
    """Estimate the level of noise of which the correlation is known.

    Calm blocks are explained by noise of this correlation and by texture, as in
    ``estimate_covariance``; whether it is noise is not asked.

    Args:
        samples: pairs of pixels in DN and mask, True = valid, ``(band, row, col)``, of one scene.
        correlation: normalised autocovariance of the noise of each band, ``(band, 9, 9)``.
        white: the result of ``noise_model`` for these samples, from which the level follows where
            too few blocks are valid.

    Returns:
        Standard deviation of the noise of each band in DN, ``(band,)``.

    """
    sigma = white[0].copy()
    for group in group_bands(samples):
        some = [(pixels[group], mask[group]) for pixels, mask in samples]
        own = white[0][group], np.zeros(len(group))
        residuals = subtract_bands(some, own[0])
        variance = np.zeros(len(group))
        for band, kernel in enumerate(correlation[group]):
            long = kernel[REACH, REACH + 1 :].max() > LONG
            looks = {
                side: _look(cut_blocks(some, residuals, band, side, own))
                for side in ((LARGE_SIDE, SIDE) if long else (SIDE,))
            }
            fits = [
                fit_kernels(seen.products, seen.texture, side, expect_kernel(kernel, side))
                for side, seen in looks.items()
                if seen is not None
            ]
            # Without blocks, noise of the finest pattern tells the level.
            finest = measure_finest(kernel)
            alone = own[0][band] / (finest if finest >= LEAST_FINEST else 1.0)
            variance[band] = fits[0].variance[0] if fits else alone**2
        sigma[group] = np.sqrt(unmix_variance(variance, residuals.weights**2))
    return sigma


@dataclass(frozen=True, eq=False)
class _Look:
    """What the blocks of one band show."""

    calmness: Calmness
    """How even and how normal calm blocks are."""
    products: Floats
    """Mean products of their pixels at each lag, ``(lag,)``."""
    texture: Floats | None
    """What louder blocks have more, ``(lag,)``; None where that is little."""
    grows: bool = False
    """Whether blocks were scaled to the noise of the mean signal."""


def _estimate_group(
    samples: Samples, white: tuple[Floats, Floats], shares_noise: bool
) -> list[tuple[float, Floats, bool, Evidence]]:
    """Deviation, correlation and evidence of bands that are valid in the same places."""
    residuals = leave_bands(samples) if shares_noise else subtract_bands(samples, white[0])
    names, kernels = known_kernels()

    def look(band: int, side: int) -> _Look | None:
        return _look_steadily(samples, residuals, band, side, white)

    looks = [look(band, SIDE) for band in range(len(white[0]))]
    fits = [
        None if seen is None else fit_kernels(seen.products, seen.texture, SIDE) for seen in looks
    ]
    chosen = choose_kernels(fits)
    for band, kernel in enumerate(chosen):
        seen = looks[band]
        if seen and kernels[kernel, FAR, FAR + 1] > LONG and may_be_noise(seen.calmness):
            large = look(band, LARGE_SIDE)
            fits[band] = (
                fit_kernels(large.products, large.texture, LARGE_SIDE) if large else fits[band]
            )
    together = sum(seen.calmness.blocks for seen in looks if seen)
    inside = slice(FAR - REACH, FAR + REACH + 1)
    variance = np.array(
        [fit.variance[k] if fit else 0.0 for fit, k in zip(fits, chosen, strict=True)]
    )
    sigma = np.sqrt(unmix_variance(variance, residuals.weights**2))
    found = []
    for band, (shown, fit, kernel) in enumerate(zip(looks, fits, chosen, strict=True)):
        if shown is None or fit is None or sigma[band] == 0:
            found.append((0.0, kernels[0, inside, inside], False, Evidence.none()))
            continue
        floor = float(white[0][band] / sigma[band])
        left, texture = float(fit.left[kernel]), float(fit.texture[kernel])
        gain = float(fit.left[0] / left) if left > 0 else np.inf
        evidence = Evidence(
            calmness=shown.calmness,
            together=together,
            kernel=names[kernel],
            floor=floor,
            expected=float(find_floors()[kernel]),
            unexplained=left,
            gain=gain,
            texture=texture,
            own=float(sigma[band] ** 2 / variance[band]),
        )
        found.append((float(sigma[band]), kernels[kernel, inside, inside], shown.grows, evidence))
    return found


def _look_steadily(
    samples: Samples, residuals: Residuals, band: int, side: int, white: tuple[Floats, Floats]
) -> _Look | None:
    """Look at a band with and without growth of its noise, and keep what is more even.

    What passes for growth of white noise may be texture where noise is correlated.
    """
    constant = (white[0], np.zeros_like(white[1]))
    even = _look(cut_blocks(samples, residuals, band, side, constant))
    if even is None or not white[1][residuals.weights[band] != 0].any():
        return even
    scaled = _look(cut_blocks(samples, residuals, band, side, white))
    if scaled is None or scaled.calmness.uneven[1] >= even.calmness.uneven[1]:
        return even
    return replace(scaled, grows=True)


def _look(blocks: Blocks) -> _Look | None:
    """Look at the blocks of one band; None where there are too few."""
    count = len(blocks.variance)
    if count < FEWEST:
        return None
    order = np.argsort(blocks.around, kind="stable")
    calm = order[: max(int(CALM * count), FEWEST)]
    products = _mean_products(blocks, calm)
    examined = order[: max(int(EXAMINED * count), FEWEST)]
    calmness = examine(blocks.values[examined], blocks.variance[examined], products, count)
    first, last = (int(part * count) for part in LOUD)
    loud = order[first : last : max((last - first) // MOST_LOUD, 1)]
    more = (
        _mean_products(blocks, loud) - products if len(loud) >= FEWEST else np.zeros_like(products)
    )
    texture = more / more[0] if more[0] > LEAST_TEXTURE * products[0] else None
    return _Look(calmness, products, texture)


def _mean_products(blocks: Blocks, which: NDArray[np.intp]) -> Floats:
    """Mean products of some blocks at each lag, ``(lag,)``; the loudest count less."""
    variance = blocks.variance[which]
    weight = np.minimum(LOUDEST * np.median(variance) / variance, 1.0)
    return average_products(blocks.values[which], weight)
