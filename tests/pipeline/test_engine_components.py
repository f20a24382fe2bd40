"""Components that hold nothing but noise do not reach the network."""

from dataclasses import replace

import numpy as np
import pytest

from geoae.models.restorer import Identity
from tests.pipeline.test_engine import holes, restored, work_on
from tests.support.doubles import Blur

SIGMA = 10.0


def noisy(bands: int = 4) -> np.ndarray:
    noise = np.random.default_rng(2).normal(0, SIGMA, (bands, 90, 60))
    return np.rint(1000 + np.clip(noise, -4 * SIGMA, 4 * SIGMA)).astype(np.uint16)


def work_with(pixels: np.ndarray, signal: list[bool], restorer=None):
    work = work_on(pixels, restorer)
    bands = len(pixels)
    scale = replace(
        work.scale,
        offset=np.full(bands, 1000.0),
        sigma=np.full(bands, SIGMA),
        noise=np.full(bands, SIGMA),
        signal=np.array(signal),
    )
    return replace(work, scale=scale)


class Leveled(Blur):
    """Takes the level of the noise for the noise."""

    def __call__(
        self, pixels: np.ndarray, sigma: np.ndarray, shape: np.ndarray | None = None
    ) -> np.ndarray:
        self.seen += len(pixels)
        return np.broadcast_to(sigma, pixels.shape).copy()


@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_only_noise_becomes_the_mean_and_the_rest_is_as_if_it_were_alone(channels):
    pixels = noisy()
    blur = Blur(channels=channels)
    work = work_with(pixels, [True, False, False, False], blur)
    found = restored(pixels, None, work).pixels
    seen = blur.seen
    everything = work_with(pixels, [True] * 4, Blur(channels=channels))
    expected = restored(pixels, None, everything).pixels
    assert np.array_equal(found[:channels], expected[:channels]), "groups stay whole"
    assert (found[channels:] == 1000).all()
    assert everything.restorer.seen == seen * 4 // channels


def test_noise_that_grows_with_the_signal_has_its_level_at_each_pixel():
    pixels = noisy()
    work = work_with(pixels, [True, False, False, True], Leveled())
    work = replace(work, scale=replace(work.scale, slope=np.full(4, 6.0)))
    found = restored(pixels, None, work).pixels
    assert (found[1:3] == 1000).all()
    taken = pixels[[0, 3]].astype(float) - found[[0, 3]]
    assert taken.std() > 0
    assert taken.mean() == pytest.approx(SIGMA, rel=0.05)


def test_a_pixel_that_noise_does_not_explain_stays():
    pixels = noisy()
    pixels[1:, 40, 30] = round(1000 + 20 * SIGMA)
    found = restored(pixels, None, work_with(pixels, [True, False, False, False])).pixels
    assert (found[1:, 40, 30] > 1000 + 19 * SIGMA).all()
    found[1:, 38:43, 28:33] = 1000
    assert (found[1:] == 1000).all()


def test_tiles_without_a_valid_pixel_reach_neither_the_network_nor_the_rest():
    pixels = noisy(2)
    pixels = np.tile(pixels, (1, 2, 2))[:, :150, :110]
    mask = holes(pixels)
    mask[:, :60] = False
    found = restored(pixels, mask, work_with(pixels, [True, False])).pixels
    assert np.array_equal(found[~mask], pixels[~mask])
    assert (found[1][mask[1]] == 1000).mean() > 0.99


def test_a_scene_of_noise_alone_needs_no_call():
    pixels, blur = noisy(), Blur()
    found = restored(pixels, None, work_with(pixels, [False] * 4, blur)).pixels
    assert (found == 1000).all()
    assert blur.seen == 0


def test_a_model_that_changes_nothing_changes_nothing():
    pixels = noisy()
    found = restored(pixels, None, work_with(pixels, [False] * 4, Identity())).pixels
    assert np.array_equal(found, pixels)
