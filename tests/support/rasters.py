"""Rasters made for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

SHARED = Path(__file__).parents[3] / "shared"

UTM = {"crs": "EPSG:32633", "transform": Affine(10, 0, 399960, 0, -10, 4200000)}


def texture(bands: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth hills with edges, shared by the bands, around 1000 with a spread of some 200."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[:height, :width] / 40.0
    hills = (
        np.sin(rows + 0.7 * cols)
        + np.cos(1.3 * cols - rows * rows / 30)
        + ((rows * 3).astype(int) % 2)
    )
    tilt = rng.uniform(0.5, 1.5, (bands, 1, 1))
    return 1000 + 100 * tilt * hills[None] + 20 * np.arange(bands)[:, None, None]


def noise(shape: tuple[int, ...], sigma: float, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, shape)


def write(path: Path, pixels: np.ndarray, **profile: Any) -> Path:
    """``pixels`` (band, row, col) as a GeoTIFF."""
    bands, height, width = pixels.shape
    settings = {
        "driver": "GTiff",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": pixels.dtype,
        **UTM,
        **profile,
    }
    with rasterio.open(path, "w", **settings) as dataset:
        dataset.write(pixels)
    return path


def read(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def masks(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read_masks()
