import torch

from geoae.networks import ARCHITECTURES
from geoae.networks.variational_cae import VariationalCAE
from tests.support.doubles import randomised
from tests.support.networks import level, noisy


def test_it_is_unsure_where_it_was_told_less():
    network = randomised(ARCHITECTURES["variational_cae"]())
    pixels = noisy(network, 32, 32)
    with torch.inference_mode():
        # What the encoder knows exactly, and what it does not know at all.
        latent = network.moments.out_channels // 2
        network.moments.weight[latent:] = 0
        spreads = []
        for log_variance in (-12.0, 0.0, 4.0):
            network.moments.bias[latent:] = log_variance
            generator = torch.Generator().manual_seed(0)
            spreads.append(float(network.spread(pixels, level(network), 8, generator).mean()))
        assert 0 < 10 * spreads[0] < spreads[1] < spreads[2]
    network.train()
    network(pixels, level(network))
    assert network.divergence > 0


def test_it_draws_in_training_and_is_certain_in_use():
    network = randomised(VariationalCAE(widths=(4, 6), latent=4))
    pixels, sigma = noisy(network, 16, 16), level(network)
    with torch.inference_mode():
        assert torch.equal(network(pixels, sigma), network(pixels, sigma))
        assert network.divergence == 0, "kept for the loss, in training only"
        network.train()
        assert not torch.equal(network(pixels, sigma), network(pixels, sigma))


def test_divergence_is_zero_for_a_unit_gaussian():
    network = VariationalCAE(widths=(4, 6), latent=4).train()
    for parameter in network.moments.parameters():
        torch.nn.init.zeros_(parameter)
    network(noisy(network, 16, 16), level(network))
    assert network.divergence == 0
    torch.nn.init.constant_(network.moments.bias[:4], 2.0)
    network(noisy(network, 16, 16), level(network))
    # 0.5 mean(mean**2) of four latents, Kingma and Welling's appendix B
    assert float(network.divergence.detach()) == 2.0
