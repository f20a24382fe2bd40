import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoae.diagnosis.noise.growth import LEAST_LEFT, LEAST_RANGE, LEAST_RATIO, fit_growth
from geoae.diagnosis.patches import SIDE, Patches, gradient_energy
from tests.support.rasters import noise

COUNT = 6_000


def patches(
    offset: float, slope: float, low: float, high: float, count: int = COUNT, seed: int = 0
) -> Patches:
    """One band of even patches, signals from ``low`` to ``high``, noise of variance ``offset +
    slope * signal``.
    """
    rng = np.random.default_rng(seed)
    signal = np.linspace(low, high, count)[:, None]
    return Patches(
        (signal + np.sqrt(offset + slope * signal) * rng.normal(size=(count, SIDE * SIDE)))[None]
    )


def growth(found: Patches, where_one: float, sigma: float = 1.0) -> float:
    values = found.values[0]
    return fit_growth(found, 0, values, gradient_energy(values), where_one=where_one, sigma=sigma)


@pytest.mark.parametrize(("offset", "slope"), [(25, 1), (0, 3), (400, 2)])
@pytest.mark.parametrize("where_one", [200, 1000])
def test_growth_may_be_asked_for_at_a_variance_of_one(offset, slope, where_one):
    found = growth(patches(offset, slope, 0, 1000), where_one)
    assert found == pytest.approx(slope / (offset + slope * where_one), rel=0.1)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100), st.floats(-1e4, 1e4))
def test_growth_goes_with_the_units_of_the_pixels(gain, shift):
    found = patches(25, 1, 0, 1000, 2_000)
    other = Patches(found.values * gain + shift)
    assert growth(other, 500 * gain + shift, gain) * gain == pytest.approx(
        growth(found, 500), rel=1e-6
    )


@pytest.mark.parametrize("slope", [0.0, -0.02])
def test_noise_that_does_not_grow_has_none(slope):
    assert growth(patches(100, slope, 0, 1000), 500) == 0


@pytest.mark.parametrize(
    ("ratio", "grows"), [(0.75 * LEAST_RATIO, False), (1.35 * LEAST_RATIO, True)]
)
def test_so_little_growth_passes_for_texture(ratio, grows):
    # The classes at the ends lie a sixteenth of the range inside it.
    assert (growth(patches(100, 100 * (ratio - 1) / 1000, 0, 1000), 500) > 0) == grows


@pytest.mark.parametrize(
    ("sigmas", "grows"), [(0.8 * LEAST_RANGE, False), (1.4 * LEAST_RANGE, True)]
)
def test_levels_within_the_noise_are_no_brightness(sigmas, grows):
    """``sigmas``: from the darkest class to the brightest, which are seven eighths of the range
    apart.
    """
    found = patches(1, 0.2, 0, 100)
    assert (growth(found, 50, 87.5 / sigmas) > 0) == grows


def test_a_line_that_is_below_zero_where_it_counts_is_none():
    found = patches(0, 1, 10, 1000)
    assert growth(found, 100) > 0
    assert growth(found, -20) == 0


@pytest.mark.parametrize(("count", "grows"), [(150, False), (700, False), (2_000, True)])
def test_few_patches_have_no_growth(count, grows):
    assert (growth(patches(25, 1, 0, 1000, count), 500) > 0) == grows


def of_levels(count: int, seed: int = 0) -> Patches:
    """Whole numbers of ``count`` exact levels, whose noise grows with them."""
    level = np.linspace(100, 900, count)[np.arange(COUNT) % count][:, None]
    half = np.round(
        np.sqrt(25 + level) * np.random.default_rng(seed).normal(size=(COUNT, SIDE * SIDE // 2))
    )
    return Patches((level + np.concatenate([half, -half, np.zeros((COUNT, 1))], axis=1))[None])


@pytest.mark.parametrize(("levels", "grows"), [(1, False), (3, False), (9, True)])
def test_few_levels_have_no_growth(levels, grows):
    assert (growth(of_levels(levels), 500) > 0) == grows


@pytest.mark.filterwarnings("error")
def test_classes_of_one_level_make_no_line():
    """Levels that differ by rounding make several classes."""
    found = of_levels(1)
    found.level[:] += 1e-13 * np.arange(COUNT)
    assert growth(found, 500, sigma=0.0) == 0
    two = of_levels(2)
    two.level[:] += 1e-13 * (np.arange(COUNT) % 8 // 2)
    assert np.isfinite(growth(two, 500))


def test_texture_in_some_patches_and_one_class_does_not_count():
    found = patches(25, 1, 0, 1000)
    values = found.values[0].copy()
    values[::3] += noise(values[::3].shape, 100)
    values[COUNT // 8 : COUNT // 4] += noise((COUNT // 8, SIDE * SIDE), 100)
    assert growth(Patches(values[None]), 500) == pytest.approx(1 / 525, rel=0.3)


def test_patches_that_clipping_left_little_of_do_not_count():
    found = patches(25, 1, 0, 1000)
    values, left = found.values.copy(), np.ones((1, COUNT))
    values[:, ::2] = found.level[:, ::2, None] + noise((COUNT // 2, SIDE * SIDE), 1.0)
    left[:, ::2] = 0.9 * LEAST_LEFT
    assert growth(Patches(values, left=left), 500) == pytest.approx(1 / 525, rel=0.15)
    assert growth(Patches(values), 500) == 0
