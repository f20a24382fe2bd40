from collections.abc import Iterator
from itertools import count, islice

import numpy as np
import pytest
import torch

from geoae.simulation import DEGRADATIONS
from geoae.training.config import RandomDegradation
from geoae.training.samples.batches import Batches, _some_bands
from geoae.training.samples.scene import TrainingScene
from tests.support.noise import shape_of
from tests.support.rasters import texture

# What each degradation is tried with in training, in 255ths of a band's range; a new one without a
# line here with its defaults.
EXAMPLES = {
    "gaussian": {"sigma": [0, 60]},
    "poisson-gaussian": {"gain": [0, 4], "sigma": 5},
    "correlated": {"gain": [0, 4], "sigma": 5, "kernel": "random", "seed": [0, 1e9]},
    "clipped-gaussian": {"sigma": [0, 60], "high": 255},
    "stripes": {"sigma": [0, 9], "detectors": [4, 16], "axis": "row"},
    "tilted-stripes": {"sigma": [0, 9], "angle": [-20, 20]},
    "bursts": {"share": [0, 0.2], "sigma": [0, 30]},
    "dead-lines": {"share": [0, 0.2]},
    "dead-pixels": {"share": 0.1, "value": 255},
    "blur": {"mtf": [0.1, 0.5]},
    "speckle": {"looks": [2, 9]},
    "quantisation": {"step": [1, 30]},
    "low-contrast": {"factor": [0.2, 1]},
    "haze": {"density": [0, 0.5], "airlight": 300},
}
EXAMPLES |= {name: {} for name in DEGRADATIONS if name not in EXAMPLES}
WHITE = [RandomDegradation(kind="gaussian", sigma=[0, 60])]
BATCH = 4

Sample = tuple[torch.Tensor, ...]


def rms(sigma: torch.Tensor) -> float:
    return float(sigma.square().mean().sqrt())


def scene(bands: int, seed: int = 0) -> TrainingScene:
    pixels = texture(bands, 80, 90, seed).astype(np.float32)
    return TrainingScene.from_pixels(pixels, np.ones((80, 90), bool))


def samples(
    scenes: list[TrainingScene],
    weights: list[float],
    drawn: list[RandomDegradation],
    size: int,
    group: int,
) -> Iterator[Sample]:
    """The samples of endless batches, one after the other."""
    batches = Batches(scenes, weights, drawn, size, group, BATCH, seed=0)
    for batch in map(batches.draw, count()):
        yield from zip(*batch, strict=True)


@pytest.mark.parametrize("group", [1, 4])
def test_samples_are_in_model_units_with_a_noise_level_in_range(group):
    chips = samples([scene(1), scene(6)], [1, 1], WHITE, size=32, group=group)
    levels = []
    for noisy, clean, sigma, _ in islice(chips, 60):
        assert noisy.shape == clean.shape == sigma.shape == (group, 32, 32)
        assert clean.abs().max() < 10
        assert sigma.min() >= 0
        assert sigma.max() <= 0.25 + 1e-6, "a component is scaled to a quarter, its noise included"
        levels.append(float(sigma.max()))
    assert min(levels) < 0.08 < 0.15 < max(levels)


def test_the_same_seed_gives_the_same_batches():
    def drawn(seed: int) -> bytes:
        batches = Batches([scene(3)], [1], WHITE, 16, 1, BATCH, seed=seed)
        drawn = map(batches.draw, range(3))
        return b"".join(array.numpy().tobytes() for batch in drawn for array in batch)

    assert drawn(3) == drawn(3) != drawn(4)


@pytest.mark.parametrize("group", [1, 3])
def test_the_level_is_what_the_noise_is(group):
    """In every component, whatever turn the sample took."""
    chips = samples(
        [scene(3)], [1], [RandomDegradation(kind="gaussian", sigma=[20, 60])], size=64, group=group
    )
    for noisy, clean, sigma, _ in islice(chips, 12):
        there = sigma[:, 0, 0] > 0
        assert there.any()
        found = (noisy - clean).std(dim=(1, 2))[there]
        np.testing.assert_allclose(found, sigma[there, 0, 0], rtol=0.05)


