"""Every degradation of a batch has the distribution of numpy's."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from geoae.radiometry.validity.fill import local_mean
from geoae.simulation import (
    DEGRADATIONS,
    Blur,
    Correlated,
    DeadPixels,
    Gaussian,
    PoissonGaussian,
    build,
)
from geoae.training.samples.degrade import Chips, degrade
from tests.support.rasters import texture

SIDE, BANDS, NUMBER = 32, 2, 200
# One value for each case that a degradation's code tells apart.
CASES = [
    *((kind, {}) for kind in DEGRADATIONS if kind not in {"gaussian", "poisson-gaussian"}),
    ("gaussian", {"sigma": 20.0}),
    ("gaussian", {"sigma": [5.0, 40.0], "between": 0.6}),
    ("poisson-gaussian", {"gain": 4.0, "sigma": [0.0, 9.0]}),
    ("correlated", {"sigma": 10.0, "gain": [0.0, 8.0], "kernel": "cubic"}),
    ("correlated", {"sigma": 10.0, "kernel": "random", "seed": [7.0, 3.0]}),
]
DEFAULTS = {
    "clipped-gaussian": {"sigma": 60.0, "high": 200.0},
    "correlated": {"sigma": 20.0, "kernel": "binned"},
    "stripes": {"sigma": 9.0, "gain": 0.05},
    "tilted-stripes": {"sigma": 9.0, "angle": 10.0},
    "blur": {"mtf": 0.3},
    "low-contrast": {"factor": 0.5},
    "haze": {"density": 0.4, "airlight": 300.0},
    "dead-lines": {"share": 0.3},
    "dead-pixels": {"share": 0.3},
    "bursts": {"share": 0.3, "sigma": 20.0},
    "speckle": {"looks": 4.0},
    "quantisation": {"step": 16.0},
}


def clean() -> np.ndarray:
    pixels = texture(BANDS, SIDE, SIDE).astype(np.float32)
    return 120 + 60 * (pixels - pixels.mean()) / pixels.std()


def batch_of(pixels: np.ndarray, number: int) -> Chips:
    return Chips(torch.from_numpy(pixels).repeat(number, 1, 1), [len(pixels)] * number)


def generators(seed: int = 0) -> tuple[np.random.Generator, torch.Generator]:
    return np.random.default_rng(seed), torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("kind", "parameters"), CASES, ids=[f"{k} {p}" for k, p in CASES])
def test_the_distribution_is_that_of_numpy(kind, parameters):
    step, pixels = build(kind, parameters or DEFAULTS.get(kind, {})), clean()
    found = degrade(batch_of(pixels, NUMBER), [[step] * NUMBER], *generators()).pixels
    found = found.reshape(NUMBER, *pixels.shape).numpy()
    rng = np.random.default_rng(1)
    expected = np.stack([step(pixels.astype(np.float64), rng) for _ in range(NUMBER)])
    # Pixels of a diagonal lie on lines of their own, and too far apart to be correlated.
    apart = np.arange(0, SIDE, 8)
    for band in range(BANDS):
        one, other = ((x.astype(np.float64) - pixels)[:, band] for x in (found, expected))
        # In float32, values that are equal in theory differ in their last bits.
        ours, theirs = (np.round(x[:, apart, apart].ravel(), 2) for x in (one, other))
        assert ks_2samp(ours, theirs).pvalue > 1e-3
        spread = theirs.std() + 1e-3
        assert ours.mean() == pytest.approx(theirs.mean(), abs=0.15 * spread)
        assert ours.std() == pytest.approx(theirs.std(), rel=0.1, abs=1e-3)
        for lag in (1, 2):
            for axis in (1, 2):
                assert correlate(one, lag, axis) == pytest.approx(
                    correlate(other, lag, axis), abs=0.08
                )


def correlate(noise: np.ndarray, lag: int, axis: int) -> float:
    """Correlation of ``noise`` with itself, moved by ``lag`` pixels along ``axis``."""
    moved = np.moveaxis(noise - noise.mean(), axis, 0)
    square = float((moved**2).mean())
    return float((moved[lag:] * moved[:-lag]).mean()) / square if square > 1e-6 else 0.0


def test_noise_that_bands_share_is_shared():
    step = Gaussian(20.0, between=0.6)
    chips = batch_of(clean(), 20)
    noise = (degrade(chips, [[step] * 20], *generators()).pixels - chips.pixels).numpy()
    one, other = noise[::2].ravel(), noise[1::2].ravel()
    assert np.corrcoef(one, other)[0, 1] == pytest.approx(0.6, abs=0.03)


def test_a_sample_without_a_degradation_stays():
    pixels = torch.from_numpy(clean())
    chips = Chips(torch.cat([pixels, pixels, pixels[:1]]), [2, 2, 1])
    for step in (Gaussian(9.0), Correlated(9.0), DeadPixels(0.5, 7.0)):
        found = degrade(chips, [[step, None, step]], *generators()).pixels
        changed = [
            not torch.equal(one, other) for one, other in zip(found, chips.pixels, strict=True)
        ]
        assert changed == [True, True, False, False, True]


def test_degradations_follow_each_other():
    first, second = Gaussian(20.0), Blur(0.1)
    found = degrade(batch_of(clean(), 1), [[first], [second]], *generators()).pixels
    noisy = degrade(batch_of(clean(), 1), [[first]], *generators()).pixels
    expected = second(noisy.double().numpy(), np.random.default_rng(0))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_growth_follows_the_local_mean_where_noise_depends_on_the_signal():
    steps = [PoissonGaussian(4.0, 3.0), Gaussian(10.0), build("speckle", {"looks": 4.0})]
    drawn = [[steps[0], None], [steps[1], steps[1]], [steps[2], None]]
    found = degrade(batch_of(clean(), 2), drawn, *generators())
    local = local_mean(found.pixels[:2].double().numpy())
    variance = sum(step.moments(local)[1] for step in steps)
    expected = variance / variance.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found.growth[:2], expected, rtol=1e-4)
    assert (found.growth[2:] == 1).all()


def test_noise_that_is_the_same_everywhere_has_no_growth():
    drawn = [[Gaussian(9.0), None], [None, Correlated(9.0)]]
    assert degrade(batch_of(clean(), 2), drawn, *generators()).growth is None


def test_the_shape_is_that_of_all_noises_together():
    coloured = Correlated((30.0, 0.0), "bilinear", gain=(0.0, 2.0))
    drawn = [[Gaussian(30.0), None], [coloured, None]]
    found = degrade(batch_of(clean(), 2), drawn, *generators())
    own = coloured.shape(2)
    np.testing.assert_allclose(found.shape[0], np.sqrt(0.5 + 0.5 * own[0] ** 2), rtol=1e-5)
    grown = 2.0 * found.pixels[1].clamp(min=0).mean().item()
    mixed = (900 + grown * own[1] ** 2) / (900 + grown)
    np.testing.assert_allclose(found.shape[1], np.sqrt(mixed), rtol=1e-4)
    assert (found.shape[2:] == 1).all()
