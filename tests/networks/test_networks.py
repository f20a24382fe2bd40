"""What every network in ARCHITECTURES promises, whoever wrote it."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from geoae.networks import ARCHITECTURES, JointCAE, NAFNet, ResCAE, SkipCAE
from geoae.networks.halo import measure_field, measure_halo
from geoae.networks.layers import ACTIVATIONS, UPSAMPLINGS
from tests.support.doubles import randomised
from tests.support.networks import level, noisy

# Those that draw the image, as the article's do, and cannot draw one before they have learnt to.
DRAWING = {"cae", "variational_cae"}


@pytest.fixture(params=sorted(ARCHITECTURES))
def network(request):
    torch.manual_seed(0)
    return randomised(ARCHITECTURES[request.param]())


@pytest.mark.parametrize(("batch", "rows", "cols"), [(1, 1, 1), (2, 3, 1), (1, 5, 7), (3, 2, 9)])
def test_shape_stays_for_any_multiple(network, batch, rows, cols):
    pixels = noisy(network, rows * network.multiple, cols * network.multiple, batch)
    with torch.inference_mode():
        residual = network(pixels, level(network, batch))
    assert residual.shape == pixels.shape
    assert residual.dtype == torch.float32
    assert residual.abs().mean() > 1e-3


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - DRAWING))
def test_a_fresh_network_finds_no_noise(name):
    network = ARCHITECTURES[name]().eval()
    with torch.inference_mode():
        assert not network(noisy(network, 32, 32), level(network)).any()


def test_gradients_reach_every_parameter(network):
    pixels = noisy(network, 64, 64)
    network.train()
    (
        network(pixels, level(network))
        * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(1))
    ).sum().backward()
    dead = [
        name
        for name, value in network.named_parameters()
        if value.grad is None or not value.grad.abs().max() > 0
    ]
    assert not dead


def test_safetensors_round_trip(network, tmp_path):
    pixels, sigma = noisy(network, 32, 48), level(network)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    twin = type(network)().eval()
    twin.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    with torch.inference_mode():
        assert torch.equal(twin(pixels, sigma), network(pixels, sigma))


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_without_noise_a_network_finds_exactly_none(name):
    network = randomised(ARCHITECTURES[name](channels=2))
    sigma = level(network)
    sigma[:, 0] = 0
    with torch.inference_mode():
        residual = network(noisy(network, 32, 32), sigma)
    assert not residual[:, 0].any()
    assert residual[:, 1:].any()


def test_a_map_of_one_level_is_that_level(network):
    pixels = noisy(network, 32, 40)
    with torch.inference_mode():
        single = network(pixels, level(network))
        mapped = network(pixels, level(network).expand_as(pixels).contiguous())
    torch.testing.assert_close(mapped, single, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_a_pixel_changed_beyond_the_field_moves_nothing(network):
    """For every phase of the pixel on the network's grid; in float64, so that nothing hides."""
    network = network.double()
    field, multiple = network.field, network.multiple
    side = -(-(2 * field + 3 * multiple) // multiple) * multiple
    pixels, sigma = noisy(network, side, side).double(), level(network).double()
    before = network(pixels, sigma)
    for phase in range(multiple):
        row, col = side // 2 + phase, side // 2 - phase
        changed = pixels.clone()
        changed[..., row, col] += 100
        moved = (network(changed, sigma) - before).abs().amax(dim=(0, 1))
        rows, cols = (
            (torch.arange(side) - row).abs()[:, None],
            (torch.arange(side) - col).abs()[None],
        )
        beyond = torch.maximum(rows, cols) > field
        assert beyond.any()
        assert moved[beyond].max() < 1e-9
        assert moved[row, col] > 1e-3


def test_the_stated_field_covers_the_measured_one(network):
    assert measure_field(network, network.channels, network.multiple) <= network.field


@pytest.mark.slow
def test_measured_halo_is_within_the_field(network):
    assert 0 < measure_halo(network, network.channels, network.multiple) <= network.field


@torch.inference_mode()
def test_shifted_input_gives_shifted_output(network):
    step, field = network.multiple, network.field
    side = -(-(2 * field + 6 * step) // step) * step
    pixels, sigma = noisy(network, side + step, side + step), level(network)
    one, other = (
        network(pixels[..., :-step, :-step], sigma),
        network(pixels[..., step:, step:], sigma),
    )
    inner = slice(field + step, side - field)
    shifted = slice(inner.start - step, inner.stop - step)
    torch.testing.assert_close(
        other[..., shifted, shifted], one[..., inner, inner], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    "network",
    [
        *(
            SkipCAE(widths=(4, 6, 8), upsampling=name, image=image)
            for name in UPSAMPLINGS
            for image in (False, True)
        ),
        SkipCAE(widths=(4, 6, 8), levels=9),
        *(ResCAE(widths=(4, 6, 8), upsampling=name) for name in UPSAMPLINGS),
        *(ResCAE(widths=[4] * depth, blocks=[1] * (2 * depth - 1)) for depth in (1, 2, 4)),
        *(ResCAE(widths=(4, 6), blocks=(0, 1, 2), activation=name) for name in ACTIVATIONS),
        ResCAE(widths=(4, 6, 8), levels=9, pointwise=True),
        *(JointCAE(2, widths=[4] * depth, blocks=[1] * (2 * depth - 1)) for depth in (1, 2)),
        *(NAFNet(widths=[4] * depth, blocks=[1] * (2 * depth - 1)) for depth in (1, 2)),
    ],
    ids=repr,
)
def test_every_variant_keeps_shape_and_field(network):
    network = randomised(network)
    pixels = noisy(network, 4 * network.multiple, 3 * network.multiple)
    with torch.inference_mode():
        assert network(pixels, level(network)).shape == pixels.shape
    assert 0 < measure_field(network, network.channels, network.multiple) <= network.field