@pytest.mark.parametrize("group", [1, 3])
def test_the_level_follows_noise_that_depends_on_the_signal(group):
    chips = samples(
        [scene(3)],
        [1],
        [RandomDegradation(kind="poisson-gaussian", gain=[10, 20], sigma=0)],
        64,
        group,
    )
    for noisy, clean, sigma, _ in islice(chips, 12):
        there = sigma[:, 0, 0] > 0
        assert (sigma.std(dim=(1, 2)) > 0.05 * sigma.mean(dim=(1, 2)))[there].any()
        unit = ((noisy - clean) / sigma.clamp(min=1e-6))[there]
        flat = sigma[there]
        bright = flat > flat.median()
        assert float(unit[bright].std() / unit[~bright].std()) == pytest.approx(1, abs=0.15)


def test_the_level_counts_what_is_lost_without_noise():
    drawn = [RandomDegradation(kind="blur", mtf=0.1)]
    noisy, clean, sigma, _ = next(iter(samples([scene(1)], [1], drawn, size=64, group=1)))
    assert rms(sigma) == pytest.approx(float((noisy - clean).square().mean().sqrt()), rel=1e-3)


def test_degradations_follow_each_other_and_their_share():
    steps = [
        RandomDegradation(kind="gaussian", sigma=20),
        RandomDegradation(kind="quantisation", step=64, probability=0.5),
    ]
    chips = samples([scene(1)], [1], steps, size=32, group=1)
    values = [len(np.unique(noisy)) for noisy, *_ in islice(chips, 60)]
    assert 0.3 < np.mean([count < 20 for count in values]) < 0.7


def test_weights_say_how_often_a_scene_is_drawn():
    flat = TrainingScene.from_pixels(np.zeros((1, 40, 40), np.float32), np.ones((40, 40), bool))
    chips = samples([flat, scene(1)], [3, 1], WHITE, size=16, group=1)
    share = np.mean([not clean.any() for _, clean, *_ in islice(chips, 300)])
    assert 0.65 < share < 0.85


@pytest.mark.parametrize(
    "after",
    [
        RandomDegradation(kind="blur", mtf=0.1),
        RandomDegradation(kind="low-contrast", factor=0.2),
        RandomDegradation(kind="haze", density=0.9, airlight=255),
    ],
)
def test_the_level_is_that_of_what_is_left_of_the_noise(after):
    chips = samples(
        [scene(1)], [1], [RandomDegradation(kind="gaussian", sigma=60), after], size=64, group=1
    )
    for noisy, clean, sigma, _ in islice(chips, 3):
        assert rms(sigma) == pytest.approx(float((noisy - clean).square().mean().sqrt()), rel=1e-3)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_degradation_serves_in_training(name):
    drawn = [RandomDegradation(kind=name, probability=0.9, **EXAMPLES[name])]
    for noisy, clean, sigma, _ in islice(samples([scene(3)], [1], drawn, size=32, group=3), 4):
        assert torch.isfinite(noisy).all()
        assert torch.equal(noisy, clean) or sigma.max() > 0


def test_each_process_and_each_step_have_their_own_batches():
    def stream(rank: int) -> list[bytes]:
        batches = Batches([scene(1)], [1], WHITE, 16, 1, BATCH, seed=0)
        return [batches.draw(step, rank)[0].numpy().tobytes() for step in range(6)]

    again = Batches([scene(1)], [1], WHITE, 16, 1, BATCH, seed=0).draw(4)[0]
    assert again.numpy().tobytes() == stream(0)[4]
    assert len(set(stream(0)) | set(stream(1))) == 12


def test_samples_of_unequal_band_counts_are_as_if_each_were_alone():
    """Bands that a sample lacks change neither its pixels nor its level."""
    drawn = [RandomDegradation(kind="gaussian", sigma=[20, 60])]
    for noisy, clean, sigma, _ in islice(samples([scene(1), scene(6)], [1, 1], drawn, 64, 4), 40):
        there = sigma[:, 0, 0] > 0
        assert there[0]
        assert not noisy[~there].any()
        assert not clean[~there].any()
        np.testing.assert_allclose(
            (noisy - clean).std(dim=(1, 2))[there], sigma[there, 0, 0], rtol=0.06
        )


