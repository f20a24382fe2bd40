import pytest

from geoae.errors import TrainingError
from geoae.resources import shipped
from geoae.training.config import TrainConfig

LEAST = 'name = "a"\ndescription = "b"\ncycles = [10]\nvalidation = []\n[[groups]]\nfiles = ["*.tif"]\n'


def test_the_config_of_a_shipped_model_is_read():
    config = TrainConfig.read(shipped("models") / "res-cae" / "train.toml")
    assert config.name == "res-cae"
    assert config.leaves.count > 0
    assert set(config.validation).isdisjoint(config.exclude)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz = 3\n" + LEAST, "stepz"),
        (LEAST.replace("10", "-1"), "cycles.0"),
        ("chip = 'x'\n" + LEAST, "chip"),
        ("=", "TOML"),
    ],
)
def test_a_wrong_config_is_one_line_that_names_the_key(tmp_path, text, words):
    path = tmp_path / "train.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=words) as caught:
        TrainConfig.read(path)
    assert "\n" not in str(caught.value).strip()


def test_a_config_that_is_absent_is_said(tmp_path):
    with pytest.raises(TrainingError, match="cannot be read"):
        TrainConfig.read(tmp_path / "absent.toml")
