"""The configs of the claims' page, without training any."""

import pytest

from geoae.training.config import TrainConfig
from geoae.training.denoiser import Denoiser
from tests.benchmarks.claims.run import Training

TRAININGS = [Training.read(long) for long in (False, True)]


@pytest.mark.parametrize(
    ("name", "config"),
    [(name, config) for training in TRAININGS for _, name, config in training.runs()],
)
def test_every_contender_can_be_trained(name, config):
    settings = TrainConfig.model_validate(config)
    assert settings.name == name
    assert Denoiser(settings).field > 0


@pytest.mark.parametrize("told", [training.told for training in TRAININGS])
def test_every_claim_has_contenders_and_a_verdict(told):
    named = {contender for claim in told["claims"] for contender in claim["contenders"]}
    assert named == set(told["contenders"])
    assert all(len(claim["verdict"]) > 20 for claim in told["claims"])
