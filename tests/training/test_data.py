from itertools import islice

import numpy as np
import pytest
import torch

from geoae.errors import TrainingError
from geoae.training.config import SceneGroup
from geoae.training.data import (
    TrainingData,
    read_batches,
    read_validation,
    refuse_without_memory,
)
from geoae.training.denoiser import Denoiser
from geoae.training.fit import Hardware, fit
from geoae.training.samples.batches import Batches
from geoae.training.samples.scene import TrainingScene
from tests.support.rasters import texture, write
from tests.training.support import config


@pytest.fixture
def folder(tmp_path):
    """Scenes of one area and of four times that, and one that is kept for validation."""
    for name, side in {"one": 100, "two": 200, "kept": 100}.items():
        write(tmp_path / f"{name}.tif", texture(2, side, side).astype(np.uint16))
    return tmp_path


def test_weights_follow_the_root_of_the_area_and_the_share_of_the_group(folder):
    groups = [SceneGroup(files=["*.tif"], weight=3)]
    leaves = {"count": 2, "bands": 2, "side": 64, "weight": 1}
    batches = read_batches(config(groups=groups, leaves=leaves), folder)
    assert batches.share == pytest.approx(np.array([1, 2, 0.5, 0.5]) / 4)


def test_batches_have_the_size_and_the_chips_of_the_config(folder):
    assert read_batches(config(), folder).draw(0)[0].shape == (4, 1, 32, 32)


def test_a_resumed_run_goes_on_with_the_next_step(folder):
    data = TrainingData(read_batches(config(), folder), read_validation(config(), folder), 7)
    assert list(islice(data.train_dataloader(), 3)) == [7, 8, 9]


def test_the_validation_set_is_the_same_each_time(folder):
    one, other = read_validation(config(), folder), read_validation(config(seed=7), folder)
    assert {len(noisy) for noisy, *_ in one} == {4}, "no larger than those of the run"
    for sample, again in zip(one, other, strict=True):
        assert all(a.equal(b) for a, b in zip(sample, again, strict=True))


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(TrainingError, match="no such folder"):
        read_batches(config(), tmp_path / "absent")


def test_scenes_that_are_not_there_are_said(tmp_path):
    with pytest.raises(TrainingError, match="no scene matches"):
        read_batches(config(), tmp_path)


NO_ROOM = "no room for the scenes, the network and a batch; name fewer scenes or a smaller"


@pytest.mark.parametrize(
    ("place", "name"),
    [(TrainingScene, "read"), (Batches, "to"), (Batches, "draw"), (Denoiser, "training_step")],
)
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_a_training_without_room_is_one_line(folder, tmp_path, monkeypatch, place, name, error):
    def fail(*given):
        raise error

    if place is Batches:  # the validation set is drawn by it too
        validation = read_validation(config(), folder)
        monkeypatch.setattr("geoae.training.fit.read_validation", lambda *given: validation)
    monkeypatch.setattr(place, name, fail)
    with pytest.raises(TrainingError, match=rf"^cpu: {NO_ROOM} batch_size in the config$"):
        fit(config(), folder, tmp_path / "work", Hardware("cpu"))


def test_what_cannot_be_allocated_on_the_processor_is_told_from_other_errors():
    line = f"^cuda:1: {NO_ROOM} .*, or give --accelerator cpu$"
    gpu = torch.device("cuda", 1)
    with pytest.raises(TrainingError, match=line), refuse_without_memory(gpu):
        torch.empty(1 << 50)
    with pytest.raises(RuntimeError, match="shape"), refuse_without_memory(torch.device("cpu")):
        torch.zeros(2).reshape(3)
