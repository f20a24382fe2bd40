"""Rare pixels in components of noise."""

import numpy as np
import pytest
from scipy import ndimage, special

from geoae.radiometry.rare import REACH, take_noise

COUNT, SIDE = 40, 96
# The sum of so many squares of noise is larger in one of a million pixels.
LIMIT = special.chdtri(COUNT, 1e-6)
# Beside the border, squares hold pixels twice.
INSIDE = (slice(None), slice(REACH, -REACH), slice(REACH, -REACH))


def components(seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(COUNT, SIDE, SIDE))
    return drawn.astype(np.float32)


def direction(seed: int = 1) -> np.ndarray:
    """A target's course through the components, none of which it follows."""
    drawn = np.random.default_rng(seed).normal(size=COUNT)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def restored(model: np.ndarray, level: float = 1.0, shape: np.ndarray | None = None) -> np.ndarray:
    residual = (level * model).astype(np.float32)
    given = residual.copy()
    take_noise(residual, list(range(COUNT)), np.full((COUNT, 1, 1), level, np.float32), shape)
    return (given - residual) / level


@pytest.mark.parametrize("level", [0.01, 1.0])
def test_noise_becomes_its_mean(level):
    kept = restored(components(), level)[INSIDE] != 0
    assert kept.any(axis=0).mean() < 1e-3


def test_noise_that_is_smooth_becomes_its_mean_where_that_is_told():
    smooth = ndimage.uniform_filter(components(), (0, 2, 2), mode="wrap")
    smooth /= smooth.std()
    shape = np.ones((COUNT, 9))
    shape[:, 0] = 2.0  # the mean of four pixels has four times the power at frequency 0
    assert (restored(smooth)[INSIDE] != 0).any(axis=0).mean() > 0.02
    assert (restored(smooth, shape=shape)[INSIDE] != 0).any(axis=0).mean() < 2e-3


@pytest.mark.parametrize(("side", "strength", "least"), [(8, 3.0, 0.45), (4, 5.0, 0.25)])
def test_a_faint_target_of_some_pixels_stays_along_any_direction(side, strength, least):
    along = direction()
    model = components()
    place = slice(40, 40 + side)
    model[:, place, place] += strength * along[:, None, None]
    kept = np.tensordot(along, restored(model)[:, place, place], 1)
    assert kept.mean() > least * strength
    assert (restored(model) != 0).any(axis=0).mean() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (40, 3), (40, 50)])
def test_of_a_faint_target_the_mean_of_squares_stays_up_to_the_border(size):
    model = 0.2 * components()[:, : size[0], : size[1]]
    model[:, :4, :4] += 5 * direction()[:, None, None]
    mean = ndimage.uniform_filter(model, (0, 5, 5))
    around = np.square(5 * mean).sum(axis=0)
    faint = (around > 1.1 * LIMIT) & (np.square(model).sum(axis=0) < LIMIT)
    assert faint[0, 0]
    wanted = (1 - COUNT / around) * mean
    assert np.allclose(restored(model)[:, faint], wanted[:, faint], atol=1e-4)


def test_a_bright_pixel_stays_along_any_direction():
    model = components()
    model[:, 50, 50] += 20 * direction()
    kept = restored(model)[:, 50, 50]
    assert kept @ direction() > 0.75 * 20
    assert np.linalg.norm(kept - 20 * direction()) < 8


def test_other_components_and_those_without_noise_stay_as_they_are():
    model = components()
    model[3] = 0
    level = np.ones((COUNT, 1, 1), np.float32)
    level[3] = 0
    given = model.copy()
    take_noise(model, [3, 7], level, None)
    others = [place for place in range(COUNT) if place != 7]
    assert np.array_equal(model[others], given[others])
