"""Bands that are alphas, and measurements that might pass for one."""

import numpy as np
from rasterio.io import MemoryFile
from scipy import ndimage

from geoae.system.warnings import SILENCE
from geoae.tiling.window import windows
from tests.support.rasters import noise, texture

SIDE = 600
ROWS, COLS = np.mgrid[:SIDE, :SIDE]
FOOTPRINT = (np.abs(ROWS - 300 + (COLS - 300) / 3) < 180) & (
    np.abs(COLS - 300 - (ROWS - 300) / 3) < 210
)
INSIDE = ndimage.distance_transform_edt(FOOTPRINT)
HILLS = texture(1, SIDE, SIDE)[0]
HILLS = (HILLS - HILLS.min()) / np.ptp(HILLS)
NOISY = HILLS * 160 + 20 + noise((SIDE, SIDE), 8)


def sampled(band):
    return [band[window.slices()] for window in windows(*band.shape)]


def whole(values, dtype="uint8", low=0, high=255):
    return np.clip(np.rint(values), low, high).astype(dtype)


def lossy(band):
    with SILENCE, MemoryFile() as memory:
        profile = {
            "driver": "GTiff",
            "height": SIDE,
            "width": SIDE,
            "count": 1,
            "dtype": "uint8",
            "compress": "jpeg",
        }
        with memory.open(**profile) as dataset:
            dataset.write(band, 1)
        with memory.open() as dataset:
            return dataset.read(1)


ALPHAS = {
    "a cut-out": whole(FOOTPRINT * 255),
    "opaque": np.full((SIDE, SIDE), 255, np.uint8),
    "transparent": np.zeros((SIDE, SIDE), np.uint8),
    "half transparent": np.full((SIDE, SIDE), 128, np.uint8),
    "of 0 and 1": FOOTPRINT.astype(np.uint8),
    "of 16 bits": whole(FOOTPRINT * 65535, "uint16", high=65535),
    "of 8 in 16 bits": whole(FOOTPRINT * 255, "uint16"),
    "in steps": whole(FOOTPRINT * 127 + (INSIDE > 30) * 128),
    "in three steps without an end": whole(60 + FOOTPRINT * 60 + (INSIDE > 30) * 60),
    "of lossy tiles": lossy(whole(FOOTPRINT * 255)),
    **{
        f"feathered over {width} px": whole(255 * np.clip(INSIDE / width, 0, 1))
        for width in (2, 8, 40, 120)
    },
    **{
        f"blurred by {width} px": whole(ndimage.gaussian_filter(FOOTPRINT * 255.0, width))
        for width in (1, 4, 15, 40)
    },
    "blurred, of 16 bits": whole(
        ndimage.gaussian_filter(FOOTPRINT * 65535.0, 15), "uint16", high=65535
    ),
    "blurred, of floating point": ndimage.gaussian_filter(FOOTPRINT * 1.0, 15).astype(np.float32),
    "blurred, of lossy tiles": lossy(whole(ndimage.gaussian_filter(FOOTPRINT * 255.0, 15))),
    "with nodata": np.where(FOOTPRINT, 255.0, np.nan),
}
MEASUREMENTS = {
    "noisy": whole(NOISY),
    "with a black collar": whole(NOISY * FOOTPRINT),
    "with a white collar": whole(np.where(FOOTPRINT, NOISY, 255)),
    "a tenth of it saturated": whole((NOISY - 60) * 2.3),
    "dark": whole(NOISY / 16),
    "of 16 bits": whole(NOISY * 20, "uint16", high=65535),
    "of 16 bits with hot pixels": whole(
        np.where((ROWS % 97 == 0) & (COLS % 89 == 0), 65535, NOISY * 20), "uint16", high=65535
    ),
    "of reflectance": (NOISY / 500).astype(np.float32),
    "far from 0": whole(5000 + NOISY / 3, "uint16", high=65535),
    "with negatives": whole(NOISY - 100, "int16", -999, 999),
    "with nodata": np.where(FOOTPRINT, NOISY, np.nan),
}
