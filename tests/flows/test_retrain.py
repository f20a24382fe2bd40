"""A few steps of training of a tiny network, which show the way of a model rather than a better
one.
"""

from pathlib import Path

import pytest
import torch

from geoae.models.folder import load, promote, save
from geoae.networks import ResCAE
from tests.flows.scenes import artifacts, crop
from tests.support.rasters import SHARED
from tests.training.support import NETWORK, write_noisy

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server"), pytest.mark.timeout(900)]

TRAINING = """
name = "tiny"
architecture = "res_cae"
network = { channels = 1, widths = [8, 8, 8], blocks = [1, 0, 0, 0, 0] }
chip = 32
batch_size = 4
cycles = [400]
precision = "32-true"
validation = ["fixed.tif"]
groups = [{ files = ["*.tif"] }]
"""
CLEAN = SHARED / "scenes" / "train" / "l8_elkton_VA_8band_30m.tif"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retrain")
    for index in range(2):
        crop(folder / "inbox" / f"recent{index}.tif", row=20 * index, side=120, source=CLEAN)
    crop(folder / "fixed" / "fixed.tif", row=40, col=40, side=100, source=CLEAN)
    (folder / "tiny.toml").write_text(TRAINING)
    put_in_use(folder / "models")
    return folder


def put_in_use(models: Path) -> None:
    """Make an untrained network, which takes no noise, the model in use."""
    torch.manual_seed(0)
    facts = {"name": "tiny", "description": "a test's", "architecture": "res_cae", "limits": []}
    new = models.parent / "untrained"
    save(new, ResCAE(**NETWORK), **facts, network=NETWORK, tile=256)
    promote(new, models)


def retrain(places: Path, **options):
    from flows.retrain import retrain as flow

    given = {name: places / name for name in ("fixed", "models")}
    given |= {"source": places / "inbox", "config": places / "tiny.toml"}
    options = {"steps": 2, "sigmas": [25.0], "accelerator": "cpu"} | options
    return flow(**{name: str(place) for name, place in given.items()}, **options, return_state=True)


def test_a_model_takes_its_place_only_if_it_is_better(places):
    (old,) = set((places / "models").iterdir()) - {places / "models" / "current"}
    state = retrain(places, least_gain=50.0)
    verdict = state.result()
    assert verdict["better"] is False
    assert "+50.00 dB are asked for" in verdict["reason"]
    assert (places / "models" / "current").resolve() == old
    assert len(list((places / "models").iterdir())) == 2, "the link and the model"
    table = artifacts(state.state_details.flow_run_id)["geoae-retrain"]
    assert table.description.startswith("not better: ")
    assert "fixed.tif" in table.data

    assert retrain(places, least_gain=0.0, steps=40).result()["better"] is True
    current = places / "models" / "current"
    assert current.resolve() != old
    assert old.is_dir(), "the model before stays"
    new = load(str(current), device="cpu", precision="fp32", batch_size=None)
    assert new.name == "tiny"


def test_without_clean_scenes_the_model_is_adapted_to_the_noisy_ones(tmp_path):
    from flows.retrain import retrain as flow

    (tmp_path / "inbox").mkdir()
    for seed in range(8):
        write_noisy(tmp_path / "inbox" / f"{seed}.tif", seed=seed)
    put_in_use(tmp_path / "models")
    (tmp_path / "tiny.toml").write_text(TRAINING)
    names = {"source": "inbox", "models": "models", "config": "tiny.toml"}
    places = {name: str(tmp_path / file) for name, file in names.items()}
    verdict = flow(**places, fixed="", steps=2, accelerator="cpu")
    assert "held out" in verdict["reason"]
    kept = sorted(path.name for path in (tmp_path / "models").iterdir())
    assert len(kept) == (3 if verdict["better"] else 2), "the link, the model, and a better one"
