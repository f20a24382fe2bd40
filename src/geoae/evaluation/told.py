"""Published methods that are told everything about a damage, for comparison."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoae.evaluation.baselines import load_bm3d
from geoae.evaluation.damage_steps import Knowledge
from geoae.types import Floats, Mask

__all__ = ["NEEDED", "TOLD", "Method"]

# Damaged pixels (band, row, col) in DN and what is known about the damage to corrected pixels.
Method = Callable[[Floats, Knowledge], Floats]

# Median absolute deviation of a normal distribution of deviation 1.
NORMAL_MAD = 0.6745
# Side of the square in which one band predicts another, in pixels.
SQUARE = 9
# Width of the notch, levels and wavelet of the destriping with wavelets.
NOTCH, LEVELS, WAVELET = 0.5, 3, "db5"
# Detectors over which the scene's own mean is smoothed, as the deviation of a Gaussian.
SMOOTH = 5.0


def subtract_offsets(pixels: Floats, known: Knowledge) -> Floats:
    """Destripe by differences of neighbouring detectors: SLD.

    Carfantan and Idier, "Statistical linear destriping of satellite-based pushbroom-type images",
    IEEE TGRS 48(4), 2010: offsets that explain the medians of the differences between neighbouring
    detectors best, given their prior deviation. Gains are taken as a part of the offsets.
    """
    detectors, strengths = known.detectors, known.offsets
    assert detectors is not None, "no stripes are known"
    assert strengths is not None
    values, numbers, valid = (_turn(known.axis, one) for one in (pixels, detectors, known.valid))
    # Differences between pixels of two detectors that lie side by side.
    pairs = valid[:, 1:] & valid[:, :-1] & (numbers[:, 1:] != numbers[:, :-1])
    first, second = numbers[:, :-1][pairs], numbers[:, 1:][pairs]
    count = int(numbers.max()) + 1
    found, group = np.unique(first * count + second, return_inverse=True)
    ends = np.stack([found // count, found % count])
    corrected = np.empty_like(pixels)
    for band, (value, strength) in enumerate(zip(values, strengths, strict=True)):
        steps = np.diff(value, axis=1)[pairs]
        labels = np.arange(len(found))
        middle = ndimage.median(steps, group, labels)
        spread = ndimage.median(np.abs(steps - middle[group]), group, labels) / NORMAL_MAD
        # The sampling variance of a median.
        weight = np.bincount(group) / (np.pi / 2 * np.maximum(spread, 1e-6 * strength) ** 2)
        offsets = _solve_offsets(ends, middle, weight, strength, count)
        corrected[band] = pixels[band] - offsets[detectors]
    return corrected


def _solve_offsets(
    ends: NDArray[np.intp], steps: Floats, weight: Floats, strength: float, count: int
) -> Floats:
    """Solve for the offsets ``(detector,)`` of most probability."""
    normal, right = np.eye(count) / max(strength, 1e-12) ** 2, np.zeros(count)
    for sign, end in zip((-1, 1), ends, strict=True):
        np.add.at(right, end, sign * weight * steps)
        for other, others in zip((-1, 1), ends, strict=True):
            np.add.at(normal, (end, others), sign * other * weight)
    return np.asarray(np.linalg.solve(normal, right), dtype=np.float64)


def match_moments(pixels: Floats, known: Knowledge) -> Floats:
    """Give each detector the mean of those around it, or of the band where detectors repeat.

    Gadallah, Csillag and Smith, "Destriping multisensor imagery with moment matching",
    International Journal of Remote Sensing 21(12), 2000. Deviations are not matched: on the
    validation scenes of res-cae this lost 2 dB.
    """
    assert known.detectors is not None, "no stripes are known"
    numbers, corrected = known.detectors[known.valid], pixels.copy()
    count = np.maximum(np.bincount(numbers), 1)
    for band, values in enumerate(pixels[:, known.valid]):
        mean = np.bincount(numbers, values) / count
        around = ndimage.gaussian_filter1d(mean, SMOOTH, mode="nearest")
        target = values.mean() if known.repeats else around
        corrected[band, known.valid] -= (mean - target)[numbers]
    return corrected


def notch_wavelets(pixels: Floats, known: Knowledge) -> Floats:
    """Destripe by a notch in the Fourier transform of wavelet coefficients.

    Munch, Trtik, Marone and Stampanoni, "Stripe and ring artifact removal with combined wavelet -
    Fourier filtering", Optics Express 17(10), 2009. For stripes along columns or rows.
    """
    import pywt

    corrected = []
    for band in _turn(known.axis, pixels):
        coarse, *details = pywt.wavedec2(band, WAVELET, "symmetric", LEVELS)
        kept = [coarse]
        for horizontal, vertical, diagonal in details:
            frequency = np.fft.fftfreq(len(vertical)) * len(vertical)
            notch = 1 - np.exp(-(frequency**2) / (2 * NOTCH**2))
            spectrum = np.fft.fft(vertical, axis=0) * notch[:, None]
            kept.append((horizontal, np.fft.ifft(spectrum, axis=0).real, diagonal))
        height, width = band.shape
        corrected.append(pywt.waverec2(kept, WAVELET, "symmetric")[:height, :width])
    return np.ascontiguousarray(_turn(known.axis, np.stack(corrected)))


def fill_from_neighbours(pixels: Floats, known: Knowledge) -> Floats:
    """Interpolate lost pixels linearly between the nearest rows that are not lost."""
    assert known.lost is not None, "no lost pixels are known"
    return np.stack([_interpolate(*one) for one in zip(pixels, known.lost, strict=True)])


def fill_from_bands(pixels: Floats, known: Knowledge) -> Floats:
    """Interpolate, and add what the best correlated other band has there beyond the same.

    The slope between the bands is local, as in the local linear histogram matching of Scaramuzza,
    Micijevic and Chander, "SLC gap-filled products phase one methodology", USGS, 2004.
    """
    lost = known.lost
    assert lost is not None, "no lost pixels are known"
    filled = fill_from_neighbours(pixels, known)
    # Detail of each row against the rows around it.
    detail = filled - (np.roll(filled, 1, axis=1) + np.roll(filled, -1, axis=1)) / 2
    near = ndimage.binary_dilation(lost, np.ones((1, 3, 1)))
    for band, gone in enumerate(lost):
        order = []
        for other in range(len(pixels)):
            good = ~(near[band] | near[other]) & known.valid
            if other != band and good.any():
                share = np.corrcoef(detail[band][good], detail[other][good])[0, 1]
                order.append((share if np.isfinite(share) else -1.0, other))
        # The best band first; another one where that one is lost too.
        left = gone.copy()
        for _, other in sorted(order, reverse=True):
            here = left & ~lost[other]
            good = ~(near[band] | near[other]) & known.valid
            beyond = pixels[other] - _interpolate(pixels[other], gone | lost[other])
            filled[band][here] += (_slope(detail[other], detail[band], good) * beyond)[here]
            left &= ~here
    return filled


def _slope(source: Floats, target: Floats, good: Mask) -> Floats:
    """Regress ``target`` on ``source`` in a square around each pixel, ``(row, col)``."""
    product, power = (
        ndimage.uniform_filter(np.where(good, source * one, 0), SQUARE) for one in (target, source)
    )
    usual = power.mean()
    return np.asarray(product / (power + 0.01 * usual + 1e-12))


def _interpolate(band: Floats, lost: Mask) -> Floats:
    """Interpolate along the columns, ``(row, col)``."""
    filled, rows = band.copy(), np.arange(len(band))
    for col in np.flatnonzero(lost.any(axis=0) & ~lost.all(axis=0)):
        gone = lost[:, col]
        filled[gone, col] = np.interp(rows[gone], rows[~gone], band[~gone, col])
    return filled


def denoise(pixels: Floats, known: Knowledge) -> Floats:
    """Denoise principal components with BM3D, told the spectrum of the noise.

    Makinen, Azzari and Foi, "Collaborative filtering of correlated noise", IEEE TIP 29, 2020, on
    the components of bands that are scaled to noise of deviation 1, so that all components have
    the same noise.
    """
    assert known.noise is not None, "no noise is known"
    bm3d = load_bm3d()
    scale = np.where(known.noise > 0, known.noise, 1)[:, None, None]
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    scaled = (pixels - mean) / scale
    _, rotation = np.linalg.eigh(np.cov(scaled.reshape(len(scaled), -1)).reshape(len(scaled), -1))
    components = np.tensordot(rotation.T, scaled, 1)
    rows, cols = (
        _power(kernel(np.eye(kernel.points(length)), length, 0))
        for kernel, length in zip(known.kernel, pixels.shape[1:], strict=True)
    )
    restored = np.stack([bm3d(component, np.outer(rows, cols)) for component in components])
    return np.tensordot(rotation, restored, 1) * scale + mean


def _power(response: Floats) -> Floats:
    """Return the power spectrum ``(pixel,)`` of noise with a response ``(pixel, point)``."""
    return np.asarray((np.abs(np.fft.fft(response, axis=0)) ** 2).sum(axis=1))


def _turn(axis: str, pixels: NDArray[Any]) -> NDArray[Any]:
    """Turn ``(..., row, col)`` so that the second axis counts lines across ``axis``."""
    return pixels if axis == "column" else pixels.swapaxes(-1, -2)


TOLD: dict[str, tuple[Method, ...]] = {
    "sld": (subtract_offsets,),
    "moments": (match_moments,),
    "wavelet-fft": (notch_wavelets,),
    "neighbours": (fill_from_neighbours,),
    "best-band": (fill_from_bands,),
    "pca-bm3d": (denoise,),
    "sld-pca-bm3d": (subtract_offsets, denoise),
    "fill-sld": (fill_from_bands, subtract_offsets),
    "fill-sld-pca-bm3d": (fill_from_bands, subtract_offsets, denoise),
}
# The module of the extra peers that a method needs.
NEEDED: dict[Method, str] = {notch_wavelets: "pywt", denoise: "bm3d"}
