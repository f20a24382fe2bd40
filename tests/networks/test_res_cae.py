import pytest
import torch

from geoae.networks import ResCAE, res_cae
from geoae.networks.layers import by_rows
from tests.support.doubles import randomised
from tests.support.networks import level, noisy


@pytest.mark.parametrize(
    "sizes",
    [
        {"widths": (8,), "blocks": (2,)},
        {"widths": (8, 16), "blocks": (2, 1, 0), "upsampling": "nearest"},
        {"widths": (8, 16), "blocks": (0, 1, 2), "upsampling": "nearest"},
        {"widths": (8, 16, 16, 16), "blocks": (0, 1, 2, 1, 0, 3, 1)},
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
