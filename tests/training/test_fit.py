import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import geoae
from geoae.errors import TrainingError
from geoae.training.config import SceneGroup, TrainConfig
from geoae.training.fit import export, fit
from tests.rasters import noise, read, texture, write

NETWORK = {"channels": 1, "widths": [8, 8, 8], "blocks": [1, 0, 0, 0, 0]}


def config(**changes: object) -> TrainConfig:
    settings = {
        "name": "tiny", "description": "a test's", "network": NETWORK, "chip": 32, "batch_size": 4, "cycles": [60],
        "warmup": 5, "learning_rate": 3e-3, "ema": 0.9, "precision": "32-true",
        "validation": ["kept.tif"], "leaves": {"count": 1, "bands": 2, "side": 64}, "groups": [SceneGroup(files=["*.tif"])],
    }  # fmt: skip
    return TrainConfig.model_validate(settings | changes)


@pytest.fixture
def scenes(tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for seed, name in enumerate(["one", "two", "kept"]):
        write(folder / f"{name}.tif", texture(2, 120, 130, seed).astype(np.uint16))
    return folder


@pytest.mark.slow
def test_a_trained_model_restores_a_scene_it_has_not_seen(scenes, tmp_path):
    checkpoint = fit(config(), scenes, tmp_path / "work")
    card = export(config(), checkpoint, tmp_path / "model")
    assert card.trained_on == ["*.tif"]
    clean = read(scenes / "kept.tif").astype(float)
    noisy = write(tmp_path / "noisy.tif", (clean + noise(clean.shape, 40)).round().astype(np.uint16))
    geoae.restore(noisy, tmp_path / "out.tif", model=str(tmp_path / "model"))
    error = [np.square(read(path) - clean).mean() for path in (noisy, tmp_path / "out.tif")]
    assert error[1] < 0.7 * error[0]


@pytest.mark.slow
def test_a_finished_run_goes_on_from_its_checkpoint(scenes, tmp_path):
    fit(config(cycles=[20]), scenes, tmp_path / "work")
    last = fit(config(cycles=[20, 10]), scenes, tmp_path / "work")
    assert torch.load(last, weights_only=False)["global_step"] == 30


@pytest.mark.slow
def test_a_run_may_start_from_a_model(scenes, tmp_path):
    export(config(), fit(config(), scenes, tmp_path / "first"), tmp_path / "model")
    # One step at a rate of nearly nothing: what comes out is what it started from.
    more = config(cycles=[1], learning_rate=1e-12, start=str(tmp_path / "model"))
    card = export(more, fit(more, scenes, tmp_path / "second"), tmp_path / "more")
    first, second = (load_file(tmp_path / name / "weights.safetensors") for name in ("model", "more"))
    assert card.trained_on == ["*.tif"]
    assert all(torch.allclose(first[key], second[key], atol=1e-9) for key in first)


@pytest.mark.slow
def test_a_start_of_another_network_is_said(scenes, tmp_path):
    export(config(), fit(config(cycles=[1]), scenes, tmp_path / "work"), tmp_path / "model")
    other = config(start=str(tmp_path / "model"), network=NETWORK | {"widths": [4, 8, 8]})
    with pytest.raises(TrainingError, match="same network"):
        fit(other, scenes, tmp_path / "second")


def test_scenes_that_are_not_there_are_said(tmp_path):
    with pytest.raises(TrainingError, match="no scene matches"):
        fit(config(), tmp_path, tmp_path / "work")
