import numpy as np
import pytest

from geoae.errors import TrainingError
from geoae.training.config import SceneGroup
from geoae.training.data import read_batches, validation_batches
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


def test_each_process_has_its_own_batches(folder):
    one, again = (read_batches(config(), folder).draw(0)[0] for _ in range(2))
    other = read_batches(config(), folder, rank=1).draw(0)[0]
    assert one.shape == (4, 1, 32, 32)
    assert one.equal(again)
    assert not one.equal(other)


def test_the_validation_set_is_the_same_each_time(folder):
    one, other = validation_batches(config(), folder), validation_batches(config(seed=7), folder)
    for sample, again in zip(one, other, strict=True):
        assert all(a.equal(b) for a, b in zip(sample, again, strict=True))


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(TrainingError, match="no such folder"):
        read_batches(config(), tmp_path / "absent")


def test_scenes_that_are_not_there_are_said(tmp_path):
    with pytest.raises(TrainingError, match="no scene matches"):
        read_batches(config(), tmp_path)