def test_all_eight_turns_occur_and_all_arrays_of_a_sample_turn_alike():
    steps = np.arange(40 * 40, dtype=np.float32).reshape(1, 40, 40)
    steep = TrainingScene.from_pixels(steps, np.ones((40, 40), bool))
    drawn = [RandomDegradation(kind="poisson-gaussian", gain=20, sigma=0)]
    line = torch.linspace(-1, 1, 40)
    seen, signs = set(), set()
    for noisy, clean, sigma, _ in islice(samples([steep], [1], drawn, 40, 1), 120):
        # The level follows the brightness; the sign of a component is arbitrary.
        level = sigma[0] - sigma[0].mean()
        down, across = float((level.T @ line).sum()), float((level @ line).sum())
        seen.add((abs(down) > abs(across), down > 0, across > 0))
        signs.add(bool((clean[0] * level).sum() > 0))
        noise = (noisy - clean)[0].abs()
        assert correlate(noisy, clean) > 0.5
        assert correlate(noise, sigma) > 0.1
        assert abs(correlate(level, clean)) > 0.8
    assert len(seen) == 8
    assert len(signs) == 2


def correlate(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_most_samples_show_the_first_group_and_others_a_later_one():
    found = samples([scene(6)], [1], WHITE, 32, 2)
    # The first group holds most of what the scene shows.
    spread = np.array(
        [float(clean[0].std() / sigma[0].mean()) for _, clean, sigma, _ in islice(found, 300)]
    )
    assert 0.5 < np.mean(spread > 1) < 0.97


def test_one_all_or_some_of_the_bands_are_shown():
    rng = np.random.default_rng(0)
    numbers = np.array([len(_some_bands(5, rng)) for _ in range(2000)])
    shares = [np.mean(numbers == number) for number in range(1, 6)]
    np.testing.assert_allclose(shares, [0.2, 0.075, 0.075, 0.075, 0.575], atol=0.04)
    assert set(_some_bands(3, rng)) <= {0, 1, 2}


def drawn_shapes(
    drawn: list[RandomDegradation], count: int, bands: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The shapes that samples state, and those of their noise: ``(count, 9)`` each."""
    chips = list(islice(samples([scene(bands)], [1], drawn, size=64, group=1), count))
    stated = np.concatenate([shape.numpy() for *_, shape in chips])
    found = np.stack([shape_of((noisy - clean)[0].numpy()) for noisy, clean, *_ in chips])
    return stated, found


def test_the_shape_is_that_of_the_noise_in_whatever_turn():
    """Noise along one axis: a turned chip must have a turned shape."""
    stated, found = drawn_shapes(
        [RandomDegradation(kind="correlated", sigma=[20, 60], kernel="binned")], 40
    )
    along = found[:, 6] > found[:, 2]
    assert 5 < along.sum() < 35, "some chips are turned"
    assert np.abs(np.log(stated[along].mean(0) / found[along].mean(0))).max() < 0.2
    assert np.abs(np.log(stated[~along].mean(0) / found[~along].mean(0))).max() < 0.2


def test_white_noise_has_a_shape_of_ones_with_an_error():
    stated, _ = drawn_shapes(WHITE, 200)
    assert np.log(stated).std() == pytest.approx(0.1, rel=0.2)
    assert stated.mean() == pytest.approx(1, abs=0.02)


def test_the_shape_of_a_component_mixes_those_of_its_noises():
    steps = [
        RandomDegradation(kind="gaussian", sigma=30),
        RandomDegradation(kind="correlated", sigma=30, kernel="bilinear"),
    ]
    stated, found = drawn_shapes(steps, 60, bands=3)
    np.testing.assert_allclose(stated.mean(0), found.mean(0), rtol=0.1)
    assert stated.mean(0)[8] == pytest.approx(np.sqrt(0.5), rel=0.1)


def test_correlated_noise_that_grows_has_a_level_that_follows():
    drawn = [RandomDegradation(kind="correlated", gain=[10, 20], sigma=0, kernel="bilinear")]
    noisy, clean, sigma, _ = next(iter(samples([scene(1)], [1], drawn, 64, 1)))
    assert sigma.std() > 0.05 * sigma.mean()
    assert rms(sigma) == pytest.approx(float((noisy - clean).square().mean().sqrt()), rel=1e-3)
