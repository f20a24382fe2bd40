import pytest
import torch

from geoae.networks.layers import (
    ACTIVATIONS,
    FAINT,
    UPSAMPLINGS,
    ResBlock,
    apply_gate,
    by_rows,
    level_at,
    refuse_levels,
    with_level,
)
from geoae.networks.res_cae import ResCAE
from geoae.networks.skip_cae import SkipCAE


def test_a_range_of_rows_is_asked_for_with_its_reach():
    asked = []

    def compute(rows):
        asked.append(rows)
        return torch.arange(rows.start, rows.stop, dtype=torch.float32)[None, None, :, None]

    assert by_rows(compute, 10, reach=1, at_once=4).flatten().tolist() == list(range(10))
    assert asked == [slice(0, 5), slice(3, 9), slice(7, 10)]


@pytest.mark.parametrize("sigma", [0.0, FAINT, 1.0])
def test_the_gate_opens_with_the_noise(sigma):
    residual = torch.full((1, 1, 2, 2), 3.0, dtype=torch.bfloat16)
    found = apply_gate(residual, torch.full((1, 1, 1, 1), sigma))
    assert found.dtype == torch.float32
    expected = {0.0: 0.0, FAINT: 1.5, 1.0: 3 / 1.005}[sigma]
    torch.testing.assert_close(found, torch.full((1, 1, 2, 2), expected))


def test_a_map_of_levels_shrinks_by_the_mean():
    pixels = torch.zeros(1, 1, 4, 6)
    assert level_at(torch.full((1, 1, 1, 1), 0.3), pixels, 2).shape == (1, 1, 2, 3)
    grown = torch.arange(24.0).reshape(1, 1, 4, 6)
    assert torch.equal(level_at(grown, pixels), grown)
    assert level_at(grown, pixels, 2).flatten().tolist() == [3.5, 5.5, 7.5, 15.5, 17.5, 19.5]


def test_the_level_stands_beside_the_pixels():
    pixels = torch.rand(2, 3, 4, 4)
    both = with_level(pixels, torch.full((2, 3, 1, 1), 0.2))
    assert torch.equal(both[:, :3], pixels)
    assert (both[:, 3:] == torch.tensor(0.2)).all()


@pytest.mark.parametrize("name", UPSAMPLINGS)
def test_up_sampling_doubles_both_sides(name):
    assert UPSAMPLINGS[name](6, 4)(torch.rand(1, 6, 3, 5)).shape == (1, 4, 6, 10)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_block_adds_to_its_input(name):
    block, x = ResBlock(4, name), torch.rand(1, 4, 6, 6)
    given = x.clone()
    torch.nn.init.zeros_(block.conv2.weight)
    torch.nn.init.ones_(block.conv2.bias)
    assert torch.equal(block(x), given + 1)
    assert torch.equal(x, given), "the input may be a skip"


@pytest.mark.parametrize("levels", [0, 4, 10])
def test_other_numbers_of_levels_are_refused(levels):
    with pytest.raises(ValueError, match=f"levels = {levels}: give 1 or 9"):
        refuse_levels(levels)


@pytest.mark.parametrize("network", [ResCAE, SkipCAE])
def test_networks_refuse_them_too(network):
    with pytest.raises(ValueError, match="levels = 4"):
        network(levels=4)
