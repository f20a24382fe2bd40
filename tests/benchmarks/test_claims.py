"""The configs of the claims' page, without training any."""

import tomllib

import pytest

from geoae.training.config import TrainConfig
from geoae.training.denoiser import Denoiser
from tests.benchmarks.claims.run import HERE, runs

TOLD = tomllib.loads((HERE / "claims.toml").read_text())


@pytest.mark.parametrize(
    ("name", "config"), [(name, config) for _, name, config in runs(TOLD["contenders"])]
)
def test_every_contender_can_be_trained(name, config):
    settings = TrainConfig.model_validate(config)
    assert settings.name == name
    assert Denoiser(settings).field > 0


def test_every_claim_has_contenders_and_a_verdict():
    named = {contender for claim in TOLD["claims"] for contender in claim["contenders"]}
    assert named == set(TOLD["contenders"])
    assert all(len(claim["verdict"]) > 20 for claim in TOLD["claims"])
