import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoae.radiometry.scale import SPREAD, Scale
from tests.support.doubles import DTYPES, pixels_of, unscaled


def scene(
    bands: int, seed: int, sigma: np.ndarray | float, shared: int = 2, side: int = 48
) -> np.ndarray:
    """Bands that mix ``shared`` sources, with white noise of deviation ``sigma`` on top."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(0, 300, (bands, shared)) @ rng.normal(size=(shared, side * side))
    level = rng.uniform(0, 10_000, (bands, 1))
    noisy = level + mixed + rng.normal(size=mixed.shape) * np.reshape(sigma, (-1, 1))
    return noisy.reshape(bands, side, side)


def scale_of(pixels: np.ndarray, sigma: np.ndarray | float, group: int) -> Scale:
    bands = len(pixels)
    flat = pixels.reshape(bands, -1).astype(np.float64)
    covariance = np.atleast_2d(np.cov(flat, bias=True))
    return Scale.principal(
        flat.mean(axis=1), covariance, np.broadcast_to(sigma, bands).astype(float), group
    )


@settings(max_examples=50)
@given(
    bands=st.integers(1, 13),
    group=st.integers(1, 6),
    sigma=st.sampled_from([0.0, 0.01, 30.0]),
    seed=st.integers(0, 99),
)
def test_the_way_there_and_back_loses_nothing(bands, group, sigma, seed):
    pixels = scene(bands, seed, max(sigma, 1.0)).astype(np.float32)
    scale = scale_of(pixels, sigma, group)
    back = scale.to_native(scale.to_model(pixels))
    centred = pixels - scale.offset[:, None, None]
    np.testing.assert_allclose(back, centred, rtol=0, atol=1e-5 * np.abs(centred).max())


@given(bands=st.integers(1, 13), group=st.integers(1, 6))
def test_components_fill_whole_groups_with_zeros(bands, group):
    pixels = scene(bands, 0, 20, side=16)
    scale = scale_of(pixels, 20, group)
    model = scale.to_model(pixels)
    assert model.dtype == np.float32
    assert len(model) == len(scale.sigma) == -(-bands // group) * group
    assert not model[bands:].any()
    assert not scale.sigma[bands:].any()
    assert np.abs(model[:bands]).max(axis=(1, 2)).all()


@given(bands=st.integers(1, 13), group=st.integers(1, 6))
def test_a_component_with_its_own_gain_is_as_it_is_alone(bands, group):
    """Only zeros fill up the groups."""
    pixels = scene(bands, 0, 20, side=16)
    given = pixels.mean(axis=(1, 2)), np.atleast_2d(np.cov(pixels.reshape(bands, -1)))
    alone = Scale.principal(*given, np.full(bands, 20.0), 1)
    found = Scale.principal(*given, np.full(bands, 20.0), group, shares_gain=False)
    np.testing.assert_array_equal(found.forward[:bands], alone.forward)
    np.testing.assert_array_equal(found.inverse[:, :bands], alone.inverse)
    np.testing.assert_allclose(found.sigma[:bands], alone.sigma, rtol=1e-12)
    assert not found.sigma[bands:].any()


@settings(max_examples=30)
@given(bands=st.integers(1, 9), group=st.integers(1, 5), seed=st.integers(0, 99))
def test_white_noise_stays_white_and_of_the_stated_sigma(bands, group, seed):
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(5, 50, bands)
    scale = scale_of(scene(bands, seed, sigma), sigma, group)
    noise = rng.normal(size=(bands, 150, 150)) * sigma[:, None, None] + scale.offset[:, None, None]
    model = scale.to_model(noise)[:bands].reshape(bands, -1)
    np.testing.assert_allclose(model.std(axis=1), scale.sigma[:bands], rtol=0.03)
    correlation = np.atleast_2d(np.corrcoef(model))
    np.testing.assert_allclose(correlation, np.eye(bands), atol=0.05)
    for start in range(0, bands, group):
        np.testing.assert_allclose(
            scale.sigma[start : min(start + group, bands)], scale.sigma[start], rtol=1e-9
        )


def test_what_bands_share_gathers_in_the_first_components():
    pixels = scene(8, 3, 10.0)
    model = scale_of(pixels, 10.0, 4).to_model(pixels)
    spread = model.std(axis=(1, 2))
    assert spread[0] == pytest.approx(1 / SPREAD, rel=1e-3)
    assert spread[4] == pytest.approx(1 / SPREAD, rel=0.05), (
        "noise: its sampled spread is off by a few percent"
    )
    assert spread[1] > 10 * spread[2], "two sources, then noise"
    assert abs(model[:8].mean(axis=(1, 2))).max() < 1e-3


def test_components_keep_order_and_sign_when_bands_are_scaled():
    """Only the ratio to the noise counts, not the unit of a band."""
    pixels, unit = scene(4, 5, 10.0), np.array([1, 1e-4, 100, 7.0])[:, None, None]
    one = scale_of(pixels, 10.0, 4).to_model(pixels)
    other = scale_of(pixels * unit, 10.0 * unit.ravel(), 4).to_model(pixels * unit)
    signs = np.sign((one * other).sum(axis=(1, 2)))[:, None, None]
    np.testing.assert_allclose(other * signs, one, atol=1e-4)


@pytest.mark.parametrize("sigma", [0.0, 5.0])
@pytest.mark.parametrize("constant", [[0], [1, 3], [0, 1, 2, 3, 4]])
def test_constant_bands_stay_finite_and_in_place(constant, sigma):
    pixels = scene(5, 0, 10.0)
    pixels[constant] = 7.0
    scale = scale_of(pixels, sigma, 4)
    model = scale.to_model(pixels)
    assert all(
        np.isfinite(part).all() for part in (scale.forward, scale.inverse, scale.sigma, model)
    )
    back = scale.to_native(model)
    np.testing.assert_allclose(back, pixels - scale.offset[:, None, None], atol=0.05)
    assert np.abs(back[constant]).max() < 0.05


def test_noise_in_model_units_stays_in_the_trained_range():
    """A component that holds less than the noise should be there is not blown up without bound."""
    pixels = scene(8, 0, 0.0)
    scale = scale_of(pixels, 5.0, 4)
    assert scale.sigma.max() <= 1 / SPREAD + 1e-6


def test_no_bands_at_all():
    scale = Scale.principal(np.zeros(0), np.zeros((0, 0)), np.zeros(0), 4)
    assert scale.sigma.shape == (0,)


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_dtype_becomes_float32_model_units(dtype):
    pixels = np.clip(pixels_of(dtype, (2, 9, 7)), -100, 100)
    scale = dataclasses.replace(unscaled(2), offset=np.array([3.0, -4.0]))
    model = scale.to_model(pixels)
    assert model.dtype == np.float32
    np.testing.assert_allclose(model, pixels.astype(float) - [[[3.0]], [[-4.0]]], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint32", "int64", "float64"])
def test_wide_types_are_centred_before_they_are_narrowed(dtype):
    pixels = (4_000_000_000 + np.arange(6)).astype(dtype).reshape(1, 2, 3)
    scale = dataclasses.replace(unscaled(1), offset=np.array([4_000_000_000.0]))
    np.testing.assert_array_equal(scale.to_model(pixels).ravel(), np.arange(6))


def test_noise_by_signal_is_that_of_the_components():
    rng = np.random.default_rng(0)
    pixels = scene(3, 0, 5, side=200)
    mean = pixels.mean(axis=(1, 2))
    sigma, slope = np.array([20.0, 30.0, 25.0]), np.array([0.3, 0.0, 0.5])
    scale = Scale.principal(mean, np.cov(pixels.reshape(3, -1)), sigma, 2, slope)
    assert scale.varies
    variance = scale.variance(pixels)
    assert variance[0].mean() == pytest.approx(sigma[0] ** 2, rel=0.1)
    assert (variance >= 0.05 * sigma[:, None, None] ** 2 - 1e-9).all()
    noise = scale.to_model(rng.normal(size=pixels.shape) * np.sqrt(variance) + mean[:, None, None])
    level = scale.level(variance)
    assert level.shape == noise.shape == (4, 200, 200)
    np.testing.assert_allclose((noise[:3] / level[:3]).std(axis=(1, 2)), 1, rtol=0.02)
    assert not scale_of(pixels, 5.0, 2).varies


@settings(max_examples=60)
@given(
    exponents=st.lists(st.integers(-9, 9), min_size=1, max_size=8),
    noisy=st.lists(st.sampled_from([0, 1e-6, 1e-3, 0.1, 1]), min_size=8, max_size=8),
    group=st.integers(1, 5),
    rank=st.integers(0, 8),
    seed=st.integers(0, 99),
)
def test_bands_of_any_unit_and_dependence_go_there_and_back(exponents, noisy, group, rank, seed):
    """Spreads from 1e-9 to 1e9 DN side by side, bands that repeat others, noise from none to all
    there is.
    """
    rng = np.random.default_rng(seed)
    unit = 10.0 ** np.array(exponents)
    bands = len(unit)
    pixels = (
        rng.normal(size=(bands, rank)) @ rng.normal(size=(rank, 400)) * unit[:, None]
    ).reshape(bands, 20, 20)
    flat = pixels.reshape(bands, -1)
    covariance = np.atleast_2d(np.cov(flat, bias=True))
    scale = Scale.principal(flat.mean(axis=1), covariance, np.array(noisy[:bands]) * unit, group)
    model = scale.to_model(pixels)
    assert all(
        np.isfinite(part).all() for part in (scale.forward, scale.inverse, scale.sigma, model)
    )
    back, centred = scale.to_native(model), pixels - scale.offset[:, None, None]
    assert (
        np.abs(back - centred).max(axis=(1, 2)) <= 1e-3 * (np.abs(centred).max(axis=(1, 2)) + unit)
    ).all()


@settings(max_examples=40)
@given(bands=st.integers(1, 9), group=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_map_is_linear_and_keeps_no_offset_of_its_own(bands, group, seed):
    """The residual of a level is none: a weight error cannot move the level of a scene."""
    scale = scale_of(scene(bands, seed, 10.0, side=16), 10.0, group)
    assert not scale.to_native(np.zeros((len(scale.sigma), 3, 4), np.float32)).any()
    level = np.broadcast_to(scale.offset[:, None, None], (bands, 3, 4))
    np.testing.assert_allclose(scale.to_model(level), 0, atol=1e-6)


def test_components_have_the_spectra_that_their_bands_give_them():
    """Two bands rotated: checked with the weights of the map itself."""
    sigma = np.array([2.0, 5.0, 1.0])
    covariance = np.array([[90.0, 40.0, 5.0], [40.0, 150.0, -20.0], [5.0, -20.0, 60.0]])
    shapes = np.random.default_rng(0).uniform(0, 2, (3, 9))
    scale = Scale.principal(np.zeros(3), covariance, sigma, 2, shapes=shapes)
    assert scale.shape is not None
    assert scale.shape.shape == (4, 9)
    for component in range(3):
        noise = scale.forward[component] ** 2 * sigma**2
        power = (noise[:, None] * shapes**2).sum(axis=0) / scale.sigma[component] ** 2
        np.testing.assert_allclose(scale.shape[component] ** 2, power)
    assert (scale.shape[3] == 1).all(), "a component without bands counts as white"
    assert Scale.principal(np.zeros(3), covariance, sigma, 2).shape is None


@pytest.mark.parametrize("group", [1, 3])
def test_noise_that_bands_share_becomes_independent_and_of_the_stated_sigma(group):
    rng, bands = np.random.default_rng(5), 4
    sigma = rng.uniform(5, 50, bands)
    between = 0.7 + 0.3 * np.eye(bands)
    noise = np.linalg.cholesky(between) @ rng.normal(size=(bands, 200 * 200)) * sigma[:, None]
    signal = scene(bands, 5, 0.0, side=200).reshape(bands, -1)
    pixels = signal + noise
    given = pixels.mean(axis=1), np.cov(pixels, bias=True), sigma, group
    scale = Scale.principal(*given, between=between)
    model = scale.to_model((noise + scale.offset[:, None]).reshape(bands, 200, 200))[:bands]
    found = np.cov(model.reshape(bands, -1))
    np.testing.assert_allclose(np.sqrt(np.diag(found)), scale.sigma[:bands], rtol=0.02)
    apart = found / np.outer(scale.sigma[:bands], scale.sigma[:bands]) - np.eye(bands)
    assert np.abs(apart).max() < 0.04
    level = scale.level(np.broadcast_to(np.square(sigma)[:, None, None], (bands, 2, 2)))
    np.testing.assert_allclose(level[:, 0, 0], scale.sigma, rtol=1e-5)
    np.testing.assert_allclose(scale.inverse @ scale.forward, np.eye(bands), atol=1e-9)


def test_independent_noise_gives_the_same_map_as_none():
    pixels = scene(4, 1, 20.0).reshape(4, -1)
    given = pixels.mean(axis=1), np.cov(pixels), np.full(4, 20.0), 1
    one, other = Scale.principal(*given), Scale.principal(*given, between=np.eye(4))
    np.testing.assert_allclose(one.forward, other.forward, rtol=1e-9)
    np.testing.assert_allclose(one.inverse, other.inverse, rtol=1e-9)
    np.testing.assert_allclose(one.sigma, other.sigma, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("between", [None, 0.4])
def test_tensors_are_mapped_as_arrays_are(dtype, between):
    pixels = scene(3, 0, 30.0).clip(0).astype(dtype)
    scale = dataclasses.replace(
        scale_of(pixels, 30.0, 2),
        slope=np.array([0.0, 0.1, 0.2]),
        between=None if between is None else np.full((3, 3), between) + (1 - between) * np.eye(3),
    )
    tensor, there = torch.from_numpy(pixels), scale.place(torch.from_numpy)
    model = scale.to_model(pixels)
    for found, expected in (
        (there.to_model(tensor), model),
        (there.variance(tensor), scale.variance(pixels)),
        (there.level(there.variance(tensor)), scale.level(scale.variance(pixels))),
        (there.to_native(torch.from_numpy(model)), scale.to_native(model)),
    ):
        assert isinstance(found, torch.Tensor)
        assert found.numpy().dtype == expected.dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)
