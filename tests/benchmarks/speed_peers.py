"""Seconds and peak memory of a peer that restores a scene file to file with a given network, as one
line of JSON.

Runs in the peers' virtual environment: ``pip install opensr-utils==2.1.0 pytorch-toolbelt==0.8.0``
(and torch, rasterio). One tool a process, or the peaks would mix. From the repository's root:

    OMP_NUM_THREADS=2 peers-venv/bin/python -m tests.benchmarks.speed_peers opensr-utils scene.tif
    --network network.pt

``network.pt`` is TorchScript, (B, C, H, W) float32 in 0..1 (DN / 10000, which opensr-utils
hard-codes) to the same. The clock runs from the closed source to the closed target; imports,
loading and two warm-up batches are before it.
"""

import argparse
import contextlib
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch

REFLECTANCE = 10_000  # DN of 1.0
MIB_OF_RSS = 1024  # Linux counts ru_maxrss in KiB


@dataclass(frozen=True)
class Settings:
    """Pixels a side of a tile, pixels that neighbours share, tiles a forward."""

    tile: int
    overlap: int
    batch: int


def opensr_utils(scene: Path, target: Path, network: torch.nn.Module, settings: Settings) -> None:
    """Its one call, with every other option as it comes."""
    from opensr_utils import super_resolve

    super_resolve(
        str(scene),
        network,
        str(target),
        factor=1,
        window_size=(settings.tile, settings.tile),
        overlap=settings.overlap,
        batch_size=settings.batch,
        device="cpu",
    )


def pytorch_toolbelt(
    scene: Path, target: Path, network: torch.nn.Module, settings: Settings
) -> None:
    """The example of its README; reading and writing, which it leaves to its user, as the source is
    stored.
    """
    from pytorch_toolbelt.inference.tiles import ImageSlicer, TileMerger
    from pytorch_toolbelt.utils.torch_utils import image_to_tensor, to_numpy
    from torch.utils.data import DataLoader

    with rasterio.open(scene) as source:
        profile, image = source.profile, np.moveaxis(source.read(), 0, -1)
    step = settings.tile - settings.overlap
    tiler = ImageSlicer(
        image.shape, tile_size=(settings.tile, settings.tile), tile_step=(step, step)
    )
    tiles = [image_to_tensor(tile) for tile in tiler.split(image)]
    merger = TileMerger(tiler.target_shape, image.shape[2], tiler.weight)
    with torch.inference_mode():
        for batch, places in DataLoader(
            list(zip(tiles, tiler.crops, strict=True)), batch_size=settings.batch
        ):
            merger.integrate_batch(network(batch.float() / REFLECTANCE), places)
    merged = tiler.crop_to_orignal_size(np.moveaxis(to_numpy(merger.merge()), 0, -1))
    limits = np.iinfo(profile["dtype"])
    restored = np.rint(merged * REFLECTANCE).clip(limits.min, limits.max).astype(profile["dtype"])
    with rasterio.open(target, "w", **profile) as sink:
        sink.write(np.moveaxis(restored, -1, 0))


TOOLS: dict[str, Callable[[Path, Path, torch.nn.Module, Settings], None]] = {
    "opensr-utils": opensr_utils,
    "pytorch-toolbelt": pytorch_toolbelt,
}


def warm_up(tool: str, network: torch.nn.Module, bands: int, settings: Settings) -> None:
    """What happens once a process, not once a scene: imports, and TorchScript's two
    profiling runs.
    """
    __import__(
        "opensr_utils.pipeline" if tool == "opensr-utils" else "pytorch_toolbelt.inference.tiles"
    )
    with torch.inference_mode():
        for _ in range(2):
            network(torch.zeros(settings.batch, bands, settings.tile, settings.tile))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("scene", type=Path, help="GeoTIFF of uint16")
    parser.add_argument("--network", type=Path, required=True, help="TorchScript file")
    parser.add_argument("--out", type=Path, help="keep the restored scene under this name")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--batch", type=int, default=4)
    order = parser.parse_args()
    settings = Settings(order.tile, order.overlap, order.batch)

    network = torch.jit.load(order.network, map_location="cpu").eval()
    with rasterio.open(order.scene) as source:
        bands = source.count
    # Tools talk on stdout, which is for the one line of ours; on the scene's disk, as a user would.
    with (
        tempfile.TemporaryDirectory(dir=order.scene.resolve().parent) as folder,
        contextlib.redirect_stdout(sys.stderr),
    ):
        warm_up(order.tool, network, bands, settings)
        target = Path(folder) / "restored.tif"
        began = time.perf_counter()
        TOOLS[order.tool](order.scene, target, network, settings)
        seconds = time.perf_counter() - began
        if order.out:
            shutil.move(target, order.out)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB_OF_RSS
    print(
        json.dumps({"tool": order.tool, "seconds": round(seconds, 2), "peak_rss_mb": round(peak)})
    )


if __name__ == "__main__":
    main()
