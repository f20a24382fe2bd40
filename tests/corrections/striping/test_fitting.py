import numpy as np
import pytest

from geoae.corrections.lines import Direction
from geoae.corrections.model import fit_model
from geoae.corrections.striping.fitting import Stripes, fit_stripes
from geoae.corrections.striping.significance import Score
from geoae.corrections.striping.sums import LineSums
from tests.corrections.support import scene, strips_of
from tests.support.rasters import noise


def sum_rows(pixels: np.ndarray) -> LineSums:
    model = fit_model(pixels, np.ones(pixels.shape, bool), "row")
    sums = LineSums(Direction("row"), model, *pixels.shape[1:])
    for strip in strips_of(pixels)():
        sums.add(strip, strip.pixels)
    return sums


def even_and_odd(height: int, strength: float) -> np.ndarray:
    return np.where(np.arange(height) % 2, strength / 2, -strength / 2)[:, None]


@pytest.mark.parametrize("seed", [0, 1, 4, 20, 22])
def test_faint_even_and_odd_rows_have_a_period_of_2(seed):
    """Longer patterns explain more, by what the scene has at their other harmonics."""
    shape = (3, 400, 120)
    pixels = scene(shape) + noise(shape, 1.0, seed + 50) + even_and_odd(400, 0.4)
    planned = fit_stripes(sum_rows(pixels.astype(np.float32)))
    assert [some.period for some in planned] == [2]


def test_a_part_of_a_pattern_is_not_the_pattern():
    shape = (1, 400, 120)
    rows = np.array([2.0, -2.0, 0.3, -0.1, 1.0, -1.2])[np.arange(400) % 6]
    pixels = 1000 + noise(shape, 4.0) + rows[:, None]
    (planned,) = fit_stripes(sum_rows(pixels.astype(np.float32)))
    assert planned.period == 6


def test_a_scene_without_stripes_has_none():
    assert fit_stripes(sum_rows(scene((3, 400, 120)))) == ()


def test_bands_that_are_like_striped_ones_have_no_stripes():
    """Of 40 bands that are mixed from 3, 12 are striped; fourteen more seemed to be."""
    rng, shape = np.random.default_rng(0), (40, 256, 200)
    bands = np.tensordot(rng.uniform(0.2, 1.0, (40, 3)), scene((3, 256, 200), 0.0), 1)
    levels = rng.uniform(1.0, 3.0, (40, 1, 1))
    striped = np.arange(40) % 10 < 3
    stripes = rng.normal(0, 1.5, (40, 256, 1)) * striped[:, None, None]
    pixels = bands + levels * noise(shape, 1.0, 3) + stripes
    (planned,) = fit_stripes(sum_rows(pixels.astype(np.float32)))
    found = planned.offsets.any(axis=1)
    assert found[striped].all()
    assert found[~striped].sum() <= 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stripes_that_bands_share_are_found_in_all_of_them(seed):
    """The component that holds them is the one in which the scene varies most."""
    rng = np.random.default_rng(seed)
    bands = np.tensordot(rng.uniform(0.2, 1.0, (4, 3)), scene((3, 256, 200), 0.0), 1)
    levels = rng.uniform(1.0, 3.0, (4, 1, 1))
    pixels = bands + levels * noise((4, 256, 200), 1.0, 3) + rng.normal(0, 4.0, (256, 1))
    (planned,) = fit_stripes(sum_rows(pixels.astype(np.float32)))
    assert planned.offsets.any(axis=1).all()


@pytest.mark.parametrize(
    ("slope", "period", "least"), [(0.0, None, 5), (0.0, 6.0, 6), (0.1, None, 8), (0.1, 6.0, 8)]
)
def test_the_line_on_stripes_says_how_much_evidence_is_required(slope, period, least):
    offsets, score = np.array([[1.0, -1.0]]), Score(20.0, (9.0, 9.0))
    none = np.zeros_like(offsets)
    found = Stripes(Direction("row", slope), 0, offsets, none, np.zeros(1), period, score)
    assert found.describe([3]).endswith(
        f"are 20 times what chance gives, at least {least} required"
    )
