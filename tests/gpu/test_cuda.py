import numpy as np
import pytest
import torch

import geoae
from geoae.models.folder import load
from geoae.training.config import RandomDegradation
from geoae.training.samples.batches import Batches
from geoae.training.samples.scene import TrainingScene
from tests.support.rasters import noise, read, texture, write

missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


# Each test also runs on the CPU, so that nothing is tried on a GPU for the first time.
@pytest.fixture(params=["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, missing])])
def device(request):
    return request.param


def batch(samples: int, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
    channels = load("res-cae", device="cpu").channels
    rng = np.random.default_rng(0)
    ground = texture(samples * channels, side, side).reshape(samples, channels, side, side)
    pixels = ground / 1000 - 1 + rng.normal(0, 0.1, ground.shape)
    return pixels.astype(np.float32), np.full((samples, channels), 0.1, np.float32)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 2e-2)])
def test_the_device_agrees_with_the_cpu(device, precision, tolerance):
    pixels, sigma = batch(5)
    expected = load("res-cae", device="cpu", precision="fp32")(pixels, sigma)
    found = load("res-cae", device=device, precision=precision, batch_size=2)(pixels, sigma)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_a_batch_too_large_is_halved(device, monkeypatch):
    restorer = load("res-cae", device=device, batch_size=8)
    forward, sizes = restorer._forward, []

    def scarce(pixels: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        if len(pixels) > 2:
            raise torch.OutOfMemoryError
        return forward(pixels, *told)

    monkeypatch.setattr(restorer, "_forward", scarce)
    pixels, sigma = batch(8)
    assert restorer(pixels, sigma).shape == pixels.shape
    assert sizes == [8, 4, 2, 2, 2, 2]


def test_a_scene_has_the_pixels_of_the_cpu(device, tmp_path):
    clean = texture(4, 700, 600)
    source = write(tmp_path / "in.tif", (clean + noise(clean.shape, 30)).astype(np.uint16))
    geoae.restore(source, tmp_path / "found.tif", device=device, precision="fp32")
    geoae.restore(source, tmp_path / "expected.tif", device="cpu", precision="fp32")
    found, expected = (read(tmp_path / f"{name}.tif") for name in ("found", "expected"))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_chips_are_drawn_on_the_device(device):
    """The same windows as on the CPU, under noise of the same level."""
    scenes = [
        TrainingScene.from_pixels(texture(bands, 200, 200), np.ones((200, 200), bool))
        for bands in (1, 5)
    ]
    drawn = [
        RandomDegradation(kind="poisson-gaussian", gain=[0, 4], sigma=0, probability=0.5),
        RandomDegradation(kind="correlated", sigma=[20, 60], kernel="random", seed=[0, 1e9]),
        RandomDegradation(kind="dead-pixels", share=0.02, probability=0.5),
    ]
    batches = Batches(scenes, [1, 1], drawn, 64, 2, 8, seed=0)
    expected = batches.draw(3)
    found = batches.to(torch.device(device)).draw(3)
    assert all(array.device.type == device for array in found)
    assert all(a.equal(b) for a, b in zip(found, batches.draw(3), strict=True)), "not repeatable"
    for one, other in zip(found[:3], expected[:3], strict=True):
        spread = [x.cpu().square().mean(dim=(2, 3)).sqrt() for x in (one, other)]
        np.testing.assert_allclose(*spread, rtol=0.15, atol=0.02)


def test_windows_on_the_device_are_those_of_the_cpu(device):
    """Of a degradation that numpy draws, all but the sign of a component is the same."""
    scene = TrainingScene.from_pixels(texture(3, 200, 200), np.ones((200, 200), bool))
    drawn = [RandomDegradation(kind="dead-pixels", share=0.05)]
    batches = Batches([scene], [1], drawn, 64, 1, 8, seed=0)
    expected, found = batches.draw(3)[1], batches.to(torch.device(device)).draw(3)[1].cpu()
    signs = torch.sign((expected * found).sum(dim=(2, 3), keepdim=True))
    np.testing.assert_allclose(found * signs, expected, atol=1e-3)
