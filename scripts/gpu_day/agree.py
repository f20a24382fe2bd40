"""The step ``agree``: GPU against CPU, two processes on one GPU, and too little memory."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray

import geoae
from geoae.models.folder import load
from geoae.models.torch_restorer import TorchRestorer
from scripts.gpu_day.day import (
    ROOT,
    Day,
    Task,
    environment,
    name_restoration,
    read_figures,
    run_geoae,
)
from scripts.gpu_day.device import empty, peak_mib
from scripts.gpu_day.network import MODEL
from scripts.gpu_day.throughput import make_scene

__all__ = ["list_tasks"]

SAMPLES, BANDS = 5, 4
# Model units in which fp32 may differ from the CPU.
TOLERANCE = 1e-4
# Samples of a batch that must not fit, and the most of which a stand-in for a GPU has memory for.
GREEDY, FIT = 8, 2
# Noise of the picture, of the standard deviation of the first band.
NOISE = 0.3
Array = NDArray[Any]


def list_tasks(day: Day) -> list[Task]:
    """List the tasks."""
    return [
        Task("batch", 40, lambda: compare_batch(day)),
        Task("out of memory", 30, lambda: run_out_of_memory(day)),
        Task("scene", 60, lambda: compare_scene(day)),
        Task("two processes", 60, lambda: compare_processes(day)),
        Task("picture", 20, lambda: draw(day)),
    ]


def make_samples(day: Day, count: int) -> tuple[Array, Array]:
    """Noise over waves in model units, and its level."""
    side = day.sizes.tile
    rng = np.random.default_rng(0)
    channels = load(MODEL, device="cpu").channels
    rows, cols = np.mgrid[:side, :side] / 20
    ground = np.sin(rows + 0.7 * cols) + np.cos(1.3 * cols)
    noise = rng.normal(0, 0.1, (count, channels, side, side))
    return (ground + noise).astype(np.float32), np.full((count, channels), 0.1, np.float32)


def compare_batch(day: Day) -> dict[str, Any]:
    """Largest difference of residuals from those of the CPU at fp32, in model units."""
    pixels, sigma = make_samples(day, SAMPLES)
    expected = load(MODEL, device="cpu", precision="fp32")(pixels, sigma)

    def differ(precision: str) -> float:
        restorer = load(MODEL, device=day.device, precision=precision, batch_size=2)
        return float(np.abs(restorer(pixels, sigma) - expected).max())

    found = differ("fp32")
    return {
        "fp32": found,
        "bf16": differ("bf16"),
        "tolerance": TOLERANCE,
        "agrees": found <= TOLERANCE,
    }


@contextmanager
def limit_memory(restorer: TorchRestorer, samples: int, mib: float) -> Iterator[None]:
    """Leave the device memory for fewer samples than a batch.

    Args:
        restorer: what will run out of memory.
        samples: most samples of a pass; a CPU only says that it has no memory for more.
        mib: memory that these took on a GPU, which may take a tenth more.

    """
    if restorer.device.type == "cuda":
        total = torch.cuda.get_device_properties(restorer.device).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(1.0, 1.1 * mib * 2**20 / total))
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return
    forward = restorer._forward

    def scarce(pixels: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
        if len(pixels) > samples:
            raise torch.OutOfMemoryError("out of memory")
        return forward(pixels, *told)

    restorer._forward = scarce  # type: ignore[assignment,method-assign]
    yield


def run_out_of_memory(day: Day) -> dict[str, Any]:
    """Give a batch that does not fit, and see it halved with the same result."""
    pixels, sigma = make_samples(day, GREEDY)
    empty(torch.device(day.device))
    small = load(MODEL, device=day.device, precision="fp32", batch_size=FIT)
    expected, reserved = small(pixels, sigma), peak_mib(small.device)
    restorer = load(MODEL, device=day.device, precision="fp32", batch_size=GREEDY)
    with limit_memory(restorer, FIT, reserved):
        found = restorer(pixels, sigma)
    ended = restorer.batch(*pixels.shape[2:])
    difference = float(np.abs(found - expected).max())
    return {
        "batch before": GREEDY,
        "batch after": ended,
        "halved": ended < GREEDY,
        "difference": difference,
        "agrees": difference <= TOLERANCE,
    }


def _scene(day: Day) -> Path:
    folder = day.work / "agree"
    folder.mkdir(exist_ok=True)
    return make_scene(folder / "scene.tif", day.sizes.crop, BANDS, torch.device("cpu"))


def _read(path: Path) -> Array:
    with rasterio.open(path) as dataset:
        return dataset.read()


def _restore(day: Day, device: str) -> Array:
    """Restore the scene on a device, in this process."""
    scene = _scene(day)
    target = scene.with_name("alone.tif")
    geoae.restore(
        str(scene), str(target), device=device, precision="fp32", overwrite=True, fresh=True
    )
    return _read(target)


def compare_scene(day: Day) -> dict[str, Any]:
    """Restore a scene on the device and on the CPU; the largest difference in DN."""
    here, cpu = (_restore(day, name).astype(int) for name in (day.device, "cpu"))
    difference = np.abs(here - cpu)
    return {
        "largest DN": int(difference.max()),
        "pixels that differ %": 100 * float(np.mean(difference > 0)),
        "agrees": bool(difference.max() <= 1),
    }


def compare_processes(day: Day) -> dict[str, Any]:
    """Restore a scene in two processes on the device at once; both must give the same pixels."""
    scene = _scene(day)
    targets = [scene.with_name(f"process-{number}.tif") for number in range(2)]
    running = []
    for target in targets:
        told = name_restoration(day, scene, target, "fp32")
        command = [sys.executable, "-m", "geoae", *told, "--fresh", "--overwrite"]
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment(day)))
    codes = [process.wait(timeout=max(day.left, 1)) for process in running]
    if any(codes):
        raise RuntimeError(f"the processes ended with {codes}")
    one, other = map(_read, targets)
    alone = _restore(day, day.device)
    same = bool((one == other).all())
    return {"same pixels": same, "as one process alone": bool((one == alone).all())}


def draw(day: Day) -> dict[str, Any]:
    """Draw a scene that was kept out of training before and after, with three times the change."""
    kept = day.work / "scenes" / _kept_out(day)
    noisy, restored = (day.work / "agree" / name for name in ("noisy.tif", "restored.tif"))
    recipe = day.work / "noise.toml"
    sigma = NOISE * float(_read(kept)[0].std())
    recipe.write_text(f'[[degradations]]\nkind = "gaussian"\nsigma = {sigma}\n')
    run_geoae("degrade", str(kept), str(recipe), "-o", str(noisy), "--overwrite")
    geoae.restore(str(noisy), str(restored), device=day.device, overwrite=True)
    picture = day.out / "restored.png"
    compared = ("--compare", str(restored), "-o", str(picture), "--overwrite")
    run_geoae("preview", str(noisy), *compared)
    return {"picture": picture.name, "scene": kept.name}


def _kept_out(day: Day) -> str:
    """Name of the first scene of several bands that is kept out, or of the first."""
    names: list[str] = read_figures(day.out)["prepare"]["scenes"]["kept out"]
    for name in names:
        with rasterio.open(day.work / "scenes" / name) as dataset:
            if dataset.count >= 3:
                return name
    return names[0]
