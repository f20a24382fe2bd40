"""Wall time of a restoration against a floor measured in the same run, and against peers with the
same network.

The floor is what no arrangement can save: the network's forward passes over exactly the scene's
pixels, in the best tile, batch and precision found, plus the time GDAL takes to copy the scene to
the same kind of file.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
import torch

from geoae.models.folder import load
from geoae.models.torch_restorer import TorchRestorer
from geoae.pipeline.job import DEFAULT_MODEL, Job
from geoae.pipeline.run import run
from geoae.raster.profiles import WRITERS
from tests.benchmarks.scenes import BANDS, mosaic

ROOT = Path(__file__).parents[2]
# Tile side and samples a forward pass, among which the floor takes the best.
SHAPES = [(512, 1), (512, 4), (1024, 1), (1024, 2), (2048, 1)]
TRIAL = 8 << 20  # pixels
SIGMA = 0.05
PEERS = ("opensr-utils", "pytorch-toolbelt")
REFLECTANCE = 10_000.0


def forward_seconds(restorer: TorchRestorer, tile: int, batch: int, pixels: int) -> float:
    """Seconds for ``pixels`` pixels of one band through the network, nothing else."""
    shape = (batch, restorer.channels, tile, tile)
    array = np.random.default_rng(0).normal(0, 0.25, shape).astype(np.float32)
    sigma = np.full(shape[:2], SIGMA, np.float32)
    restorer(array, sigma)
    passes = max(1, round(pixels / array.size))
    began = time.perf_counter()
    for _ in range(passes):
        restorer(array, sigma)
    return (time.perf_counter() - began) * pixels / (passes * array.size)


def best_forward(side: int) -> tuple[float, str]:
    """Seconds over the whole scene in the best setting, and which that is."""
    trials = {}
    for precision in ("bf16", "fp32"):
        for tile, batch in SHAPES:
            if tile <= side:
                restorer = load(DEFAULT_MODEL, device="cpu", precision=precision, batch_size=batch)
                trials[precision, tile, batch] = forward_seconds(
                    restorer, tile, batch, min(TRIAL, side * side)
                )
    precision, tile, batch = min(trials, key=trials.__getitem__)
    restorer = load(DEFAULT_MODEL, device="cpu", precision=precision, batch_size=batch)
    return forward_seconds(
        restorer, tile, batch, side * side * BANDS
    ), f"{batch} x {tile} px, {precision}"


def copy_seconds(scene: Path) -> float:
    """GDAL's copy of ``scene`` to the file that geoae would write."""
    target = scene.with_name("copy.tif")
    with rasterio.open(scene) as dataset:
        options = WRITERS["cog"](dataset)
    began = time.perf_counter()
    rasterio.shutil.copy(str(scene), str(target), **options)
    seconds = time.perf_counter() - began
    target.unlink()
    return seconds


def command_seconds(scene: Path) -> float:
    """The command as a user starts it, interpreter and imports included."""
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "geoae",
        "restore",
        str(scene),
        "--overwrite",
        "--fresh",
        "--quiet",
    ]
    subprocess.run(command, check=True, cwd=ROOT)
    return time.perf_counter() - began


class PerBand(torch.nn.Module):
    """The shipped network as peers want one: (B, 4, H, W) reflectance to the same."""

    def __init__(self, restorer: TorchRestorer) -> None:
        super().__init__()
        self.network, self.channels = restorer._network, restorer.channels

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        bands = pixels.reshape(-1, self.channels, pixels.shape[2], pixels.shape[3])
        sigma = torch.full((1, 1, 1, 1), SIGMA).expand(bands.shape[0], self.channels, 1, 1)
        return (bands - self.network(bands, sigma)).reshape(pixels.shape)


def _untuned() -> dict[str, str]:
    """The environment without what geoae's command sets for itself."""
    return {
        key: value
        for key, value in os.environ.items()
        if key not in ("OPENBLAS_NUM_THREADS", "GDAL_CACHEMAX")
    }


def peer_seconds(python: Path, scene: Path) -> Iterator[tuple[str, float]]:
    """File to file, by each peer, in a process of its own."""
    network = scene.with_name("network.pt")
    with torch.inference_mode():
        traced = torch.jit.trace(
            PerBand(load(DEFAULT_MODEL, device="cpu", precision="fp32")),
            torch.zeros(1, BANDS, 512, 512),
        )
    traced.save(str(network))
    for peer in PEERS:
        command = [
            str(python),
            "-m",
            "tests.benchmarks.speed_peers",
            peer,
            str(scene),
            "--network",
            str(network),
        ]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, env=_untuned()
        )
        yield peer, json.loads(done.stdout.strip().splitlines()[-1])["seconds"]


def measure(folder: Path, side: int, peers: Path | None) -> dict[str, float | str]:
    """Seconds and ratios."""
    scene = mosaic(folder / "scene.tif", side)
    job = Job(source=str(scene), target=str(folder / "out.tif"), overwrite=True, fresh=True)
    warm = mosaic(folder / "warm.tif", 1024)
    run(Job(source=str(warm), target=str(folder / "warm_out.tif")))
    forward, setting = best_forward(side)
    copied = copy_seconds(scene)
    seconds = run(job).seconds
    command = command_seconds(scene)
    figures: dict[str, float | str] = {
        "forward s": forward,
        "forward setting": setting,
        "GDAL copy s": copied,
        "geoae s": seconds,
        "command s": command,
        "geoae / floor": seconds / (forward + copied),
        "command / floor": command / (forward + copied),
    }
    for peer, taken in peer_seconds(peers, scene) if peers else ():
        figures |= {f"{peer} s": taken, f"{peer} / geoae": taken / seconds}
    return figures
