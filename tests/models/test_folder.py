import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from geoae.errors import DeviceError, ModelError
from geoae.models.card import CARD, WEIGHTS, Card, shipped_models
from geoae.models.folder import _digest, load
from geoae.models.torch_restorer import TorchRestorer
from geoae.networks import ARCHITECTURES

SMALL = {"channels": 2, "widths": (4, 6, 8), "blocks": (1, 0, 0, 0, 0)}


def batch(samples: int = 5, side: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((samples, 2, side, side), np.float32), rng.uniform(
        0.05, 0.2, (samples, 2)
    ).astype(np.float32)


def edit(folder, **facts):
    card = json.loads((folder / CARD).read_text()) | facts
    (folder / CARD).write_text(json.dumps(card))


def refused(folder, *words: str) -> str:
    with pytest.raises(ModelError) as caught:
        load(str(folder), device="cpu")
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in (folder.name, *words)), text
    return text


def test_what_is_saved_comes_back(made):
    folder, network = made
    restorer = load(str(folder), device="cpu", precision="fp32")
    pixels, sigma = batch()
    with torch.inference_mode():
        expected = network(
            torch.from_numpy(pixels), torch.from_numpy(sigma)[:, :, None, None]
        ).numpy()
    found = restorer(pixels, sigma)
    assert found.dtype == np.float32
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_the_card_tells_what_was_measured(made):
    folder, network = made
    card, restorer = Card.read(folder), load(str(folder), device="cpu")
    assert (card.channels, card.multiple, card.field) == (2, network.multiple, network.field)
    assert 0 < card.halo <= card.field
    assert card.parameters == sum(p.numel() for p in network.parameters())
    assert card.kflop_per_pixel > 0
    assert len(card.digest) == 64
    assert (restorer.name, restorer.digest, restorer.halo) == ("small", card.digest, card.halo)


def test_tampered_weights_are_refused(folder):
    path = folder / WEIGHTS
    spoilt = bytearray(path.read_bytes())
    spoilt[-1] ^= 1
    path.write_bytes(spoilt)
    refused(folder, "sha256")


def test_missing_files_are_named(folder):
    (folder / WEIGHTS).unlink()
    refused(folder, WEIGHTS)
    (folder / CARD).unlink()
    refused(folder, CARD)


class Bomb:
    """Goes off when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize(
    "content", [pickle.dumps(Bomb()), b"", b"\0" * 64], ids=["pickle", "empty", "zeros"]
)
def test_weights_that_are_no_safetensors_are_refused_even_under_their_own_digest(folder, content):
    (folder / WEIGHTS).write_bytes(content)
    edit(folder, digest=_digest(folder / WEIGHTS))
    refused(folder, "does not fit")


def test_an_unknown_architecture_is_refused_with_those_there_are(folder):
    edit(folder, architecture="transformer")
    refused(folder, "transformer", *ARCHITECTURES)


@pytest.mark.parametrize(
    "network",
    [
        SMALL | {"widths": (4, 6, 10)},
        SMALL | {"channels": 3},
        SMALL | {"depth": 3},
        SMALL | {"widths": (4, 6)},
        SMALL | {"blocks": (1, 1)},
    ],
    ids=["width", "channels", "argument", "two widths", "two blocks"],
)
def test_weights_that_do_not_fit_the_network_are_refused(folder, network):
    edit(folder, network=network)
    refused(folder, "res_cae")


def test_weights_under_other_names_are_refused(folder):
    save_file({"other": torch.zeros(3)}, folder / WEIGHTS)
    edit(folder, digest=_digest(folder / WEIGHTS))
    refused(folder, "does not fit")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "x"}', b"\xff\xfe"])
def test_a_card_that_is_none_is_refused(folder, content):
    (folder / CARD).write_bytes(content)
    refused(folder, CARD)


@pytest.mark.parametrize("facts", [{"halo": -1}, {"channels": 0}, {"surprise": 1}])
def test_a_card_with_impossible_facts_is_refused(folder, facts):
    edit(folder, **facts)
    refused(folder, CARD, next(iter(facts)))


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(ModelError, match=r"no-such-model.*identity"):
        load("no-such-model")


@pytest.mark.parametrize("card", shipped_models(), ids=lambda card: card.name)
def test_shipped_models_load(card):
    assert load(card.name, device="cpu").digest == card.digest
    assert 0 < card.halo <= card.field


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_padded_batch_gives_the_bits_of_a_full_one(made, size):
    """A sample's residual depends neither on its place nor on its company."""
    restorer = load(str(made[0]), device="cpu", precision="fp32", batch_size=size)
    pixels, sigma = batch(5)
    together = restorer(pixels, sigma)
    order = [3, 0, 4, 1, 2]
    assert restorer(pixels[order], sigma[order]).tobytes() == together[order].tobytes()
    for sample in range(5):
        alone = slice(sample, sample + 1)
        assert restorer(pixels[alone], sigma[alone]).tobytes() == together[alone].tobytes()


