from itertools import islice

import numpy as np
import pytest
import rasterio
import torch

from geoae.errors import TrainingError
from geoae.simulation import DEGRADATIONS
from geoae.training.chips import Chips, TrainingScene
from geoae.training.config import RandomDegradation
from tests.support.noise import shape_of
from tests.support.rasters import texture, write

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


def rms(sigma: torch.Tensor) -> float:
    return float(sigma.square().mean().sqrt())


def scene(bands: int, seed: int = 0) -> TrainingScene:
    pixels = texture(bands, 80, 90, seed).astype(np.float32)
    return TrainingScene.from_pixels(pixels, np.ones((80, 90), bool))


@pytest.mark.parametrize("group", [1, 4])
def test_samples_are_in_model_units_with_a_noise_level_in_range(group):
    chips = Chips([scene(1), scene(6)], [1, 1], WHITE, size=32, group=group, seed=0)
    levels = []
    for noisy, clean, sigma, _ in islice(chips, 60):
        assert noisy.shape == clean.shape == sigma.shape == (group, 32, 32)
        assert clean.abs().max() < 10
        assert sigma.min() >= 0
        assert sigma.max() <= 0.25 + 1e-6, "a component is scaled to a quarter, its noise included"
        levels.append(float(sigma.max()))
    assert min(levels) < 0.08 < 0.15 < max(levels)


def test_the_same_seed_gives_the_same_samples():
    def drawn(seed: int) -> bytes:
        chips = Chips([scene(3)], [1], WHITE, size=16, group=1, seed=seed)
        return b"".join(array.numpy().tobytes() for sample in islice(chips, 5) for array in sample)

    assert drawn(3) == drawn(3) != drawn(4)


@pytest.mark.parametrize("group", [1, 3])
def test_the_level_is_what_the_noise_is(group):
    """In every component, whatever turn the sample took."""
    chips = Chips(
        [scene(3)],
        [1],
        [RandomDegradation(kind="gaussian", sigma=[20, 60])],
        size=64,
        group=group,
        seed=0,
    )
    for noisy, clean, sigma, _ in islice(chips, 12):
        there = sigma[:, 0, 0] > 0
        assert there.any()
        found = (noisy - clean).std(dim=(1, 2))[there]
        np.testing.assert_allclose(found, sigma[there, 0, 0], rtol=0.05)


