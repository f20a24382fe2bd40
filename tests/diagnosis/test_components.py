"""Components of many bands that hold nothing but noise."""

import numpy as np
import pytest
from scipy import ndimage

from geoae.diagnosis.components import MANY, find_signal, measure_neighbours
from geoae.diagnosis.statistics import SceneStatistics
from geoae.radiometry.spectrum import KERNELS, correlation_of
from tests.support.rasters import noise

BANDS, SIDE, SIGMA, SOURCES = 40, 160, 20.0, 3


def mixed(sigma: float = SIGMA, kernel: float = 0.0) -> np.ndarray:
    """Bands that mix three sources, with noise on top that a filter may make correlated."""
    spectra = np.random.default_rng(0).normal(size=(BANDS, SOURCES))
    sources = ndimage.gaussian_filter(noise((SOURCES, SIDE, SIDE), 300.0), (0, 2, 2))
    clean = 1000 + np.tensordot(spectra, sources, 1)
    added = noise((BANDS, SIDE, SIDE), 1.0, seed=2)
    if kernel:
        added = ndimage.convolve1d(added, [kernel, 1 - kernel], axis=2, mode="wrap")
    return clean + sigma * added / added.std()


def whole(pixels: np.ndarray, mask: np.ndarray | None = None) -> list:
    return [(pixels, np.ones(pixels.shape, bool) if mask is None else mask)]


def test_the_sources_are_signal_and_the_rest_is_not():
    scale = SceneStatistics.of(whole(mixed()), [SIGMA] * BANDS).scale(1)
    assert scale.signal is not None
    assert scale.signal[:SOURCES].all()
    assert scale.signal.sum() <= SOURCES + 1


@pytest.mark.parametrize("told", [0.9, 1.05])
def test_a_level_that_is_somewhat_wrong_makes_no_noise_a_signal(told):
    scale = SceneStatistics.of(whole(mixed()), [told * SIGMA] * BANDS).scale(1)
    assert scale.signal is not None
    assert scale.signal.sum() <= SOURCES + 1


def test_correlated_noise_is_told_from_signal_by_its_correlation():
    bilinear = correlation_of(KERNELS["white"][0], KERNELS["bilinear"][1])
    correlation = np.repeat(bilinear[None], BANDS, axis=0)
    samples = whole(mixed(kernel=0.5))
    known = SceneStatistics.of(samples, [SIGMA] * BANDS, correlation).scale(1)
    assert known.signal is not None
    assert known.signal.sum() <= SOURCES + 1
    unknown = SceneStatistics.of(samples, [SIGMA] * BANDS).scale(1)
    assert unknown.signal is not None
    assert unknown.signal.all(), "smoothness that the noise does not explain is signal"


def test_few_bands_all_hold_signal():
    pixels = mixed()[: MANY - 1]
    assert measure_neighbours(whole(pixels)) is None
    assert SceneStatistics.of(whole(pixels)).scale(1).signal is None


def test_neighbours_are_counted_where_all_bands_are_valid():
    pixels = mixed()
    mask = np.ones(pixels.shape, bool)
    mask[3, :, 70:] = False
    expected = measure_neighbours(whole(pixels[:, :, :70]))
    found = measure_neighbours(whole(np.where(mask, pixels, np.nan), mask))
    np.testing.assert_allclose(found, expected)
    assert measure_neighbours(whole(pixels, np.zeros(pixels.shape, bool))) is None
    assert measure_neighbours([]) is None


def test_few_pixels_need_more_evidence():
    stats = SceneStatistics.of(whole(mixed()), [SIGMA] * BANDS)
    assert stats.neighbours is not None
    known = stats.scale(1), stats.covariance, stats.neighbours, None
    many, few = find_signal(*known, stats.pixels), find_signal(*known, 50)
    assert few.sum() <= many.sum()


def test_embedded_bands_keep_the_signal():
    stats = SceneStatistics.of(whole(mixed()), [SIGMA] * BANDS)
    scale = stats.embed(list(range(BANDS)), BANDS + 2).scale(1)
    assert scale.signal is not None
    assert scale.signal.sum() <= SOURCES + 1
