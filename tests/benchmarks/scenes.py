"""A large scene of real pixels: what time and memory are measured on."""

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window

SOURCE = Path(__file__).parents[3] / "shared/scenes/train" / "landsat_peru_2020_4band.tif"
BANDS = 4
BLOCK = 512
NOISE = 0.05  # of a band's standard deviation
SHOT = 2.0  # DN of variance for each DN of signal, where the noise grows with it


def mosaic(path: Path, side: int, bands: int = BANDS, *, growing: bool = False) -> Path:
    """``side`` x ``side`` x ``bands`` uint16 in DN of 0..10000: real pixels, mirrored as often as
    it takes, with noise.

    ``growing``: the variance of the noise grows with the signal. Bands past the fourth are the four
    again.
    """
    with rasterio.open(SOURCE) as dataset:
        pixels = dataset.read().astype(np.float32)
    pixels *= 8000 / np.percentile(pixels, 99.5)
    spread = NOISE * pixels.std(axis=(1, 2))[:, None, None]
    profile = {"driver": "GTiff", "count": bands, "height": side, "width": side, "dtype": "uint16"}
    tiling = {
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "compress": "zstd",
        "predictor": 2,
        "bigtiff": "if_safer",
    }
    where = {"crs": "EPSG:32618", "transform": Affine(10, 0, 399960, 0, -10, 4200000)}
    rng = np.random.default_rng(0)
    with (
        rasterio.Env(GDAL_CACHEMAX=96),
        rasterio.open(path, "w", **profile, **tiling, **where) as dataset,
    ):
        for row in range(0, side, BLOCK):
            rows = _mirrored(row, min(BLOCK, side - row), pixels.shape[1])
            strip = pixels[np.arange(bands) % BANDS][:, rows][
                :, :, _mirrored(0, side, pixels.shape[2])
            ]
            deviation = np.sqrt(SHOT * strip) if growing else spread[np.arange(bands) % BANDS]
            strip += deviation * rng.standard_normal(strip.shape, dtype=np.float32)
            dataset.write(
                np.clip(np.rint(strip), 1, 10_000).astype(np.uint16),
                window=Window(0, row, side, len(rows)),
            )
    return path


def _mirrored(start: int, length: int, size: int) -> np.ndarray:
    places = np.arange(start, start + length) % (2 * size)
    return np.minimum(places, 2 * size - 1 - places)
