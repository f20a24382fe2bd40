import numpy as np
import pytest
import torch
from click.testing import CliRunner

import geoae
from geoae.cli.app import cli
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


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "float32", "float64"]
)
def test_every_type_has_the_pixels_of_the_cpu(device, tmp_path, dtype):
    """With holes, noise that grows with the signal, and more bands than a group."""
    rng = np.random.default_rng(1)
    clean = texture(6, 200, 260) / (40 if dtype.endswith("int8") else 1)
    noisy = clean + rng.normal(size=clean.shape) * np.sqrt(np.abs(clean)) * 1.5
    limits = np.iinfo(dtype) if np.dtype(dtype).kind != "f" else np.finfo(dtype)
    pixels = np.clip(noisy, max(limits.min, 1), limits.max).astype(dtype)
    pixels[:, 40:90, 100:140] = 0
    source = write(tmp_path / "in.tif", pixels, nodata=0)
    for name, flags in (("one", {}), ("eight", {"tta": True})):
        found, expected = tmp_path / f"{name}.tif", tmp_path / f"{name}-cpu.tif"
        for target, where in ((found, device), (expected, "cpu")):
            geoae.restore(source, target, device=where, precision="fp32", **flags)
        found, expected = read(found).astype(float), read(expected).astype(float)
        assert np.abs(found - expected).max() <= (1 if np.dtype(dtype).kind != "f" else 1e-2)
        assert (found != pixels).any()
        assert (found[:, 40:90, 100:140] == 0).all()


def test_a_view_is_brought_to_the_device(device):
    restorer = load("res-cae", device=device)
    view = np.broadcast_to(np.float32(3), (2, 4, 5))[:, ::-1]
    placed = restorer.place(view)
    on_host = placed.cpu().numpy() if isinstance(placed, torch.Tensor) else placed
    np.testing.assert_array_equal(on_host, view)


def test_a_scene_is_inspected_on_the_device(device, tmp_path):
    source = write(tmp_path / "in.tif", (texture(3, 120, 100)).astype(np.uint16))
    found = CliRunner().invoke(cli, ["inspect", str(source), "--device", device])
    assert found.exit_code == 0, found.output


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
