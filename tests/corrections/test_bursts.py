import numpy as np
import pytest

from geoae.corrections.bursts import Bursts as Found
from geoae.simulation import Bursts
from geoae.tiling.window import Window, reflect
from tests.corrections.support import corrected, plan, plan_all, reader, scene, strips_of


def damaged(axis: str = "row", share: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """A scene with noisy lines, and which they are, ``(band, line)``."""
    clean = scene()
    noisy = Bursts(share, 60.0, axis)(clean.astype(np.float64), np.random.default_rng(1))
    truth = (noisy != clean).any(axis=1 if axis == "column" else 2)
    return noisy.astype(np.float32), truth


@pytest.mark.parametrize("axis", ["row", "column"])
def test_noisy_lines_are_found_with_their_level(axis):
    noisy, truth = damaged(axis)
    (found,) = plan(noisy)
    assert isinstance(found, Found)
    assert found.axis == axis
    seen = found.sigma > 0
    assert not (seen & ~truth).any()
    assert (seen & truth).sum() >= 0.9 * truth.sum()
    np.testing.assert_allclose(np.median(found.sigma[seen]), 60, rtol=0.1)
    np.testing.assert_allclose(found.sigma[seen], 60, rtol=0.4)


@pytest.mark.parametrize("axis", ["row", "column"])
def test_noisy_lines_become_what_their_surroundings_predict(axis):
    clean = scene()
    noisy, truth = damaged(axis)
    restored = corrected(noisy)
    before, after = (np.sqrt(np.square(some - clean).mean()) for some in (noisy, restored))
    assert after < 0.4 * before
    changed = (restored != noisy).any(axis=1 if axis == "column" else 2)
    assert not (changed & ~truth).any()


def test_weak_noise_is_weighed_and_not_replaced():
    """Where a prediction is worse than what a line holds, the line keeps most of it."""
    clean = np.random.default_rng(0).normal(1000, 40, (1, 200, 220)).astype(np.float32)
    rows = np.arange(20, 190, 20)
    noisy = clean.copy()
    noisy[0, rows] += np.random.default_rng(1).normal(0, 20, (len(rows), 220))
    sigma = np.zeros((1, 200))
    sigma[0, rows] = 20
    restored = Found("row", sigma, ((),), np.ones(1)).apply(noisy, None, Window(0, 0, 200, 220))
    before, after = (np.square(some - clean)[0, rows].mean() for some in (noisy, restored))
    assert after < 0.97 * before


def test_any_window_has_the_bits_of_the_whole():
    noisy = Bursts(0.05, 60.0, "column")(damaged()[0].astype(np.float64), np.random.default_rng(2))
    pixels = noisy.astype(np.float32)
    mask = np.ones(pixels.shape, bool)
    mask[:, 60:90, 20:110] = False
    height, width = pixels.shape[1:]
    read = plan_all(pixels, mask).wrap(reader(pixels, mask), height, width)
    whole, _ = read(Window(0, 0, height, width))
    assert (whole != pixels).any()
    assert np.array_equal(whole[~mask], pixels[~mask])
    for row, col, rows, cols in ((0, 0, 60, 50), (70, 90, 64, 64), (-20, 150, 90, 80)):
        part, _ = read(Window(row, col, rows, cols))
        expected = whole[:, reflect(row, rows, height)][:, :, reflect(col, cols, width)]
        assert part.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_even_noise_has_no_bursts():
    assert plan(scene(sigma=30.0)) == ()


def test_an_edge_between_two_lines_is_no_burst():
    """Blocks of JPEG, and scenes put together, have a step between two lines."""
    pixels = scene((1, 200, 220))
    pixels[0, 96:] += np.random.default_rng(3).normal(0, 60, 220).astype(np.float32)
    assert plan(pixels) == ()


def test_a_line_that_all_bands_have_is_the_scene():
    pixels = scene()
    pixels[:, 96] += np.random.default_rng(3).normal(0, 60, 220).astype(np.float32)
    assert plan(pixels) == ()


def test_a_lost_line_makes_no_burst_beside_it():
    pixels = scene()
    pixels[0, 77] = 0
    assert [type(some).__name__ for some in plan(pixels)] == ["LostLines"]


@pytest.mark.parametrize("bands", [1, 3])
def test_a_noisy_line_beside_invalid_ones_is_judged_by_its_other_side(bands):
    pixels, mask = scene((bands, 200, 220)), np.ones((bands, 200, 220), bool)
    pixels[0, 60] += np.random.default_rng(3).normal(0, 300, 220)
    mask[:, :60] = False
    assert [np.flatnonzero(found.sigma[0]).tolist() for found in plan(pixels, mask)] == [[60]]


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("width", [100, 220])
def test_bright_objects_are_no_noise_of_their_line(bands, width):
    pixels = scene((bands, 200, width))
    pixels[0, 90, [40, width - 20]] += 2000
    assert plan_all(pixels).steps == ()


def test_a_line_between_two_noisy_ones_is_not_made_worse():
    """No line beside it tells how good its prediction is."""
    clean = np.random.default_rng(0).normal(1000, 40, (1, 200, 220)).astype(np.float32)
    sigma = np.zeros((1, 200))
    sigma[0, 80:83] = 2
    restored = Found("row", sigma, ((),), np.ones(1)).apply(clean, None, Window(0, 0, 200, 220))
    assert np.std((restored - clean)[0, 81]) < 2


def test_strips_give_the_plan_of_the_whole():
    noisy, _ = damaged()
    tall = np.concatenate([noisy, noisy[:, ::-1]], axis=1)
    assert len(list(strips_of(tall)())) > 1
    (found,) = plan(tall)
    assert (found.sigma[:, :190] > 0).sum() >= 0.9 * (plan(noisy)[0].sigma[:, :190] > 0).sum()
    assert (found.sigma[:, 210:] > 0).any()
