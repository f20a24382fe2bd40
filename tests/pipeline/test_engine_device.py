"""The engine computes with arrays of torch as with those of numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoae.errors import DeviceError
from geoae.pipeline.engine import restore_slabs
from geoae.raster.memory import ArraySource
from tests.pipeline.test_engine import holes, restored, scene, work_on
from tests.pipeline.test_engine_components import noisy, work_with
from tests.support.doubles import DTYPES, Blur, Parts, TorchBlur, pixels_of


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
    work, parts = work_on(scene(), Broken()), Parts(scene().shape, scene().dtype)
    with pytest.raises(StopError):
        restore_slabs(work, ArraySource(scene()).read, list(work.plan.slabs()), parts)
    assert parts.committed == []


@pytest.mark.parametrize("step", ["place", "fetch"])
def test_a_lack_of_memory_outside_the_network_is_one_line(step):
    class Full(TorchBlur):
        """Has room for the map of a scene, and for nothing else."""

        def place(self, pixels):
            if step == "place" and pixels.ndim == 3:
                raise torch.OutOfMemoryError
            return super().place(pixels)

        def fetch(self, residual):
            raise torch.OutOfMemoryError

    with pytest.raises(DeviceError, match="2 tiles of 48 x 48 px; give a smaller --batch-size"):
        restored(scene(), None, work_on(scene(), Full(channels=1, samples=4)))


def test_other_errors_of_torch_are_not_called_a_lack_of_memory():
    class Faulty(TorchBlur):
        def place(self, pixels):
            raise RuntimeError("the device is lost")

    with pytest.raises(RuntimeError, match="lost"):
        restored(scene(), None, work_on(scene(), Faulty()))


class Counting(TorchBlur):
    """Keeps how many samples each call had, and what was fetched."""

    def __init__(self, samples):
        super().__init__(samples=samples)
        self.calls, self.fetched = [], 0

    def __call__(self, pixels, sigma, shape=None):
        self.calls.append(len(pixels))
        return super().__call__(pixels, sigma)

    def fetch(self, residual):
        self.fetched += 1
        return super().fetch(residual)


def test_groups_of_noise_do_not_fill_the_batches():
    restorer = Counting(samples=4)
    restored(noisy(), None, work_with(noisy(), [True, False, False, False], restorer))
    assert set(restorer.calls[:-1]) == {4}


def test_tiles_without_valid_pixels_are_not_brought_back():
    pixels, restorer = scene(), Counting(samples=4)
    mask, heard = holes(pixels), []
    work = work_on(pixels, restorer)
    restore_slabs(
        work,
        ArraySource(pixels, mask).read,
        list(work.plan.slabs()),
        Parts(pixels.shape, pixels.dtype),
        heard.append,
    )
    assert restorer.fetched == sum(heard) < len(heard)