@pytest.mark.parametrize("group", [1, 3])
def test_the_level_follows_noise_that_depends_on_the_signal(group):
    chips = Chips(
        [scene(3)],
        [1],
        [RandomDegradation(kind="poisson-gaussian", gain=[10, 20], sigma=0)],
        64,
        group,
        seed=0,
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
    noisy, clean, sigma, _ = next(iter(Chips([scene(1)], [1], drawn, size=64, group=1, seed=0)))
    assert rms(sigma) == pytest.approx(float((noisy - clean).square().mean().sqrt()), rel=1e-3)


def test_degradations_follow_each_other_and_their_share():
    steps = [
        RandomDegradation(kind="gaussian", sigma=20),
        RandomDegradation(kind="quantisation", step=64, probability=0.5),
    ]
    chips = Chips([scene(1)], [1], steps, size=32, group=1, seed=0)
    values = [len(np.unique(noisy)) for noisy, *_ in islice(chips, 60)]
    assert 0.3 < np.mean([count < 20 for count in values]) < 0.7


def test_weights_say_how_often_a_scene_is_drawn():
    flat = TrainingScene.from_pixels(np.zeros((1, 40, 40), np.float32), np.ones((40, 40), bool))
    chips = Chips([flat, scene(1)], [3, 1], WHITE, size=16, group=1, seed=0)
    share = np.mean([not clean.any() for _, clean, *_ in islice(chips, 300)])
    assert 0.65 < share < 0.85


def test_holes_are_filled_and_avoided(tmp_path):
    pixels = texture(2, 100, 100).astype(np.uint16)
    pixels[:, :, :50] = 0
    read = TrainingScene.read(write(tmp_path / "in.tif", pixels, nodata=0), 32)
    assert not read.valid[:, :50].any()
    assert read.valid[:, 50:].all()
    assert read.pixels.min() > 500, "no hole stays"
    windows = [
        Chips([read], [1], WHITE, 32, 1, 0)._window(read, np.random.default_rng(seed))
        for seed in range(30)
    ]
    assert np.mean([read.valid[window].all() for window in windows]) > 0.5


def test_halving_averages_two_by_two():
    whole = scene(2)
    half = whole.halve()
    np.testing.assert_allclose(
        half.pixels[:, 3, 4], whole.pixels[:, 6:8, 8:10].mean(axis=(1, 2)), rtol=1e-6
    )
    assert half.pixels.shape == (2, 40, 45)


def test_a_damaged_scene_is_said(tmp_path):
    (tmp_path / "in.tif").write_bytes(b"II*\0 and no more")
    with pytest.raises(TrainingError, match="cannot be opened"):
        TrainingScene.read(tmp_path / "in.tif", 32)


def test_a_scene_too_small_is_said(tmp_path):
    path = write(tmp_path / "in.tif", texture(1, 20, 200).astype(np.uint16))
    with pytest.raises(TrainingError, match="too small for chips of 32 px"):
        TrainingScene.read(path, 32)


@pytest.mark.parametrize(
    "after",
    [
        RandomDegradation(kind="blur", mtf=0.1),
        RandomDegradation(kind="low-contrast", factor=0.2),
        RandomDegradation(kind="haze", density=0.9, airlight=255),
    ],
)
def test_the_level_is_that_of_what_is_left_of_the_noise(after):
    chips = Chips(
        [scene(1)],
        [1],
        [RandomDegradation(kind="gaussian", sigma=60), after],
        size=64,
        group=1,
        seed=0,
    )
    for noisy, clean, sigma, _ in islice(chips, 3):
        assert rms(sigma) == pytest.approx(float((noisy - clean).square().mean().sqrt()), rel=1e-3)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_degradation_serves_in_training(name):
    drawn = [RandomDegradation(kind=name, probability=0.9, **EXAMPLES[name])]
    for noisy, clean, sigma, _ in islice(
        Chips([scene(3)], [1], drawn, size=32, group=3, seed=0), 4
    ):
        assert torch.isfinite(noisy).all()
        assert torch.equal(noisy, clean) or sigma.max() > 0


def test_each_process_and_a_resumed_run_have_their_own_samples():
    def stream(start: int, rank: int) -> list[bytes]:
        chips = Chips([scene(1)], [1], WHITE, 16, 1, seed=0, start=start, rank=rank)
        return [noisy.numpy().tobytes() for noisy, *_ in islice(chips, 6)]

    assert stream(0, 0)[2:] == stream(2, 0)[:4]
    assert not set(stream(0, 0)) & set(stream(0, 1))


def test_bands_that_are_no_measurement_teach_nothing(tmp_path):
    path = write(tmp_path / "in.tif", texture(2, 80, 90).astype(np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(2, "SCL")
    assert len(TrainingScene.read(path, 32).pixels) == 1
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(1, "QA_PIXEL")
    with pytest.raises(TrainingError, match="no measured band"):
        TrainingScene.read(path, 32)


def test_scattered_holes_leave_nothing_to_halve():
    valid = np.ones((80, 90), bool)
    valid[::2, ::2] = False
    sparse = TrainingScene.from_pixels(texture(1, 80, 90).astype(np.float32), valid)
    assert not sparse.can_be_halved(32)
    assert scene(1).can_be_halved(32)
    assert not scene(1).can_be_halved(64)


def drawn_shapes(
    drawn: list[RandomDegradation], count: int, bands: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The shapes that samples state, and those of their noise: ``(count, 9)`` each."""
    chips = Chips([scene(bands)], [1], drawn, size=64, group=1, seed=0)
    samples = list(islice(chips, count))
    stated = np.concatenate([shape.numpy() for *_, shape in samples])
    found = np.stack([shape_of((noisy - clean)[0].numpy()) for noisy, clean, *_ in samples])
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
    noisy, clean, sigma, _ = next(iter(Chips([scene(1)], [1], drawn, 64, 1, seed=0)))
    assert sigma.std() > 0.05 * sigma.mean()
    assert rms(sigma) == pytest.approx(float((noisy - clean).square().mean().sqrt()), rel=1e-3)
