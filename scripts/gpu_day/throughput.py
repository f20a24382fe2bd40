"""The step ``throughput``: commands against GDAL's copy, and the network against the roofline."""

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
import torch

from scripts.gpu_day.day import Day, Task, name_restoration, start
from scripts.gpu_day.device import empty, peak_mib, take_rate
from scripts.gpu_day.network import count_bytes, make_forward
from scripts.gpu_day.roofline import DTYPES, measure_copies, measure_peaks
from tests.benchmarks.speed import copy_seconds

__all__ = ["list_tasks", "make_scene"]

# Pixels over which the ground changes, and standard deviation of the ground and the noise in DN.
COARSE, GROUND, NOISE, LEVEL = 32, 400.0, 20.0, 1500.0
FIELD_TILE = 128


def list_tasks(day: Day) -> list[Task]:
    """List the tasks: the roofline first, against which the others are read."""
    device, size = torch.device(day.device), day.sizes
    tasks = [Task("copies", 15, lambda: measure_copies(device, size.matrix, size.seconds))]
    for precision in DTYPES:
        peaks = partial(measure_peaks, device, precision, size.matrix, size.seconds)
        tasks.append(Task(f"peaks, {precision}", 20, peaks))
        tasks.append(Task(f"network, {precision}", 20, partial(measure_network, day, precision)))
    for bands in size.bands:
        tasks.append(Task(f"{bands} bands, GDAL's copy", 30 + 5 * bands, partial(copy, day, bands)))
        for precision in DTYPES:
            work = partial(restore, day, bands, precision)
            tasks.append(Task(f"{bands} bands, {precision}", 40 + 8 * bands, work))
    return tasks


def measure_network(day: Day, precision: str) -> dict[str, Any]:
    """Measure the network alone over tensors on the device, beside what it computes and moves."""
    device, size = torch.device(day.device), day.sizes
    batch = size.batches[len(size.batches) // 2]
    empty(device)
    forward = make_forward(device, precision, batch, size.tile)
    taken = take_rate(device, forward, size.seconds)
    pixels = forward().numel() / taken
    operations, moved = count_bytes(FIELD_TILE)
    moved *= DTYPES[precision].itemsize / 4
    return {
        "batch": batch,
        "megapixels/s": pixels / 1e6,
        "TFLOP/s": pixels * operations / 1e12,
        "GB/s, unfused layers": pixels * moved / 1e9,
        "FLOP/byte": operations / moved,
        "device MiB": peak_mib(device),
    }


def make_scene(path: Path, side: int, bands: int, device: torch.device) -> Path:
    """Write a smooth ground with noise as a COG of uint16, unless it is there.

    Args:
        path: file to write; other scenes beside it are removed, since they are large.
        side: height and width in pixels.
        bands: number of bands.
        device: where the random numbers are drawn.

    Returns:
        ``path``.

    """
    if path.exists():
        return path
    for other in path.parent.glob("*.tif"):
        other.unlink()
    generator = torch.Generator(device).manual_seed(0)
    draw = partial(torch.randn, generator=generator, device=device)
    raw = path.with_suffix(".raw.tif")
    place = rasterio.transform.from_origin(5e5, 5e6, 10, 10)
    with rasterio.open(
        raw,
        "w",
        driver="GTiff",
        dtype="uint16",
        count=bands,
        height=side,
        width=side,
        tiled=True,
        interleave="band",
        crs="EPSG:32633",
        transform=place,
    ) as dataset:
        for band in range(1, bands + 1):
            coarse = draw(1, 1, side // COARSE + 2, side // COARSE + 2)
            ground = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")[0, 0]
            pixels = LEVEL + GROUND * ground + NOISE * draw(side, side)
            dataset.write(pixels.round().clamp(1, 65535).cpu().numpy().astype(np.uint16), band)
    draft = path.with_suffix(".draft.tif")
    rasterio.shutil.copy(
        raw,
        draft,
        driver="COG",
        compress="DEFLATE",
        predictor=2,
        blocksize=512,
        num_threads="all_cpus",
        bigtiff="if_safer",
    )
    raw.unlink()
    return draft.rename(path)


def _scene(day: Day, bands: int) -> Path:
    folder = day.work / "throughput"
    folder.mkdir(exist_ok=True)
    return make_scene(
        folder / f"scene-{bands}.tif", day.sizes.side, bands, torch.device(day.device)
    )


def copy(day: Day, bands: int) -> dict[str, Any]:
    """Measure GDAL's copy of the scene to the file that geoae writes, twice."""
    scene = _scene(day, bands)
    return {"copy s": min(copy_seconds(scene) for _ in range(2)), "bytes": scene.stat().st_size}


def restore(day: Day, bands: int, precision: str) -> dict[str, Any]:
    """Measure the whole command, from the start of its process to its end.

    Returns:
        Seconds in all, before the first tile, between the first and the last, and after it; the
        share of the middle in which a forward pass ran on the device (``busy %``, by events of
        CUDA), and the share that the driver sampled; rates; memory.

    """
    scene = _scene(day, bands)
    facts, target = day.work / "facts.json", scene.with_name("out.tif")
    target.unlink(missing_ok=True)
    began = time.perf_counter()
    arguments = name_restoration(day, scene, target, precision)
    start(day, "-m", "scripts.gpu_day.measured", str(facts), *arguments)
    seconds = time.perf_counter() - began
    told = json.loads(facts.read_text())
    target.unlink()
    pixels = bands * day.sizes.side**2
    return {
        "command s": seconds,
        "before the first tile s": told["first"] - began,
        "first to last tile s": told["wall s"],
        "after the last tile s": seconds - (told["last"] - began),
        "busy %": 100 * told["busy s"] / told["wall s"],
        "sampled %": told["sampled %"],
        "passes": told["passes"],
        "megapixels/s, command": pixels / seconds / 1e6,
        "megapixels/s, network": told["pixels"] / told["busy s"] / 1e6,
        "device MiB": told["device MiB"],
        "host MiB": told["host MiB"],
    }
