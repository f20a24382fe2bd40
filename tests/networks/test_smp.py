import pytest
import torch

from geoae.networks import SMP
from tests.support.networks import level, noisy


@pytest.mark.parametrize("decoder", ["linknet", "unetplusplus"])
def test_other_decoders_serve_too(decoder):
    network = SMP(channels=3, decoder=decoder, depth=2)
    pixels = noisy(network, 32, 48)
    with torch.inference_mode():
        assert network.eval()(pixels, level(network)).shape == pixels.shape
    assert network.multiple == 4


def test_a_network_that_pools_over_the_whole_tile_is_refused():
    with pytest.raises(ValueError, match="no finite field"):
        _ = SMP(decoder="deeplabv3").field
