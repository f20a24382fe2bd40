import os
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from geoae.errors import TrainingError
from geoae.resources import shipped
from geoae.simulation import DEGRADATIONS, Gaussian
from geoae.training.config import RandomDegradation, TrainConfig

LEAST = 'name = "a"\ncycles = [10]\nvalidation = ["b.tif"]\n[[groups]]\nfiles = ["*.tif"]\n'


def test_the_config_of_a_shipped_model_is_read():
    config = TrainConfig.read(shipped("models") / "res-cae" / "train.toml")
    assert config.name == "res-cae"
    assert config.leaves.count > 0
    assert set(config.validation).isdisjoint(config.exclude)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz = 3\n" + LEAST, "stepz"),
        ("learning_rat = 3\n" + LEAST, "did you mean learning_rate"),
        ("loss = 'l3'\n" + LEAST, "not among relative, l1"),
        ("architecture = 'unet'\n" + LEAST, "not among cae"),
        (LEAST + "[[degradations]]\nkind = 'fog'\n", "fog"),
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


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"kind": "fog"}, "no degradation fog; known are gaussian"),
        ({"kind": "gaussian", "sigm": 3}, "gaussian has no sigm; did you mean sigma"),
        ({"kind": "gaussian"}, "field required"),
        ({"kind": "gaussian", "sigma": [1, 2, 3]}, "two numbers"),
        ({"kind": "gaussian", "sigma": [5, 1]}, "lower first"),
        ({"kind": "stripes", "sigma": 1, "axis": ["row", "column"]}, "two numbers"),
        ({"kind": "haze", "density": 0.1, "airlight": "x"}, "valid number"),
        ({"kind": "gaussian", "sigma": float("inf")}, "finite"),
        ({"kind": "speckle", "looks": [0, 4]}, "more than 0"),
        ({"kind": "gaussian", "sigma": 3, "probability": 2}, "probability"),
    ],
)
def test_a_wrong_degradation_is_refused_before_training(parameters, words):
    with pytest.raises(ValidationError, match=words):
        RandomDegradation.model_validate(parameters)


def test_a_pair_is_a_range_that_may_vary_by_band():
    rng = np.random.default_rng(0)
    drawn = [RandomDegradation(kind="gaussian", sigma=[10, 20]).draw(rng, 3) for _ in range(200)]
    assert all(isinstance(degrade, Gaussian) for degrade in drawn)
    values = np.concatenate([np.atleast_1d(degrade.sigma) for degrade in drawn])
    assert values.min() >= 10
    assert values.max() <= 20
    assert values.std() > 2
    assert 0.2 < np.mean([isinstance(degrade.sigma, tuple) for degrade in drawn]) < 0.4


def test_what_is_no_range_stays():
    stripes = RandomDegradation(kind="stripes", sigma=4, axis="row", detectors=16).draw(
        np.random.default_rng(0), 2
    )
    assert stripes == DEGRADATIONS["stripes"](4, 0.0, "row", 16)


def test_every_process_draws_the_same():
    """The order in which Python iterates over a set of names differs from process to process."""
    code = (
        "import numpy as np\n"
        "from geoae.training.config import RandomDegradation\n"
        "drawn = RandomDegradation(kind='correlated', sigma=[5, 60], gain=[1, 8], seed=[0, 1e9])\n"
        "rng = np.random.default_rng(0)\n"
        "print([drawn.draw(rng, 3) for _ in range(20)])\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
