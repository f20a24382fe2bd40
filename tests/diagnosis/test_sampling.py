from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.diagnosis.noise.level import estimate_noise
from geoae.diagnosis.sampling import count_valid, draw_sample, sample
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import RecipeError
from geoae.radiometry.scale import Scale
from geoae.radiometry.spectrum import KERNELS, correlation_of, to_shape
from geoae.raster.memory import ArraySource
from geoae.tiling.window import windows
from tests.support.rasters import noise, texture


@given(height=st.integers(1, 3000), width=st.integers(1, 3000))
def test_windows_are_few_inside_and_apart(height, width):
    found = windows(height, width)
    assert 1 <= len(found) <= 16
    seen = set()
    for window in found:
        assert window.clip(height, width) == window
        assert window.height * window.width > 0
        seen.add((window.row, window.col))
    assert len(seen) == len(found)
    if height <= 192 and width <= 192:
        assert found[0].height == height
        assert found[0].width == width


def facts(
    pixels: np.ndarray, mask: np.ndarray | None = None, sigma: float | None = None
) -> SceneStatistics:
    return SceneStatistics.of(sample(ArraySource(pixels, mask).read, *pixels.shape[1:]), sigma)


def test_moments_are_those_of_the_valid_pixels():
    pixels = texture(3, 150, 160) + noise((3, 150, 160), 10)
    mask = np.random.default_rng(0).random(pixels.shape) > 0.2
    joint = mask.all(axis=0)
    found = facts(np.where(mask, pixels, 1e9), mask)
    own = [band[valid].mean() for band, valid in zip(pixels, mask, strict=True)]
    np.testing.assert_allclose(found.mean, own)
    np.testing.assert_allclose(found.covariance, np.cov(pixels[:, joint], bias=True))
    assert abs(found.valid - mask.mean()) < 1e-9


def test_the_digest_sees_valid_pixels_and_mask_only():
    pixels, mask = texture(1, 100, 100), np.ones((1, 100, 100), bool)
    mask[0, :10] = False
    one, other = np.where(mask, pixels, 0.0), np.where(mask, pixels, 65535.0)
    assert facts(one, mask).digest == facts(other, mask).digest
    assert facts(one).digest != facts(one, mask).digest
    one[0, 50, 50] += 1
    assert facts(one, mask).digest != facts(other, mask).digest


def test_given_noise_replaces_the_estimate():
    assert facts(texture(2, 60, 60), sigma=[12.5, 3]).sigma.tolist() == [12.5, 3]


def test_a_corner_of_valid_pixels_is_found():
    pixels, mask = texture(1, 2000, 2000), np.zeros((1, 2000, 2000), bool)
    mask[:, 900:1010, 900:1010] = True
    assert facts(pixels, mask).valid > 0


def test_without_a_valid_pixel_there_is_nothing_but_zeros():
    found = facts(texture(2, 50, 50), np.zeros((2, 50, 50), bool))
    assert not found.mean.any()
    assert not found.covariance.any()
    assert not found.sigma.any()


def test_noise_louder_than_the_scene_is_refused():
    pixels = np.random.default_rng(0).normal(500, 40, (2, 60, 60))
    samples = [(pixels, np.ones(pixels.shape, bool))]
    assert SceneStatistics.of(samples, [40, 90]).sigma.tolist() == [40, 90]
    with pytest.raises(
        RecipeError, match=r"^sigma = 4000 DN: the scene varies by \d+(\.\d+)? DN in all"
    ):
        SceneStatistics.of(samples, [40, 4000])
    flat = [(np.full((1, 60, 60), 7.0), np.ones((1, 60, 60), bool))]
    assert SceneStatistics.of(flat, [5]).sigma.tolist() == [5], "a sample of one value says nothing"


@pytest.mark.parametrize(
    "place",
    [np.s_[:, 700:730], np.s_[1500:1540, :], np.s_[610:690, 1290:1370], np.s_[-60:, -60:]],
    ids=["columns", "rows", "island", "corner"],
)
def test_strips_and_islands_are_found(place):
    pixels = texture(1, 2000, 2200) + noise((1, 2000, 2200), 40)
    mask = np.zeros(pixels.shape, bool)
    mask[0][place] = True
    found = facts(np.where(mask, pixels, 0), mask)
    assert found.sigma == pytest.approx(40, rel=0.12)


def test_a_band_that_is_valid_elsewhere_is_found():
    pixels = texture(2, 1600, 1600) + noise((2, 1600, 1600), 40)
    mask = np.zeros(pixels.shape, bool)
    mask[0, :800] = True
    mask[1, 1210:1270, 1000:1060] = True
    assert facts(pixels, mask).sigma == pytest.approx([40, 40], rel=0.12)


def test_a_search_keeps_a_bounded_sample():
    pixels, mask = texture(1, 2500, 2500), np.zeros((1, 2500, 2500), bool)
    mask[:, ::7, ::7] = True
    found = sample(ArraySource(pixels, mask).read, 2500, 2500)
    assert sum(part.size for part, _ in found) <= 16 * 192**2


@pytest.mark.parametrize("shared", [0.0, 0.001, 1.0])
def test_the_covariance_of_bands_with_holes_is_one(shared):
    """Positive semidefinite, with each band's own variance."""
    rng = np.random.default_rng(0)
    pixels = texture(4, 120, 120) + noise((4, 120, 120), 20)
    mask = np.zeros(pixels.shape, bool)
    for band in range(4):
        mask[band, 30 * band : 30 * band + 30] = True
    mask |= rng.random((120, 120)) < shared
    found = facts(pixels, mask)
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-6 * np.trace(found.covariance)
    own = [band[valid].var() for band, valid in zip(pixels, mask, strict=True)]
    np.testing.assert_allclose(np.diag(found.covariance), own, rtol=1e-6)


