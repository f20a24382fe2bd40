import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import geoae
from geoae.errors import OutputError, TrainingError
from geoae.models.card import Card
from geoae.models.folder import save
from geoae.networks import ResCAE
from geoae.training import adapt as module
from geoae.training.adapt import adapt
from geoae.verification.run import verify
from tests.support.logs import logged
from tests.support.rasters import read
from tests.training.support import NETWORK, calm, write_noisy


def scenes(folder, count=8, kernel="white"):
    folder.mkdir(exist_ok=True)
    return [write_noisy(folder / f"{seed}.tif", kernel, seed) for seed in range(count)]


def model(folder, **changes):
    """A network that has not been trained: it takes no noise."""
    torch.manual_seed(0)
    network = NETWORK | changes
    facts = {"name": "raw", "description": "a test's", "architecture": "res_cae"}
    save(folder, ResCAE(**network), **facts, network=network, tile=256, limits=["none"])
    return str(folder)


@pytest.fixture
def told():
    """What geoae logs, line by line."""
    with logged() as lines:
        yield lines


@pytest.fixture
def quick(monkeypatch):
    """The tiny network starts from nothing, so it may learn fast."""
    monkeypatch.setattr(module, "LEARNING_RATE", 5e-3)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("objective", "kernel"), [("r2r", "bilinear"), ("sure", "white")])
def test_an_adapted_model_is_better_and_usable(tmp_path, objective, kernel):
    start = model(tmp_path / "start", levels=9)
    found = adapt(
        scenes(tmp_path / "archive", kernel=kernel),
        start,
        tmp_path / "new",
        objective=objective,
        steps=60,
    )
    card = found.require()
    assert card == Card.read(tmp_path / "new")
    assert (card.name, card.start, len(card.trained_on)) == ("new", "raw", 5)
    assert card.figures["adaptation"]["decibel"] == found.gain.decibel > 0.5
    assert card.limits[0] == "none"
    source, clean = write_noisy(tmp_path / "noisy.tif", kernel, 99), calm(seed=99)
    geoae.restore(source, tmp_path / "out.tif", model=str(tmp_path / "new"))
    errors = [np.square(read(path) - clean).mean() for path in (source, tmp_path / "out.tif")]
    gained = 10 * np.log10(errors[0] / errors[1])
    assert gained == pytest.approx(found.gain.decibel, abs=0.5), "the judge tells the truth"
    checks = verify(str(tmp_path / "new"), None, device="cpu", precision="fp32").checks
    # A network of seconds shifts means by more than 0.1 %.
    assert {name for name, check in checks.items() if not check.passed} <= {"bias"}


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_one_seed_gives_one_model(tmp_path):
    start, archive = model(tmp_path / "start"), scenes(tmp_path / "archive")
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        adapt(archive, start, tmp_path / name, steps=30, seed=seed).require()
    one, two, three = (
        load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two", "three")
    )
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not all(torch.equal(one[key], three[key]) for key in one)


@pytest.mark.slow
def test_what_harms_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    start, archive = model(tmp_path / "start"), scenes(tmp_path / "archive")
    monkeypatch.setattr(module, "LEARNING_RATE", 3.0)
    found = adapt(archive, start, tmp_path / "new", steps=10)
    assert found.card is None
    with pytest.raises(TrainingError, match=r"error left 1\..* adapted .* held out"):
        found.require()
    assert not (tmp_path / "new").exists()


def test_what_cannot_be_adapted_is_said(tmp_path, told):
    start, archive = model(tmp_path / "start"), scenes(tmp_path / "archive", 2)
    with pytest.raises(TrainingError, match=r"too few scenes .* known in 2, which have 2 windows"):
        adapt(archive, start, tmp_path / "new")
    with pytest.raises(TrainingError, match="raw: no objective; give one of r2r, sure"):
        adapt(archive, start, tmp_path / "new", objective="raw")
    with pytest.raises(TrainingError, match="holds a model already"):
        adapt(archive, start, tmp_path / "start")
    with pytest.raises(OutputError, match="cannot be a model's folder"):
        adapt(archive, start, tmp_path / "archive" / "0.tif" / "new")
    assert told == []
    correlated = scenes(tmp_path / "bilinear", 1, kernel="bilinear")
    for objective, reason in (
        ("noise2void", "noise2void needs white"),
        ("sure", "raw knows white"),
    ):
        with pytest.raises(TrainingError, match="known in 0"):
            adapt(correlated, start, tmp_path / "new", objective=objective)
        assert reason in told[-1]
    assert not (tmp_path / "new").exists()


def test_few_scenes_are_divided_by_windows():
    class Whole:
        def __init__(self, name, windows=5):
            self.name, self.windows = name, windows

        def split(self):
            return [Whole(f"{self.name}{index}", 1) for index in range(self.windows)]

    kept, held = module._hold_out([Whole("a"), Whole("b")], seed=0)
    assert (len(kept), len(held)) == (7, 3)
    assert {one.windows for one in kept + held} == {1}
    kept, held = module._hold_out([Whole(str(index)) for index in range(20)], seed=0)
    assert (len(kept), len(held)) == (15, 5)
    assert len({one.name for one in kept + held}) == 20
