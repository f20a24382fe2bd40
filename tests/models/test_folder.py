import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from geoae.errors import ModelError, OutputError
from geoae.models.card import CARD, WEIGHTS, Card, model_folder, shipped_models
from geoae.models.folder import _digest, current_model, load, promote, refuse_folder
from geoae.networks import ARCHITECTURES
from geoae.resources import shipped
from tests.support.networks import random_batch

SMALL = {"channels": 2, "widths": (4, 6, 8), "blocks": (1, 0, 0, 0, 0)}


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
    pixels, sigma = random_batch()
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


def test_who_can_read_the_card_can_read_the_weights(made):
    folder, _ = made
    card, weights = ((folder / name).stat().st_mode for name in (CARD, WEIGHTS))
    assert weights == card


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
def test_weights_that_are_no_safetensors_are_refused(folder, content):
    (folder / WEIGHTS).write_bytes(content)
    edit(folder, digest=_digest(folder / WEIGHTS))
    refused(folder, "does not fit")


def test_an_unknown_architecture_names_the_known_ones(folder):
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


@pytest.mark.parametrize("card", shipped_models(), ids=lambda card: card.name)
def test_shipped_models_load(card):
    assert load(card.name, device="cpu").digest == card.digest
    assert 0 < card.halo <= card.field


def test_a_network_argument_that_nobody_knows_is_refused(folder):
    edit(
        folder,
        network={**json.loads((folder / CARD).read_text())["network"], "activation": "softsign"},
    )
    refused(folder, "does not fit")


def test_the_better_model_is_put_in_place_and_the_old_one_stays(tmp_path):
    models = tmp_path / "models"
    assert current_model(models, "res-cae") == "res-cae"
    shipped_one = shipped("models") / "res-cae"
    first = promote(shipped_one, models)
    assert current_model(models, "res-cae") == str(models / "current")
    assert (models / "current").resolve() == first
    another = tmp_path / "another"
    shutil.copytree(shipped_one, another)
    card = another / "card.json"
    digest = card.read_text().split('"digest": "')[1][:8]
    card.write_text(card.read_text().replace(digest, "0" * 8))
    second = promote(another, models)
    assert (models / "current").resolve() == second
    assert model_folder(str(models / "current")) == models / "current"
    assert sorted(path.name for path in models.iterdir()) == sorted(
        ["current", first.name, second.name]
    )
    assert promote(shipped_one, models) == first
    assert (models / "current").resolve() == first


def test_a_folder_is_not_replaced_by_a_link(tmp_path):
    (tmp_path / "current").mkdir()
    with pytest.raises(OutputError, match="no link"):
        promote(shipped("models") / "res-cae", tmp_path)
    assert not Path(tmp_path / "current").is_symlink()


def test_a_folder_in_which_no_model_can_be_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    refuse_folder(tmp_path)
    refuse_folder(tmp_path / "deep" / "model")
    for name in ("file", "file/model"):
        with pytest.raises(OutputError, match=f"{name}: cannot be a model's folder; give -o"):
            refuse_folder(tmp_path / name)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(OutputError, match="cannot be a model's folder"):
        refuse_folder(tmp_path / "model")
