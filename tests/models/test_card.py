import json
from pathlib import Path

import pytest

from geoae.errors import ModelError
from geoae.models.card import CARD, WEIGHTS, Card, model_folder
from geoae.resources import shipped


def edit(folder, **facts):
    card = json.loads((folder / CARD).read_text()) | facts
    (folder / CARD).write_text(json.dumps(card))


def refused(folder, *words: str) -> None:
    with pytest.raises(ModelError) as caught:
        Card.read(folder)
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in (folder.name, CARD, *words)), text


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"name": "x"}', b"\xff\xfe"])
def test_a_card_that_is_none_is_refused(folder, content):
    (folder / CARD).write_bytes(content)
    refused(folder)


@pytest.mark.parametrize("facts", [{"halo": -1}, {"channels": 0}, {"surprise": 1}])
def test_a_card_with_impossible_facts_is_refused(folder, facts):
    edit(folder, **facts)
    refused(folder, next(iter(facts)))


def test_a_folder_without_a_card_is_no_model(tmp_path):
    refused(tmp_path, "a model is a folder with", WEIGHTS)


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(ModelError, match=r"^sar: is a recipe .*; give .*\(--recipe sar\)$"):
        model_folder("sar")
    with pytest.raises(ModelError, match=r"no-such-model: no such model; .*res-cae, identity"):
        model_folder("no-such-model")


def test_a_model_is_a_shipped_name_or_a_folder(folder, monkeypatch):
    assert model_folder("res-cae") == shipped("models") / "res-cae"
    assert model_folder(str(folder)) == folder
    monkeypatch.chdir(folder.parent)
    assert model_folder(folder.name) == Path(folder.name)


@pytest.mark.parametrize(("bands", "groups"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_work_per_band_counts_whole_groups(folder, bands, groups):
    """The model takes two components at once; a group that is not full costs as much."""
    card = Card.read(folder)
    assert card.channels == 2
    assert card.kflop(bands) == pytest.approx(groups * card.kflop_per_pixel / bands)


def test_figures_of_other_weights_verify_nothing(folder):
    digest = Card.read(folder).digest
    for verified, expected in (
        ({}, False),
        ({"digest": "1d" * 32}, False),
        ({"digest": digest}, True),
    ):
        edit(folder, verified=verified)
        assert Card.read(folder).is_verified is expected
