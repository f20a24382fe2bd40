"""Scenes of shapes for the rehearsal: ``python -m scripts.gpu_day.samples FOLDER CONFIG.toml``
packs them as ``pack`` packs real ones, into ``FOLDER.npz``.
"""

import sys
from pathlib import Path

import numpy as np
import rasterio

from geoae.simulation.dead_leaves import dead_leaves
from geoae.training.config import TrainConfig
from scripts.gpu_day.scenes import pack_scenes

__all__ = ["main", "make_scenes"]

SIDE, BANDS = 160, 3
NAMES = ("a1.tif", "a2.tif", "kept.tif")


def make_scenes(folder: Path) -> None:
    """Write three scenes of uint16; the first lacks a corner."""
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        leaves = dead_leaves(np.random.default_rng(number), BANDS, SIDE)
        pixels = np.interp(leaves, (leaves.min(), leaves.max()), (100, 4000)).astype(np.uint16)
        if not number:
            pixels[:, :9, :9] = 0
        with rasterio.open(
            folder / name,
            "w",
            driver="GTiff",
            dtype="uint16",
            count=BANDS,
            height=SIDE,
            width=SIDE,
            nodata=0,
            crs="EPSG:32633",
            transform=rasterio.transform.from_origin(5e5, 5e6, 10, 10),
        ) as dataset:
            dataset.write(pixels)


def main() -> None:
    """Make and pack them."""
    folder, config = map(Path, sys.argv[1:])
    make_scenes(folder)
    pack_scenes(folder, TrainConfig.read(config), folder.with_suffix(".npz"), 1 << 20)


if __name__ == "__main__":
    main()
