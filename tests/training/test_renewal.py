import numpy as np
import pytest

from geoae.catalog.sources import scenes
from geoae.errors import TrainingError
from geoae.training.config import TrainConfig
from geoae.training.renewal import link_training_scenes, retraining_config, training_config
from tests.support.rasters import texture, write


@pytest.fixture
def places(tmp_path):
    for name in ("in/a.tif", "in/day/b.tif", "in/c.tif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, texture(1, 40, 40).astype(np.uint16))
    (tmp_path / "fixed").mkdir()
    (tmp_path / "fixed" / "c.tif").symlink_to(tmp_path / "in" / "c.tif")
    return tmp_path


def test_recent_scenes_less_the_fixed_set(places):
    names = link_training_scenes(scenes(str(places / "in")), places / "fixed", places / "work")
    assert names == ["fixed/c.tif"]
    linked = sorted(
        str(path.relative_to(places / "work")) for path in (places / "work").rglob("*.tif")
    )
    assert linked == ["fixed/c.tif", "recent/a.tif", "recent/day/b.tif"]
    write(places / "in" / "later.tif", texture(1, 40, 40).astype(np.uint16))
    assert (
        link_training_scenes(scenes(str(places / "in")), places / "fixed", places / "work") == names
    )
    assert not (places / "work" / "recent" / "later.tif").exists()


def test_nothing_recent(places):
    with pytest.raises(TrainingError, match="no recent scene"):
        link_training_scenes(
            scenes(str(places / "in" / "c.tif")), places / "fixed", places / "work"
        )


def test_the_config_of_a_renewal(places):
    base = training_config("res-cae")
    config = retraining_config(base, "res-cae", "res-cae", ["fixed/c.tif"], 30)
    assert isinstance(config, TrainConfig)
    assert (config.start, config.cycles, config.validation, config.validate_every) == (
        "res-cae",
        [30],
        ["fixed/c.tif"],
        30,
    )
    assert config.network == base.network
    folder = places / "work"
    link_training_scenes(scenes(str(places / "in")), places / "fixed", folder)
    assert {
        path.name
        for group in config.groups
        for pattern in group.files
        for path in folder.glob(pattern)
    } == {"a.tif", "b.tif"}
    with pytest.raises(TrainingError, match=r"missing.toml"):
        training_config("missing.toml")
