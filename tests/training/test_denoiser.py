import itertools
import math

import pytest
import torch

from geoae.errors import TrainingError
from geoae.training.denoiser import Denoiser
from tests.training.test_fit import config


def sample() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    clean = torch.rand((2, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    return clean + 0.1, clean, torch.full_like(clean, 0.1), torch.ones(2, 1, 9)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_each_cycle_warms_up_and_falls_to_zero(schedule):
    module = Denoiser(config(cycles=[100, 50], warmup=10, schedule=schedule, learning_rate=1.0))
    rate = module.configure_optimizers()["lr_scheduler"]["scheduler"].lr_lambdas[0]
    rates = [rate(step) for step in range(151)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates[10:30]) > 0.8
    assert rates[99] < 0.03
    assert rates[100] == pytest.approx(0.1)
    assert rates[149] < 0.05
    assert rates[150] == 0
    falling = rates[10:100]
    assert all(later <= sooner for sooner, later in itertools.pairwise(falling))


def test_a_loss_that_diverges_is_one_line():
    module = Denoiser(config())
    for first, later in ((0.5, math.nan), (0.5, math.inf), (0.5, 501.0)):
        module.first = math.nan
        module._check(first)
        module._check(2 * first)
        with pytest.raises(TrainingError, match="lower learning_rate") as caught:
            module._check(later)
        assert "\n" not in str(caught.value)


def test_a_variational_network_pays_for_its_divergence():
    losses = []
    for beta in (0.0, 10.0):
        torch.manual_seed(0)
        module = Denoiser(
            config(
                architecture="variational_cae",
                network={"widths": [4, 8], "latent": 4, "beta": beta},
            )
        )
        module.log = lambda *args, **kwargs: None
        losses.append(float(module.training_step(sample(), 0)))
    assert losses[1] > losses[0] + 1e-3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": {"width": 3}}, "width"),
        ({"network": {"widths": [4, 8, 8], "blocks": [1]}}, "3 widths need 5"),
        ({"network": {"activation": "softsign"}}, "softsign"),
        ({"network": {"widths": [-4, 8, 8]}}, "negative"),
        ({"architecture": "variational_cae", "network": {"widths": []}}, "variational_cae"),
        ({"architecture": "smp", "network": {"decoder": "deeplabv3"}}, "no finite field"),
    ],
)
def test_a_network_that_cannot_be_is_said_before_training(changes, words):
    with pytest.raises(TrainingError, match=words):
        Denoiser(config(**changes))


def test_a_network_that_takes_a_spectrum_learns_with_it():
    losses = {}
    for levels in (1, 9):
        torch.manual_seed(0)
        network = {"widths": [4, 8], "blocks": [1, 1, 1], "levels": levels}
        module = Denoiser(config(network=network))
        module.log = lambda *args, **kwargs: None
        torch.nn.init.normal_(module.network.head.weight)
        noisy, clean, sigma, shape = sample()
        losses[levels] = [
            float(module.training_step((noisy, clean, sigma, told), 0))
            for told in (shape, 2 * shape)
        ]
    assert losses[1][0] == losses[1][1]
    assert losses[9][0] != losses[9][1]


def test_weights_of_a_loss_that_is_no_number_are_not_saved():
    module = Denoiser(config())
    module.log = lambda *args, **kwargs: None
    module.training_step(sample(), 0)
    noisy, *told = sample()
    module.training_step((noisy * math.nan, *told), 1)
    with pytest.raises(TrainingError, match="lower learning_rate"):
        module.on_save_checkpoint({})


def test_a_checkpoint_before_the_first_step_is_no_divergence():
    Denoiser(config()).on_save_checkpoint({})
