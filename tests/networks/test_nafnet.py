import pytest
import torch

from geoae.networks.nafnet import ChannelNorm, NAFBlock, NAFNet


def test_blocks_that_do_not_match_the_widths_are_refused():
    with pytest.raises(ValueError, match="2 widths need 3"):
        NAFNet(widths=(4, 8), blocks=(1, 1))


def features(width: int = 6) -> torch.Tensor:
    return torch.randn((2, width, 5, 7), generator=torch.Generator().manual_seed(1))


def test_a_fresh_block_changes_nothing():
    x = features()
    assert torch.equal(NAFBlock(6)(x), x)


def test_each_pixel_is_normalised_by_itself():
    x, norm = features() * 9 + 4, ChannelNorm(6)
    found = norm(x)
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(2, 5, 7), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.std(dim=1, correction=0), torch.ones(2, 5, 7))
    changed = x.clone()
    changed[:, :, 2, 3] += torch.arange(6.0)[None]
    moved = (norm(changed) - found).abs().amax(dim=(0, 1)) > 0
    assert moved.nonzero().tolist() == [[2, 3]]