class Greedy(nn.Module):
    """Runs out of memory above ``most`` samples; keeps the sizes it was given."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.sizes = most, []

    def forward(self, pixels, sigma):
        self.sizes.append(len(pixels))
        if len(pixels) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return pixels * sigma


def greedy(made, most: int) -> tuple[Greedy, TorchRestorer]:
    network = Greedy(most)
    return network, TorchRestorer(Card.read(made[0]), network, torch.device("cpu"), "fp32", 8)


def test_a_batch_that_is_too_large_is_halved_and_the_run_goes_on(made):
    network, restorer = greedy(made, 2)
    pixels, sigma = batch(8)
    np.testing.assert_array_equal(restorer(pixels, sigma), pixels * sigma[:, :, None, None])
    assert network.sizes == [8, 4, 2, 2, 2, 2]
    assert restorer.batch(32, 32) == 2
    restorer(pixels, sigma)
    assert network.sizes[6:] == [2, 2, 2, 2], "what did not fit is not tried again"


def test_one_tile_that_is_too_large_is_an_error_with_a_cure(made):
    network, restorer = greedy(made, 0)
    with pytest.raises(DeviceError, match="32 x 32 px; give a smaller --tile") as caught:
        restorer(*batch(8))
    assert "\n" not in str(caught.value)
    assert network.sizes == [8, 4, 2, 1]


def test_bf16_agrees_with_fp32(made):
    pixels, sigma = batch(2, 64)
    full, half = (
        load(str(made[0]), device="cpu", precision=p)(pixels, sigma) for p in ("fp32", "bf16")
    )
    assert half.dtype == np.float32
    assert not np.array_equal(full, half)
    assert np.std(half - full) < 0.02 * np.std(full)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:99"])
def test_a_gpu_that_is_not_there_is_refused(made, name):
    if torch.cuda.is_available() and name != "cuda:99":
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match=rf"{name}: not on this machine.*--device"):
        load(str(made[0]), device=name)


def test_a_device_of_no_kind_is_refused(made):
    with pytest.raises(DeviceError, match="abacus"):
        load(str(made[0]), device="abacus")


def test_auto_is_the_gpu_where_there_is_one(made):
    assert load(str(made[0])).device.type == ("cuda" if torch.cuda.is_available() else "cpu")


gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


class TestOnGpu:
    pytestmark = gpu

    @pytest.mark.parametrize("batch_size", [None, 1, 3])
    def test_fp32_agrees_with_the_cpu(self, made, batch_size):
        pixels, sigma = batch(7, 64)
        on_cpu = load(str(made[0]), device="cpu", precision="fp32")(pixels, sigma)
        on_gpu = load(str(made[0]), device="cuda", precision="fp32", batch_size=batch_size)(
            pixels, sigma
        )
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=0, atol=1e-4)

    def test_bf16_agrees_with_fp32(self, made):
        pixels, sigma = batch(7, 64)
        full, half = (
            load(str(made[0]), device="cuda", precision=p)(pixels, sigma) for p in ("fp32", "bf16")
        )
        assert np.std(half - full) < 0.02 * np.std(full)

    def test_a_padded_batch_gives_the_bits_of_a_full_one(self, made):
        restorer = load(str(made[0]), device="cuda", precision="fp32", batch_size=4)
        pixels, sigma = batch(5)
        together = restorer(pixels, sigma)
        assert restorer(pixels[:1], sigma[:1]).tobytes() == together[:1].tobytes()

    def test_running_out_of_memory_halves_the_batch(self, made):
        network = Greedy(2)
        restorer = TorchRestorer(Card.read(made[0]), network, torch.device("cuda"), "fp32", 8)
        pixels, sigma = batch(8)
        np.testing.assert_allclose(
            restorer(pixels, sigma), pixels * sigma[:, :, None, None], atol=1e-6
        )


def test_a_network_argument_that_nobody_knows_is_refused(folder):
    edit(
        folder,
        network={**json.loads((folder / CARD).read_text())["network"], "activation": "softsign"},
    )
    refused(folder, "does not fit")


def test_a_network_that_gives_no_number_never_reaches_a_pixel(made):
    restorer = load(str(made[0]), device="cpu")
    pixels = np.zeros((1, 2, 32, 32), np.float32)
    pixels[0, 0, 3, 3] = np.nan
    with pytest.raises(ModelError, match="no numbers"):
        restorer(pixels, np.full((1, 2), 0.1, np.float32))
