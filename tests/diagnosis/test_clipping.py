import numpy as np
import pytest

from geoae.diagnosis.clipping import LEAST_LEFT, Line, find_limits, unclip, unclip_patches


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("low", "high"), [(0.0, np.inf), (-np.inf, 60.0), (0.0, 60.0)])
@pytest.mark.parametrize("slope", [0.0, 2.0])
def test_signal_and_share_of_noise_are_those_before_clipping(rng, low, high, slope):
    line = Line(10.0, slope, 30.0)
    signal = np.array([-5.0, 2.0, 10.0, 30.0, 55.0, 62.0])
    sigma = line.deviation(signal)
    clipped = np.clip(signal[:, None] + sigma[:, None] * rng.normal(size=(6, 200_000)), low, high)
    found, left = unclip(clipped.mean(axis=1), line, low, high)
    np.testing.assert_allclose(found, signal, atol=0.2)
    np.testing.assert_allclose(left, clipped.var(axis=1) / sigma**2, atol=0.01)


def test_far_from_the_limits_nothing_changes():
    level = np.array([200.0, 500.0, 900.0])
    found, left = unclip(level, Line(10.0, 0.0, 0.0), 0.0, 1000.0)
    np.testing.assert_allclose(found, level, atol=1e-5)
    np.testing.assert_allclose(left, 1, atol=1e-5)


@pytest.mark.parametrize("signal", [0.0, 8.0, 200.0])
def test_patches_get_back_their_signal_and_contrast(rng, signal):
    whole = signal + 10.0 * rng.normal(size=(8, 250_000))
    values, left = unclip_patches(np.maximum(whole, 0.0), Line(10.0, 0.0, 0.0), (0.0, np.inf))
    np.testing.assert_allclose(values.mean(axis=1), signal, atol=0.2)
    np.testing.assert_allclose(values.std(axis=1), 10, rtol=0.01)
    assert left.shape == (8,)


def test_contrast_of_which_hardly_any_is_left_does_not_explode():
    values = np.zeros((1, 25))
    values[0, 3] = 1e-3
    found, left = unclip_patches(values, Line(10.0, 0.0, 0.0), (0.0, np.inf))
    assert left[0] < LEAST_LEFT
    assert np.ptp(found) == pytest.approx(1e-3 / np.sqrt(LEAST_LEFT), rel=1e-6)


def noisy(rng: np.random.Generator, sigma: float) -> np.ndarray:
    return rng.uniform(0, 20 * sigma, 20_000) + rng.normal(0, sigma, 20_000)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (1, 4095), (-30, 1000)])
@pytest.mark.parametrize("rounded", [True, False])
def test_heaps_at_both_ends_are_limits(rng, low, high, rounded):
    sigma = (high - low) / 20
    values = np.clip(low + noisy(rng, sigma), low, high)
    values = np.round(values) if rounded else values
    assert find_limits(values, sigma) == (low, high)
    assert find_limits(np.append(values, low - 50), sigma) == (low, high), (
        "one dead pixel beyond hides nothing"
    )


UNCLIPPED = {
    "noise": lambda rng: noisy(rng, 10.0),
    "rounded": lambda rng: np.round(noisy(rng, 10.0)),
    "missing pixels apart": lambda rng: np.where(
        rng.random(20_000) < 0.1, 0.0, 300 + noisy(rng, 10.0)
    ),
    "counts as far apart as their noise": lambda rng: 10.0 * rng.poisson(1.0, 20_000),
    "one value": lambda rng: np.full(20_000, 7.0),
    "no value": lambda rng: np.zeros(0),
}


@pytest.mark.parametrize("draw", UNCLIPPED.values(), ids=UNCLIPPED.keys())
def test_what_is_not_clipped_has_no_limits(rng, draw):
    assert find_limits(draw(rng), 9.0) == (-np.inf, np.inf)
