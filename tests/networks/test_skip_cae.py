import torch

from geoae.networks.layers import apply_gate
from geoae.networks.skip_cae import SkipCAE
from tests.support.doubles import randomised
from tests.support.networks import level, noisy, random_shapes


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


def test_with_nine_levels_the_spectrum_counts_and_white_is_the_default():
    network = randomised(SkipCAE(widths=(4, 6), levels=9))
    pixels, sigma = noisy(network, 16, 24), level(network)
    shape = torch.from_numpy(random_shapes(1, 1))
    with torch.inference_mode():
        plain = network(pixels, sigma)
        assert torch.equal(network(pixels, sigma, torch.ones_like(shape)), plain)
        assert not torch.equal(network(pixels, sigma, shape), plain)


def test_with_one_level_the_spectrum_is_ignored():
    network = randomised(SkipCAE(widths=(4, 6)))
    pixels, sigma = noisy(network, 16, 24), level(network)
    with torch.inference_mode():
        told = network(pixels, sigma, torch.from_numpy(random_shapes(1, 1)))
        assert torch.equal(told, network(pixels, sigma))
