import numpy as np
import pytest

from geoae.diagnosis.clipping import LEAST_LEFT
from geoae.diagnosis.patches import FEWEST, SIDE, Patches
from geoae.diagnosis.prediction import subtract_prediction

COUNT = 3_000
NOISE = np.array([1.0, 4.0, 2.0, 8.0])
GAINS = np.array([30.0, 50.0, 80.0, -20.0])


def patches(count: int = COUNT) -> Patches:
    """Four bands that share one texture, each under noise of its own."""
    rng = np.random.default_rng(0)
    texture = rng.normal(size=(count, SIDE * SIDE))
    return Patches(
        GAINS[:, None, None] * texture
        + NOISE[:, None, None] * rng.normal(size=(4, count, SIDE * SIDE))
    )


def test_noise_is_what_the_others_do_not_predict():
    found = list(subtract_prediction(patches(), np.arange(4), NOISE))
    assert [band for band, _, _ in found] == [0, 1, 2, 3]
    assert [factor * rest.std() for _, rest, factor in found] == pytest.approx(NOISE, rel=0.02)


def test_separate_brightness_does_not_hide_shared_texture():
    brightness = 500 * np.random.default_rng(2).normal(size=(4, COUNT, 1))
    found = subtract_prediction(Patches(patches().values + brightness), np.arange(4), NOISE)
    levels = [factor * (rest - rest.mean(axis=1, keepdims=True)).std() for _, rest, factor in found]
    assert levels == pytest.approx(NOISE * np.sqrt(1 - 1 / SIDE**2), rel=0.02)


def test_only_the_ratios_of_the_noise_count():
    one, other = (
        list(subtract_prediction(patches(), np.arange(4), NOISE * factor)) for factor in (1, 3)
    )
    for (_, rest, factor), (_, same, thrice) in zip(one, other, strict=True):
        np.testing.assert_allclose(rest * factor, same * thrice, rtol=1e-6, atol=1e-6)


def test_some_bands_are_those_of_all():
    alone = next(subtract_prediction(patches(), np.array([2]), NOISE))
    of_all = list(subtract_prediction(patches(), np.arange(4), NOISE))[2]
    assert alone[0] == of_all[0] == 2
    np.testing.assert_allclose(alone[1], of_all[1], atol=1e-9)
    assert alone[2] == of_all[2]


@pytest.mark.parametrize("few", [Patches(patches().values[:1]), patches(FEWEST - 1)])
def test_where_nothing_can_be_predicted_patches_stay(few):
    for band, rest, factor in subtract_prediction(few, few.bands, NOISE):
        assert rest is not few.values
        assert np.array_equal(rest, few.values[band])
        assert factor == 1


def test_what_clipping_took_from_the_predictors_is_given_back():
    """Where a predictor's noise is gone, less noise is left than the weights bring."""
    whole = patches()
    values, left = whole.values.copy(), np.ones((4, COUNT))
    texture = np.random.default_rng(0).normal(size=(COUNT, SIDE * SIDE))
    gone = slice(0, COUNT // 10)
    values[1, gone], left[1, gone] = GAINS[1] * texture[gone], 0.0
    found = next(subtract_prediction(Patches(values, left=left), np.array([1]), NOISE))[1]
    blind = next(subtract_prediction(Patches(values), np.array([1]), NOISE))[1]
    assert left.min() < LEAST_LEFT
    assert found[gone].std() > 1.2 * blind[gone].std()
    np.testing.assert_allclose(found[COUNT // 10 :], blind[COUNT // 10 :])


def test_each_predictor_takes_a_degree_of_freedom():
    rng = np.random.default_rng(1)
    bands, count = 60, 400
    values = NOISE[0] * rng.normal(size=(bands, count, SIDE * SIDE))
    few = Patches(values, few=True, pixels=count * SIDE * SIDE)
    levels = [
        factor * rest.std()
        for _, rest, factor in subtract_prediction(few, few.bands, np.ones(bands))
    ]
    assert np.mean(levels) == pytest.approx(NOISE[0], rel=0.002)
    plain = Patches(values, pixels=few.pixels)
    low = [
        factor * rest.std()
        for _, rest, factor in subtract_prediction(plain, plain.bands, np.ones(bands))
    ]
    assert np.mean(low) < 0.997 * np.mean(levels)
