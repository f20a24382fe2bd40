"""Components of many bands that hold nothing but noise."""

import numpy as np
import pytest
from scipy import ndimage

from geoae.diagnosis.components import MANY
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


def cut(pixels: np.ndarray, mask: np.ndarray | None = None, side: int = SIDE) -> list:
    """The sample of a scene: its squares of a side, pixels and mask each."""
    mask = np.ones(pixels.shape, bool) if mask is None else mask
    return [
        (pixels[:, row : row + side, col : col + side], mask[:, row : row + side, col : col + side])
        for row in range(0, pixels.shape[1], side)
        for col in range(0, pixels.shape[2], side)
    ]


def signal(samples: list, sigma: float = SIGMA, correlation: np.ndarray | None = None):
    return SceneStatistics.of(samples, [sigma] * BANDS, correlation).signal


def test_the_sources_are_signal_and_the_rest_is_not():
    found = signal(cut(mixed()))
    assert found[:SOURCES].all()
    assert found.sum() <= SOURCES + 1
    assert SceneStatistics.of(cut(mixed()), [SIGMA] * BANDS).scale(3).signal.shape == (42,)


@pytest.mark.parametrize("told", [0.95, 1.05])
def test_a_level_that_is_somewhat_wrong_makes_no_noise_a_signal(told):
    assert signal(cut(mixed()), told * SIGMA).sum() <= SOURCES + 1


@pytest.mark.parametrize("side", [SIDE, SIDE // 4])
def test_regions_that_differ_by_less_than_the_noise_are_signal(side):
    pixels = mixed()
    along = np.random.default_rng(9).normal(size=BANDS)
    pixels[:, :, : SIDE // 2] += (SIGMA * along / np.linalg.norm(along))[:, None, None]
    assert signal(cut(pixels, side=side)).sum() >= SOURCES + 1
    assert signal(cut(pixels, side=side))[: SOURCES + 1].all()


def test_correlated_noise_is_told_from_signal_by_its_correlation():
    bilinear = correlation_of(KERNELS["white"][0], KERNELS["bilinear"][1])
    correlation = np.repeat(bilinear[None], BANDS, axis=0)
    samples = cut(mixed(kernel=0.5))
    assert signal(samples, correlation=correlation).sum() <= SOURCES + 1
    assert signal(samples).all(), "smoothness that the noise does not explain is signal"


def test_few_bands_and_few_pixels_all_hold_signal():
    pixels = mixed()
    few = SceneStatistics.of(cut(pixels[: MANY - 1]), [SIGMA] * (MANY - 1))
    assert few.signal is None
    assert signal(cut(pixels[:, :20, :20])) is None
    mask = np.ones(pixels.shape, bool)
    mask[3, :, 5:] = False
    assert signal(cut(np.where(mask, pixels, 0), mask)) is None


def test_pixels_that_some_band_lacks_do_not_count():
    pixels = mixed()
    mask = np.ones(pixels.shape, bool)
    mask[3, :, 100:] = False
    expected = signal(cut(pixels[:, :, :100]))
    assert np.array_equal(signal(cut(np.where(mask, pixels, np.nan), mask)), expected)


def test_embedded_bands_hold_no_signal():
    stats = SceneStatistics.of(cut(mixed()), [SIGMA] * BANDS)
    found = stats.embed(list(range(BANDS)), BANDS + 2).scale(1).signal
    assert found[:BANDS].tolist() == stats.signal.tolist()
    assert not found[BANDS:].any()


def test_a_filter_makes_all_components_count_as_signal():
    samples = cut(mixed())
    assert SceneStatistics.of(samples, [SIGMA] * BANDS).move_to(samples).signal is None
