import pytest
import torch

from geoae.networks import ResCAE, res_cae
from geoae.networks.halo import measure_field
from geoae.networks.layers import by_rows
from geoae.networks.res_cae import adapt
from tests.support.doubles import randomised
from tests.support.networks import level, noisy, random_shapes


@pytest.mark.parametrize(
    "sizes",
    [
        {"widths": (8,), "blocks": (2,)},
        {"widths": (8, 16), "blocks": (2, 1, 0), "upsampling": "nearest"},
        {"widths": (8, 16), "blocks": (0, 1, 2), "upsampling": "nearest"},
        {"widths": (8, 16, 16, 16), "blocks": (0, 1, 2, 1, 0, 3, 1)},
        {"widths": (8, 16), "blocks": (2, 1, 0), "levels": 9},
        {"widths": (8, 16), "blocks": (2, 1, 0), "pointwise": True},
    ],
)
def test_rows_in_ranges_are_those_of_the_whole(sizes, monkeypatch):
    network = randomised(ResCAE(**sizes))
    pixels = noisy(network, 208, 48)
    with torch.inference_mode():
        whole = network(pixels, level(network))
        monkeypatch.setattr(res_cae, "ROWS", 16)
        assert torch.allclose(network(pixels, level(network)), whole, atol=1e-5)


def test_blocks_that_do_not_match_the_widths_are_refused():
    with pytest.raises(ValueError, match="2 widths need 3"):
        ResCAE(widths=(4, 8), blocks=(1, 1))


def test_training_computes_whole_levels(monkeypatch):
    """Gradients keep every activation anyway, so ranges would only cost time."""
    monkeypatch.setattr(res_cae, "ROWS", 8)
    asked = []
    monkeypatch.setattr(
        res_cae,
        "by_rows",
        lambda compute, height, reach, at_once: (
            asked.append(at_once >= height) or by_rows(compute, height, reach, at_once)
        ),
    )
    network = ResCAE(widths=(4, 8), blocks=(1, 1, 1))
    pixels = noisy(network, 64, 16)
    network(pixels, level(network))
    with torch.inference_mode():
        network(pixels, level(network))
    assert asked == [True, True, False, False]


SMALL = {"widths": (4, 8), "blocks": (1, 1, 1)}


@pytest.mark.parametrize("channels", [1, 2])
def test_weights_with_more_levels_compute_the_same_for_white_noise(channels):
    """And another residual for noise of another spectrum, or of a larger sum of levels."""
    old = randomised(ResCAE(channels, **SMALL))
    new = ResCAE(channels, **SMALL, levels=9).eval()
    new.load_state_dict(adapt(old.state_dict(), new))
    pixels, sigma = noisy(old, 32, 40, batch=2), level(old, batch=2)
    sigma[0] *= 2
    with torch.inference_mode():
        before = old(pixels, sigma)
        torch.testing.assert_close(new(pixels, sigma), before, rtol=0, atol=1e-6)
        ones = torch.ones(2, channels, 9)
        torch.testing.assert_close(new(pixels, sigma, ones), before, rtol=0, atol=1e-6)
        assert not torch.allclose(new(pixels, sigma, 2 * ones), before, rtol=0, atol=1e-4)


def test_each_component_and_sample_has_its_own_spectrum():
    network = randomised(ResCAE(2, **SMALL, levels=9))
    pixels, sigma = noisy(network, 32, 32, batch=2), level(network, batch=2)
    shapes = torch.from_numpy(random_shapes(2, 2))
    with torch.inference_mode():
        together = network(pixels, sigma, shapes)
        for sample in range(2):
            one = slice(sample, sample + 1)
            alone = network(pixels[one], sigma[one], shapes[one])
            torch.testing.assert_close(alone, together[one], rtol=0, atol=1e-6)
        for place in range(9):
            for component in range(2):
                changed = shapes.clone()
                changed[0, component, place] += 1
                moved = (network(pixels, sigma, changed) - together).abs().amax(dim=(1, 2, 3))
                assert moved[0] > 1e-5
                assert moved[1] == 0


def test_a_map_of_one_level_is_that_level_for_every_spectrum():
    network = randomised(ResCAE(2, **SMALL, levels=9))
    pixels, sigma, shapes = noisy(network, 32, 40), level(network), random_shapes(1, 2)
    mapped = sigma.expand_as(pixels).contiguous()
    with torch.inference_mode():
        found = [network(pixels, told, torch.from_numpy(shapes)) for told in (sigma, mapped)]
    torch.testing.assert_close(*found, rtol=0, atol=1e-6)


def test_one_level_ignores_the_spectrum():
    network = randomised(ResCAE(**SMALL))
    pixels, sigma = noisy(network, 32, 32), level(network)
    with torch.inference_mode():
        assert torch.equal(
            network(pixels, sigma, torch.from_numpy(random_shapes(1, 1))), network(pixels, sigma)
        )


@torch.inference_mode()
def test_pointwise_weights_compute_the_same_on_flat_ground_and_see_less_far():
    old = randomised(ResCAE(**SMALL))
    new = ResCAE(**SMALL, pointwise=True).eval()
    new.load_state_dict(adapt(old.state_dict(), new))
    assert new.field == old.field - new.multiple
    assert measure_field(new, 1, new.multiple) <= new.field < measure_field(old, 1, old.multiple)
    flat, sigma = torch.full((1, 1, 64, 64), 0.3), level(old)
    inner = (..., slice(28, 36), slice(28, 36))
    torch.testing.assert_close(new(flat, sigma)[inner], old(flat, sigma)[inner], rtol=0, atol=1e-5)
    pixels = noisy(old, 32, 32)
    assert not torch.allclose(new(pixels, sigma), old(pixels, sigma), atol=1e-5)


def test_the_same_network_takes_its_weights_as_they_are():
    network = randomised(ResCAE(**SMALL, levels=9, pointwise=True))
    adapted = adapt(network.state_dict(), network)
    assert all(torch.equal(adapted[key], value) for key, value in network.state_dict().items())
