import numpy as np
import pytest

from geoae.corrections.lost_lines import LostLines
from geoae.tiling.window import Window
from tests.corrections.support import corrected, plan, scene


def lost(pixels: np.ndarray, mask: np.ndarray | None = None) -> LostLines:
    planned = [some for some in plan(pixels, mask) if isinstance(some, LostLines)]
    assert len(planned) == 1
    return planned[0]


@pytest.mark.parametrize("value", [0.0, 65535.0, 700.0])
@pytest.mark.parametrize("axis", ["row", "col"])
def test_lines_of_one_value_are_found_and_filled(value, axis):
    pixels = scene()
    damaged = pixels.copy()
    if axis == "col":
        damaged = damaged.transpose(0, 2, 1)
    damaged[0, [7, 50, 51, 150]] = value
    damaged[2, 80] = value
    if axis == "col":
        damaged = damaged.transpose(0, 2, 1)
    damaged = np.ascontiguousarray(damaged)
    found = lost(damaged)
    lines = found.rows if axis == "row" else found.cols
    assert [some.tolist() for some in lines] == [[7, 50, 51, 150], [], [80]]
    result, changed = corrected(damaged), damaged != pixels
    assert result[~changed].tobytes() == damaged[~changed].tobytes()
    assert np.abs(result - pixels)[changed].mean() < 15


def test_a_line_that_repeats_the_one_before_in_one_band():
    damaged = scene()
    damaged[1, 60] = damaged[1, 59]
    assert [some.tolist() for some in lost(damaged).rows] == [[], [60], []]


def test_lines_that_are_repeated_in_all_bands_are_resampling():
    pixels = scene()
    pixels[:, 60] = pixels[:, 59]
    assert plan(pixels) == ()


def test_an_area_without_data_is_no_lost_line():
    pixels = scene()
    pixels[:, :40] = 0
    pixels[0, 120:150] = 0
    assert plan(pixels) == ()


def test_a_border_of_one_band_is_lost_and_that_of_all_is_a_collar():
    pixels = scene()
    pixels[1, 0] = 0
    assert lost(pixels).rows[1].tolist() == [0]
    pixels[:, 0] = 0
    assert plan(pixels) == ()


def test_scattered_pixels_are_found_and_filled():
    pixels = scene()
    dead = np.random.default_rng(3).random(pixels.shape) < 1e-3
    damaged = np.where(dead, np.float32(0), pixels)
    window = Window(0, 0, *pixels.shape[1:])
    assert np.array_equal(lost(damaged).find(damaged, None, window), dead)
    result = corrected(damaged)
    assert result[~dead].tobytes() == pixels[~dead].tobytes()
    assert np.abs(result - pixels)[dead].mean() < 15


def test_dead_pixels_of_the_value_outside_the_swath_are_told_from_it():
    pixels = scene()[:1]
    outside = np.add.outer(np.arange(pixels.shape[1]), np.arange(pixels.shape[2])) < 150
    pixels[:, outside] = 0
    dead = np.random.default_rng(3).random(pixels.shape) < 1e-3
    dead[:, np.add.outer(np.arange(pixels.shape[1]), np.arange(pixels.shape[2])) < 152] = False
    damaged = np.where(dead, np.float32(0), pixels)
    window = Window(0, 0, *pixels.shape[1:])
    assert np.array_equal(lost(damaged).find(damaged, None, window), dead)
    result = corrected(damaged)
    assert result[~dead].tobytes() == pixels[~dead].tobytes()
    assert plan(pixels) == ()


def test_single_pixels_that_no_band_measured_are_not_dead():
    pixels = scene()
    outside = np.add.outer(np.arange(pixels.shape[1]), np.arange(pixels.shape[2])) < 150
    missing = outside | (np.random.default_rng(3).random(pixels.shape[1:]) < 1e-3)
    assert plan(np.where(missing, np.float32(0), pixels)) == ()


def test_saturated_places_stay():
    pixels = np.minimum(scene(), 1150)
    assert (pixels == 1150).mean() > 0.01
    assert plan(pixels) == ()


def test_other_bands_know_more_than_neighbours():
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 100, (200, 220))
    pixels = np.stack([1000 + gain * shared for gain in (1.0, 0.6, 1.4)])
    pixels = (pixels + rng.normal(0, 1, pixels.shape)).astype(np.float32)
    damaged = pixels.copy()
    damaged[0, 100] = 0
    error = (corrected(damaged) - pixels)[0, 100]
    assert error.std() < 20, "white texture, of which neighbours know nothing"


def test_invalid_pixels_of_a_lost_line_stay():
    pixels = scene()
    mask = np.ones(pixels.shape, bool)
    mask[:, :, 100:130] = False
    pixels[0, 70] = 0
    result = corrected(pixels, mask)
    assert (result[0, 70, 100:130] == 0).all()
    assert (result[0, 70, :100] != 0).all()


@pytest.mark.parametrize("value", [1e20, -1e30])
@pytest.mark.filterwarnings("error")
def test_a_fill_value_that_is_not_declared_neither_overflows_nor_hides_lost_lines(value):
    pixels = scene()
    pixels[:, :40] = value
    assert plan(pixels) == ()
    pixels[0, 100] = 0
    assert [some.tolist() for some in lost(pixels).rows] == [[100], [], []]
