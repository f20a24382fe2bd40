from dataclasses import replace

import numpy as np
import pytest

from geoae.diagnosis.noise.gate import (
    CORRELATED,
    TEXTURE,
    WHITE,
    Calmness,
    Evidence,
    examine,
    judge,
    judge_bands,
)
from geoae.diagnosis.noise.kernels import average_products
from tests.support.rasters import noise

NOISE = Evidence(
    Calmness(blocks=500, uneven=(1.0, 1.1), kurtosis=3.0),
    together=500,
    kernel="bilinear shift 0.5, 0.5 px",
    floor=0.2,
    expected=0.0,
    unexplained=0.02,
    gain=6.0,
    texture=0.05,
    own=0.9,
)


def calm(**changes):
    return replace(NOISE, calmness=replace(NOISE.calmness, **changes))


def test_even_and_normal_blocks_of_a_known_kernel_are_noise():
    assert judge(NOISE) == CORRELATED


@pytest.mark.parametrize(
    "seen",
    [
        calm(uneven=(2.5, 1.0)),
        calm(uneven=(1.0, 2.5)),
        calm(kurtosis=3.5),
        calm(kurtosis=2.3),
        calm(blocks=20),
        replace(NOISE, together=100),
        replace(NOISE, unexplained=0.3),
        replace(NOISE, texture=0.7),
        replace(NOISE, expected=0.4),
        Evidence.none(),
    ],
)
def test_each_sign_of_texture_is_enough_to_refuse(seen):
    assert judge(seen) == TEXTURE


@pytest.mark.parametrize("seen", [replace(NOISE, floor=0.9), replace(NOISE, gain=1.1)])
def test_what_white_noise_explains_as_well_is_white(seen):
    assert judge(seen) == WHITE


def test_floor_tells_noise_of_short_correlation_that_white_noise_explains_too():
    short = replace(NOISE, floor=0.7, expected=0.77, gain=1.2)
    assert judge(short) == CORRELATED
    assert judge(replace(short, expected=0.5)) == WHITE
    assert judge(replace(short, floor=0.82)) == CORRELATED
    assert judge(replace(short, floor=0.9)) == WHITE


def test_texture_that_white_noise_explains_badly_too_is_not_white():
    assert judge(replace(calm(kurtosis=4.0), gain=1.1)) == TEXTURE


@pytest.mark.parametrize(("kurtosis", "verdict"), [(3.0, CORRELATED), (4.0, TEXTURE)])
def test_noise_of_calm_blocks_counts_where_the_floor_is_far_above_it(kurtosis, verdict):
    assert judge(replace(calm(kurtosis=kurtosis), floor=4.0)) == verdict


def look_at(blocks: np.ndarray) -> Calmness:
    variance = blocks.var(axis=(1, 2))
    return examine(blocks, variance, average_products(blocks), len(blocks))


@pytest.mark.parametrize("length", [1, 3])
def test_blocks_of_noise_are_as_even_as_a_chi_square_distribution_says(length):
    white = noise((4000, 16, 15 + length), 1.0)
    blocks = sum(white[:, :, i : i + 16] for i in range(length)) / np.sqrt(length)
    found = look_at(blocks.astype(np.float32))
    assert found.uneven == pytest.approx((1.0, 1.0), abs=0.2)
    assert found.kurtosis == pytest.approx(3.0, abs=0.1)


def test_blocks_of_which_each_has_its_level_are_uneven():
    levels = np.random.default_rng(3).lognormal(0, 0.5, (2000, 1, 1))
    found = look_at((levels * noise((2000, 16, 16), 1.0)).astype(np.float32))
    assert min(found.uneven) > 3


def test_an_object_in_few_blocks_does_not_change_the_kurtosis():
    blocks = noise((1000, 16, 16), 1.0).astype(np.float32)
    before = look_at(blocks).kurtosis
    blocks[::8, 8, 8] = 30.0
    assert look_at(blocks).kurtosis == pytest.approx(before, abs=0.1)


