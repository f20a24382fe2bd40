import torch

from geoae.networks.layers import apply_gate
from geoae.networks.skip_cae import SkipCAE
from tests.support.doubles import randomised
from tests.support.networks import level, noisy


def test_it_draws_the_noise_or_the_image():
    """Of one network's drawing, the one is the residual and the other what the residual leaves."""
    noise, image = (randomised(SkipCAE(widths=(4, 6), image=image)) for image in (False, True))
    image.load_state_dict(noise.state_dict())
    pixels, sigma = noisy(noise, 16, 24), level(noise)
    with torch.inference_mode():
        both = noise(pixels, sigma) + image(pixels, sigma)
    torch.testing.assert_close(both, apply_gate(pixels, sigma), rtol=0, atol=1e-6)


def test_skips_reach_the_decoder_past_the_bottleneck():
    network = randomised(SkipCAE(widths=(4, 6, 8)))
    pixels, sigma = noisy(network, 16, 16), level(network)
    for up in network.up:
        up.register_forward_hook(lambda module, given, result: torch.zeros_like(result))
    with torch.inference_mode():
        one, other = (network(each, sigma) for each in (pixels, pixels.flip(-1)))
    assert not torch.equal(one, other)
