import numpy as np
import pytest
import torch

import geoae
from geoae.models.folder import load
from tests.support.rasters import noise, read, texture, write

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]


def batch(samples: int, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    pixels = (
        texture(samples, side, side)[:, None] / 1000
        - 1
        + rng.normal(0, 0.1, (samples, 1, side, side))
    ).astype(np.float32)
    return pixels, np.full((samples, 1), 0.1, np.float32)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 5e-3)])
def test_the_gpu_agrees_with_the_cpu(precision, tolerance):
    pixels, sigma = batch(5)
    on_cpu = load("res-cae", device="cpu", precision="fp32")(pixels, sigma)
    on_gpu = load("res-cae", device="cuda", precision=precision, batch_size=2)(pixels, sigma)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=tolerance)


def test_a_batch_too_large_is_halved(monkeypatch):
    restorer = load("res-cae", device="cuda", batch_size=8)
    forward, sizes = restorer._forward, []

    def scarce(pixels: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError
        return forward(pixels, sigma)

    monkeypatch.setattr(restorer, "_forward", scarce)
    pixels, sigma = batch(8)
    assert restorer(pixels, sigma).shape == pixels.shape
    assert sizes == [8, 4, 2, 2, 2, 2]


def test_a_scene_is_restored_on_the_gpu(tmp_path):
    clean = texture(4, 700, 600)
    source = write(tmp_path / "in.tif", (clean + noise(clean.shape, 30)).astype(np.uint16))
    geoae.restore(source, tmp_path / "gpu.tif", device="cuda", precision="fp32")
    geoae.restore(source, tmp_path / "cpu.tif", device="cpu", precision="fp32")
    assert (
        np.abs(
            read(tmp_path / "gpu.tif").astype(int) - read(tmp_path / "cpu.tif").astype(int)
        ).max()
        <= 1
    )
