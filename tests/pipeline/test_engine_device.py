"""The engine computes with arrays of torch as with those of numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoae.models.restorer import SelfEnsemble
from tests.pipeline.test_engine import holes, restored, scene, work_on
from tests.pipeline.test_engine_components import noisy, work_with
from tests.support.doubles import DTYPES, Blur, TorchBlur, pixels_of


@settings(max_examples=40)
@given(
    dtype=st.sampled_from(DTYPES),
    height=st.integers(1, 97),
    width=st.integers(1, 97),
    step=st.integers(1, 3),
    valid=st.sampled_from([None, 0.0, 0.5]),
    seed=st.integers(0, 99),
)
def test_every_type_and_size_has_the_bits_of_numpy(dtype, height, width, step, valid, seed):
    pixels = pixels_of(dtype, (2, height, width), seed)
    if pixels.dtype.kind == "f":
        pixels = np.clip(pixels, -1e6, 1e6)
    mask = None if valid is None else np.random.default_rng(seed).random(pixels.shape) < valid
    found, expected = (
        restored(pixels, mask, work_on(pixels, kind(channels=2, samples=3)), step).pixels
        for kind in (TorchBlur, Blur)
    )
    assert found.tobytes() == expected.tobytes()


def test_a_level_by_signal_is_that_of_numpy():
    mask, found = holes(scene()), []
    for kind in (TorchBlur, Blur):
        work = work_on(scene(), TakesLevel(kind()))
        scale = replace(
            work.scale, noise=np.full(2, 3.0), slope=np.full(2, 0.05), offset=np.full(2, 1000.0)
        )
        found.append(restored(scene(), mask, replace(work, scale=scale)).pixels)
    assert np.abs(found[1] - scene())[mask].std() > 0
    np.testing.assert_allclose(*found, rtol=0, atol=1e-3)


def test_components_of_noise_are_those_of_numpy():
    pixels = noisy()
    pixels[1:, 40, 30] = 1200
    found, expected = (
        restored(pixels, None, work_with(pixels, [True, False, False, False], kind())).pixels
        for kind in (TorchBlur, Blur)
    )
    assert found[1, 40, 30] > 1180
    np.testing.assert_array_equal(found, expected)


def test_tiles_without_valid_pixels_stay():
    pixels = scene()
    nowhere = np.zeros(pixels.shape, bool)
    assert restored(pixels, nowhere, work_on(pixels, TorchBlur())).pixels.tobytes() == (
        pixels.tobytes()
    )


def test_the_self_ensemble_turns_tensors_as_arrays():
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(2, 1, 24, 32)).astype(np.float32)
    sigma = rng.uniform(1, 2, (2, 1)).astype(np.float32)
    expected = SelfEnsemble(Blur())(pixels, sigma)
    ensemble = SelfEnsemble(TorchBlur())
    found = ensemble(ensemble.place(pixels), ensemble.place(sigma))
    np.testing.assert_allclose(ensemble.fetch(found)(), expected, rtol=0, atol=1e-6)


class TakesLevel:
    """Takes the noise level it is told for noise, where another restorer computes."""

    def __init__(self, one: Blur) -> None:
        self.one = one

    def __getattr__(self, name):
        return getattr(self.one, name)

    def __call__(self, pixels, sigma, shape=None):
        assert sigma.shape == pixels.shape
        assert isinstance(sigma, torch.Tensor) == isinstance(self.one, TorchBlur)
        return sigma * 1.0


class StopError(Exception):
    """What is thrown into the engine."""


class Broken(TorchBlur):
    """Its results cannot be fetched."""

    def fetch(self, residual):
        def wait():
            raise StopError

        return wait


def test_what_cannot_be_fetched_stops_the_run():
    with pytest.raises(StopError):
        restored(scene(), None, work_on(scene(), Broken()))