def test_the_map_of_a_scene_has_the_spectrum_of_its_noise():
    found = facts(texture(2, 100, 100) + noise((2, 100, 100), 10), sigma=[10.0, 10.0])
    assert found.scale(1).shape is None
    kernels = ("bilinear", "white")
    correlation = np.array([correlation_of(*KERNELS[name]) for name in kernels])
    told = replace(found, correlation=correlation).scale(1)
    shapes = to_shape(correlation)
    expected = Scale.principal(found.mean, found.covariance, found.sigma, 1, shapes=shapes)
    assert np.array_equal(told.shape, expected.shape)
    assert np.ptp(told.shape) > 0.5


class Scene:
    """A scene of noise that is valid where ``areas`` (band, rows, columns) say; it counts what is
    read of it.
    """

    def __init__(self, height: int, width: int, areas: list, bands: int = 1) -> None:
        self.height, self.width, self.areas, self.bands, self.seen = height, width, areas, bands, 0

    @contextmanager
    def only(self, indices):
        yield lambda window: self.read(window, list(indices))

    def read(self, window, indices):
        self.seen += len(indices) * window.height * window.width
        mask = np.zeros((self.bands, window.height, window.width), bool)
        for band, rows, cols in self.areas:
            corner = window.row, window.col
            inside = (
                slice(max(part.start - at, 0), max(part.stop - at, 0))
                for part, at in zip((rows, cols), corner, strict=True)
            )
            mask[(band, *inside)] = True
        pixels = (
            np.random.default_rng([window.row, window.col])
            .normal(500, 10, mask.shape)
            .astype(np.float32)
        )
        return pixels[indices], mask[indices]

    def drawn(self):
        return draw_sample(self.only, self.bands, self.height, self.width)


@pytest.mark.parametrize(
    "areas",
    [
        [(0, slice(0, 5490), slice(500, 509))],  # on the seam of two blocks that are searched
        [(0, slice(508, 517), slice(0, 5490))],
        [(0, slice(0, 5490), slice(5481, 5490))],
        [(0, slice(0, 5490), slice(400, 719))],
        [(0, slice(3503, 3543), slice(2999, 3039))],
        [(0, slice(5445, 5490), slice(5445, 5490))],
        [(0, slice(row, row + 12), slice(4 * row, 4 * row + 12)) for row in range(100, 1200, 40)],
    ],
    ids=["column", "row", "last columns", "wide", "island", "corner", "islets"],
)
def test_a_scene_is_read_twice_at_most_for_strips_and_islands(areas):
    scene = Scene(5490, 5490, areas)
    found = scene.drawn()
    assert estimate_noise(found.samples) == pytest.approx([10], rel=0.15)
    assert sum(mask.size for _, mask in found.samples) <= 32 * 192**2
    assert scene.seen < 2.2 * 5490**2, "read until something is found, then once in all"


def test_where_few_pixels_have_valid_neighbours_more_is_looked_at():
    rng = np.random.default_rng(0)
    mask = rng.random((1, 2500, 2500)) > 0.28
    source = ArraySource(rng.normal(500, 10, mask.shape), mask)
    found = sample(source.read, 2500, 2500)
    assert len(found) > 16
    assert estimate_noise(found) == pytest.approx([10], rel=0.15)


def test_a_scene_that_is_valid_is_not_searched():
    everywhere = [(band, slice(0, 5000), slice(0, 5000)) for band in (0, 1)]
    scene = Scene(5000, 5000, everywhere, 2)
    found = scene.drawn()
    assert scene.seen == 2 * 16 * 192**2
    assert found.kept == [0, 1]
    shapes = [mask.shape for _, mask in found.samples]
    assert shapes == [(2, window.height, window.width) for window in windows(5000, 5000)]


def test_each_band_is_looked_for():
    areas = [(0, slice(0, 3000), slice(0, 3000)), (2, slice(1204, 1244), slice(2003, 2043))]
    found = Scene(3000, 3000, areas, 4).drawn()
    assert found.kept == [0, 2]
    assert (count_valid(found.samples) > 1000).all()
    assert estimate_noise(found.samples) == pytest.approx([10, 10], rel=0.15)


def test_a_band_with_one_valid_pixel_is_not_empty():
    areas = [(0, slice(0, 2000), slice(0, 2000)), (1, slice(1999, 2000), slice(900, 901))]
    found = Scene(2000, 2000, areas, 3).drawn()
    assert found.kept == [0, 1]
    assert count_valid(found.samples)[1] == 1


def test_a_scene_without_a_valid_pixel_is_read_once():
    scene = Scene(2000, 2000, [], 2)
    found = scene.drawn()
    assert (found.samples, found.kept) == ([], [])
    assert scene.seen < 1.5 * 2 * 2000**2


def test_what_is_narrow_in_a_small_scene_is_not_cut_by_windows():
    pixels = noise((1, 700, 700), 10)
    mask = np.zeros(pixels.shape, bool)
    mask[:, :, 171:179] = True
    borders = {window.col for window in windows(700, 700)}
    assert 175 in borders, "two windows share the strip: there are no patches in either"
    found = sample(ArraySource(pixels, mask).read, 700, 700)
    assert estimate_noise(found) == pytest.approx([10], rel=0.15)


def test_a_scene_of_one_window_is_read_once():
    scene = Scene(60, 50, [(0, slice(0, 20), slice(0, 20))])
    assert len(scene.drawn().samples) == 1
    assert scene.seen == 60 * 50
