import json
import shutil

import numpy as np
import pytest
from scipy import ndimage

import geoae
from geoae.errors import ModelError
from geoae.models.card import CARD, Card, shipped_models
from geoae.models.folder import load
from geoae.verification import run
from geoae.verification.checks import CHECKS
from geoae.verification.run import into_card, verify
from tests.support.networks import save_small_network

QUICK = ("clean", "tiled", "determinism")


@pytest.fixture
def quick(monkeypatch):
    """A few of the checks."""
    monkeypatch.setattr(run, "CHECKS", {name: CHECKS[name] for name in QUICK})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_small_network(folder, tile=512)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "small")


def blur(pixels):
    return ndimage.uniform_filter(pixels, (0, 0, 3, 3), mode="nearest")


def test_any_callable_can_be_verified_and_the_report_says_all():
    found = geoae.verify(blur, channels=3, multiple=1, halo=1)
    assert found.passed
    assert found.checks.keys() | found.skipped.keys() == CHECKS.keys()
    assert found.skipped.keys() == {"clean", "varying"}
    assert (found.model, found.scene, found.bands) == ("blur", "synthetic", 3)
    found.require()
    written = json.loads(found.model_dump_json())
    assert written["passed"]
    assert written["checks"]["halo"] == found.checks["halo"].model_dump()


def test_a_broken_promise_is_an_error_with_its_figure(quick):
    found = geoae.verify(lambda pixels: pixels - pixels.mean() / 2, channels=1, multiple=1, halo=1)
    assert not found.passed
    assert found.failed == ["tiled"]
    with pytest.raises(
        ModelError, match=r"<lambda>: fails tiled: .* model units, 0.0001 at most; "
    ) as caught:
        found.require()
    assert "\n" not in str(caught.value)


def test_figures_go_into_the_card_and_nothing_else_does(folder, quick):
    before = Card.read(folder)
    assert not before.is_verified
    path = into_card(str(folder), verify(str(folder), device="cpu", precision="fp32"))
    after = Card.read(folder)
    assert path == folder / CARD
    assert after.is_verified
    assert after.verified["checks"].keys() == set(QUICK)
    assert after.model_copy(update={"verified": {}}) == before
    again = path.read_text()
    into_card(str(folder), verify(folder, device="cpu", precision="fp32"))
    assert path.read_text() == again, "the command can be repeated"
    assert load(str(folder), device="cpu").digest == before.digest


def test_a_failed_report_or_other_weights_leave_the_card(folder, quick, monkeypatch):
    before = (folder / CARD).read_text()
    good = verify(folder, device="cpu", precision="fp32")
    with pytest.raises(ModelError, match="weights changed"):
        into_card(str(folder), good.model_copy(update={"digest": "other"}))
    (folder / CARD).write_text(before.replace(f'"halo": {Card.read(folder).halo}', '"halo": 0'))
    edited = (folder / CARD).read_text()
    bad = verify(folder, device="cpu", precision="fp32")
    assert bad.failed == ["tiled"]
    with pytest.raises(ModelError, match="fails tiled"):
        into_card(str(folder), bad)
    assert (folder / CARD).read_text() == edited
    with pytest.raises(ModelError, match="identity: has no card"):
        into_card("identity", verify("identity"))
    assert sorted(path.name for path in folder.iterdir()) == [CARD, "weights.safetensors"]


@pytest.mark.parametrize("card", shipped_models(), ids=lambda card: card.name)
def test_every_shipped_card_has_the_figures_of_its_weights(card):
    cure = f"run: geoae verify {card.name} --device cpu --precision fp32 --into-card"
    assert card.is_verified, cure
    checks = card.verified["checks"]
    assert checks.keys() == CHECKS.keys(), cure
    assert all(check["figure"] <= check["limit"] for check in checks.values()), cure
    assert checks["halo"]["limit"] == card.halo, cure


@pytest.mark.slow
@pytest.mark.parametrize("card", shipped_models(), ids=lambda card: card.name)
def test_every_shipped_model_keeps_every_promise_here(card):
    found = geoae.verify(card.name, device="cpu", precision="fp32")
    found.require()
    for name, check in found.checks.items():
        np.testing.assert_allclose(
            check.figure, card.verified["checks"][name]["figure"], rtol=0.1, atol=1e-6
        )
