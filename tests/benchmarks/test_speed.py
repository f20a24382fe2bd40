import torch

from geoae.models.folder import load
from tests.benchmarks.scenes import BANDS
from tests.benchmarks.speed import PerBand, forward_seconds


def test_the_floor_runs_the_shipped_network_over_every_pixel():
    restorer = load("res-cae", device="cpu", precision="fp32")
    passes = []
    forward = restorer._forward

    def count(pixels: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
        passes.append(pixels.numel())
        return forward(pixels, *told)

    restorer._forward = count  # type: ignore[method-assign]
    assert forward_seconds(restorer, 64, 2, 3 * 2 * BANDS * 64 * 64) > 0
    # One call before the clock runs.
    assert sum(passes) == (1 + 3) * 2 * BANDS * 64 * 64


def test_peers_get_the_shipped_network():
    network = PerBand(load("res-cae", device="cpu", precision="fp32"))
    pixels = torch.rand((1, BANDS, 64, 64), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        restored = torch.jit.trace(network, torch.zeros_like(pixels))(pixels)
    assert restored.shape == pixels.shape
    assert 0 < (restored - pixels).abs().mean() < 1
