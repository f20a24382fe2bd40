"""A few steps of training, which show the way of a model rather than a better one."""

from pathlib import Path

import pytest

from tests.flows.scenes import artifacts, crop
from tests.support.rasters import SHARED
from tests.training.support import write_noisy

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server"), pytest.mark.timeout(900)]

CLEAN = SHARED / "scenes" / "train" / "l8_elkton_VA_8band_30m.tif"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("retrain")
    for index in range(2):
        crop(folder / "inbox" / f"recent{index}.tif", row=20 * index, side=120, source=CLEAN)
    crop(folder / "fixed" / "fixed.tif", row=40, col=40, side=100, source=CLEAN)
    return folder


def retrain(places: Path, **options):
    from flows.retrain import retrain as flow

    given = {"source": places / "inbox", "fixed": places / "fixed", "models": places / "models"}
    options = {"steps": 2, "sigmas": [25.0], "accelerator": "cpu"} | options
    return flow(**{name: str(place) for name, place in given.items()}, **options, return_state=True)


def test_a_model_takes_its_place_only_if_it_is_better(places):
    state = retrain(places, least_gain=50.0)
    verdict = state.result()
    assert verdict["better"] is False
    assert "+50.00 dB are asked for" in verdict["reason"]
    assert list((places / "models").iterdir()) == []
    table = artifacts(state.state_details.flow_run_id)["geoae-retrain"]
    assert table.description.startswith("not better: ")
    assert "fixed.tif" in table.data

    assert retrain(places, least_gain=-50.0).result()["better"] is (verdict["gain"] > -0.3)
    models = sorted(path.name for path in (places / "models").iterdir())
    if verdict["gain"] > -0.3:
        assert models[0] == "current"
        assert (places / "models" / "current").resolve().name == models[1]
        from geoae.models.folder import load

        assert (
            load(
                str(places / "models" / "current"), device="cpu", precision="fp32", batch_size=None
            ).name
            == "res-cae"
        )


def test_without_clean_scenes_the_model_is_adapted_to_the_noisy_ones(tmp_path):
    from flows.retrain import retrain as flow

    (tmp_path / "inbox").mkdir()
    for seed in range(8):
        write_noisy(tmp_path / "inbox" / f"{seed}.tif", seed=seed)
    places = {"source": str(tmp_path / "inbox"), "models": str(tmp_path / "models")}
    verdict = flow(**places, fixed="", steps=2, accelerator="cpu")
    assert "held out" in verdict["reason"]
    kept = sorted(path.name for path in (tmp_path / "models").iterdir())
    assert len(kept) == (2 if verdict["better"] else 0), "the link and the model, or nothing"