# A band that shows somewhat more texture than a band by itself may.
DOUBTFUL = replace(calm(kurtosis=3.4, uneven=(2.1, 2.1)), texture=0.47, unexplained=0.09)


def test_bands_lend_their_kernel_to_one_that_it_explains():
    assert judge(DOUBTFUL) == TEXTURE
    assert judge_bands([NOISE, NOISE, DOUBTFUL, DOUBTFUL]) == [CORRELATED] * 4


@pytest.mark.parametrize(
    "refused",
    [
        replace(DOUBTFUL, kernel="bilinear shift 0.5, 0 px"),
        replace(DOUBTFUL, own=0.45),
        replace(DOUBTFUL, texture=0.55),
        replace(DOUBTFUL, unexplained=0.11),
        replace(DOUBTFUL, calmness=replace(DOUBTFUL.calmness, kurtosis=3.6)),
        replace(DOUBTFUL, calmness=replace(DOUBTFUL.calmness, uneven=(2.3, 2.1))),
    ],
)
def test_bands_lend_no_kernel_to_texture(refused):
    assert judge_bands([NOISE, NOISE, refused]) == [CORRELATED, CORRELATED, TEXTURE]


@pytest.mark.parametrize(
    "bands",
    [[NOISE, DOUBTFUL], [NOISE, replace(NOISE, kernel="cubic resampling by 1"), DOUBTFUL]],
)
def test_one_band_lends_no_kernel(bands):
    assert judge_bands(bands)[-1] == TEXTURE


def test_white_bands_stay_white_among_correlated_ones():
    white = replace(NOISE, kernel="white", floor=1.0, expected=1.0, gain=1.0)
    assert judge_bands([NOISE, NOISE, NOISE, white]) == [CORRELATED] * 3 + [WHITE]


def test_what_one_of_many_bands_shows_must_be_clearer():
    faint = replace(NOISE, texture=0.4)
    other = calm(kurtosis=5.0)
    assert judge_bands([faint]) == [CORRELATED]
    assert judge_bands([faint, other]) == [CORRELATED, TEXTURE]
    assert judge_bands([faint, other, other]) == [TEXTURE] * 3
    assert judge_bands([NOISE, other, other])[0] == CORRELATED
    assert judge_bands([faint, Evidence.none(), Evidence.none()])[0] == CORRELATED


@pytest.mark.parametrize("bands", [1, 3])
def test_white_bands_stay_white_where_no_band_has_correlated_noise(bands):
    textured = replace(NOISE, floor=0.6, gain=1.2, texture=0.4)
    assert judge(textured) == WHITE
    assert judge_bands([textured] * bands) == [WHITE] * bands


def test_noise_of_predictors_is_not_that_of_a_band():
    assert judge(replace(NOISE, own=0.3)) == TEXTURE
    assert judge(replace(NOISE, own=0.3, floor=2.6)) == CORRELATED, (
        "it is less than what would stay"
    )


def test_floor_does_not_tell_the_shortest_correlation_from_fine_texture():
    shortest = replace(NOISE, floor=0.75, expected=0.9, gain=1.2)
    assert judge(shortest) == WHITE
    assert judge(replace(shortest, expected=0.8)) == CORRELATED
    assert judge(replace(shortest, floor=2.6)) == CORRELATED, "the white estimate is texture"


@pytest.mark.parametrize(
    ("floor", "expected", "backed"),
    [(0.4, 0.4, 1.0), (0.5, 0.4, 1.0), (0.36, 0.42, 0.867), (0.1, 0.4, 0.75), (0.0, 0.0, 1.0)],
)
def test_level_is_what_the_floor_backs(floor, expected, backed):
    assert replace(NOISE, floor=floor, expected=expected).backed == pytest.approx(backed, abs=1e-3)
