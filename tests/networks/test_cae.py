import pytest
import torch

from geoae.networks.cae import CAE
from geoae.networks.halo import measure_field
from geoae.networks.layers import ACTIVATIONS, apply_gate
from tests.support.doubles import randomised
from tests.support.networks import level, noisy


def test_it_draws_the_image():
    """A head that draws nothing leaves the whole image to the residual."""
    network = CAE(widths=(4, 6))
    for parameter in network.head.parameters():
        torch.nn.init.zeros_(parameter)
    pixels, sigma = noisy(network, 16, 24), level(network)
    with torch.inference_mode():
        assert torch.equal(network(pixels, sigma), apply_gate(pixels, sigma))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_depth_keeps_shape_and_field(depth, activation):
    network = randomised(CAE(channels=2, widths=(4,) * depth, activation=activation))
    assert network.multiple == 2**depth
    pixels = noisy(network, 3 * network.multiple, network.multiple)
    with torch.inference_mode():
        assert network(pixels, level(network)).shape == pixels.shape
    assert 0 < measure_field(network, 2, network.multiple) <= network.field
