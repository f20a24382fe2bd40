"""The promise of the house: a scene restored in tiles is the scene restored whole."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from geoae.models.card import Card, shipped_models
from geoae.models.folder import load
from geoae.models.torch_restorer import TorchRestorer
from geoae.networks import ARCHITECTURES
from geoae.networks.halo import measure_halo
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.tiles import Work
from geoae.raster.memory import ArraySource
from geoae.tiling.plan import TilePlan
from tests.support.doubles import Parts, randomised, unscaled
from tests.support.networks import random_shapes

TOLERANCE = 1e-4
# The network that takes the spectrum of the noise.
SPECTRAL = "res_cae spectral"
NETWORKS = [*ARCHITECTURES, SPECTRAL]
# Smaller than the defaults, to be quick; the field is that of the default network.
SMALL = {
    "nafnet": {"channels": 2, "widths": (8, 12, 16), "blocks": (1, 1, 1, 1, 1)},
    "res_cae": {"channels": 2, "widths": (8, 12, 16)},
    "smp": {"depth": 2},
    SPECTRAL: {"channels": 2, "widths": (8, 12, 16), "levels": 9},
}
SIZES = [(437, 610), (1, 611), (263, 97)]
WHOLE = 100_000


@cache
def random_model(architecture: str) -> TorchRestorer:
    """A network with random weights and a residual of some tenths of a model unit."""
    torch.manual_seed(0)
    network = randomised(ARCHITECTURES[architecture.split()[0]](**SMALL.get(architecture, {})))
    halo = measure_halo(network, network.channels, network.multiple)
    card = Card.model_construct(
        name="random",
        digest="",
        channels=network.channels,
        multiple=network.multiple,
        halo=halo,
        tile=1536,
    )
    return TorchRestorer(card, network, torch.device("cpu"), "fp32", None)


@cache
def restorer(name: str) -> TorchRestorer:
    return random_model(name) if name in NETWORKS else load(name, device="cpu", precision="fp32")


def scene(bands: int, height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:height, :width] / 17.0
    hills = 0.5 + 0.25 * np.sign(np.sin(rows + cols * 0.3)) * np.cos(cols)
    return (hills + 0.2 * rng.normal(size=(bands, height, width))).astype(np.float32)


def restored(
    restorer: TorchRestorer, pixels: np.ndarray, tile: int, halo: int, mask=None
) -> np.ndarray:
    """DN are model units here, so the residual is not rounded on its way out."""
    plan = TilePlan.fit(*pixels.shape[1:], tile=tile, halo=halo, multiple=restorer.multiple)
    scale = unscaled(restorer.channels, sigma=0.2, bands=len(pixels))
    if restorer.takes_spectrum:
        scale = replace(scale, shape=random_shapes(1, restorer.channels)[0].astype(np.float64))
    work = Work(plan, scale, restorer, [None] * len(pixels))
    parts = Parts(pixels.shape, pixels.dtype)
    restore_slabs(work, ArraySource(pixels, mask).read, list(plan.slabs()), parts)
    return parts.pixels


def tiles(restorer: TorchRestorer) -> list[int]:
    """The least that the halo allows and a larger one."""
    multiple = restorer.multiple
    least = 2 * (-(-(2 * restorer.halo + 1) // multiple) * multiple)
    return [least, least + 15 * multiple]


models = pytest.mark.parametrize("name", [*NETWORKS, *(card.name for card in shipped_models())])


@models
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("alone", [False, True], ids=["full group", "one band"])
def test_tiled_equals_whole(name, alone, size):
    model = restorer(name)
    if alone and model.channels == 1:
        pytest.skip("its full group is one band")
    pixels = scene(1 if alone else model.channels, *size)
    whole = restored(model, pixels, WHOLE, model.halo)
    assert np.abs(whole - pixels).mean() > 100 * TOLERANCE, "the residual is too small to tell"
    for tile in tiles(model)[: 2 if size == SIZES[0] else 1]:
        np.testing.assert_allclose(
            restored(model, pixels, tile, model.halo), whole, rtol=0, atol=TOLERANCE
        )


@models
def test_tiled_equals_whole_around_holes(name):
    model = restorer(name)
    pixels = scene(model.channels, 263, 310)
    mask = np.random.default_rng(1).random(pixels.shape[1:]) > 0.01
    mask[100:200, 80:230] = False
    mask = np.broadcast_to(mask, pixels.shape)
    pixels[~mask] = np.nan
    whole = restored(model, pixels, WHOLE, model.halo, mask)
    np.testing.assert_allclose(
        restored(model, pixels, tiles(model)[0], model.halo, mask), whole, rtol=0, atol=TOLERANCE
    )


@models
def test_a_halo_that_is_too_small_shows(name):
    """Else the tests above could not fail."""
    model = restorer(name)
    pixels = scene(model.channels, 263, 310)
    whole = restored(model, pixels, WHOLE, model.halo)
    wrong = restored(model, pixels, tiles(model)[0], 0)
    inside = (slice(None), slice(model.halo, -model.halo), slice(model.halo, -model.halo))
    assert np.abs(wrong - whole)[inside].max() > 10 * TOLERANCE
