import pytest
import torch

from geoae.networks import ARCHITECTURES, ResCAE
from geoae.networks.prediction import predict, takes_spectrum
from tests.support.doubles import randomised
from tests.support.networks import level, noisy, random_shapes


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_a_network_that_takes_no_spectrum_is_not_told_it(name):
    network = randomised(ARCHITECTURES[name]())
    pixels, sigma = noisy(network, 32, 32), level(network)
    assert not takes_spectrum(network)
    with torch.inference_mode():
        found = predict(network, pixels, sigma, torch.from_numpy(random_shapes(1, 1)))
        assert torch.equal(found, network(pixels, sigma))


def test_a_network_that_takes_a_spectrum_is_told_it():
    network = randomised(ResCAE(widths=(4, 8), blocks=(1, 1, 1), levels=9))
    pixels, sigma = noisy(network, 32, 32), level(network)
    shape = torch.from_numpy(random_shapes(1, 1))
    assert takes_spectrum(network)
    with torch.inference_mode():
        assert torch.equal(predict(network, pixels, sigma, shape), network(pixels, sigma, shape))
        white = predict(network, pixels, sigma, None)
        assert not torch.allclose(predict(network, pixels, sigma, shape), white)
