"""A scene before and after restoration, and their difference, as one small image."""

import base64

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geoae.raster.scene import Scene
from geoae.system.warnings import SILENCE
from geoae.tiling.window import Window

__all__ = ["draw_middle", "draw_quicklook"]

SIDE = 224
GAP = 4
AMPLIFIED = 3


def draw_quicklook(source: str, target: str, bands: tuple[int, ...]) -> str:
    """Draw the middle of source and output at full resolution, and their difference times three.

    Args:
        source: the scene.
        target: its restored output.
        bands: 1-based bands. The first three are shown as red, green and blue, or the first as
            grey.

    Returns:
        A JPEG of some 40 kB as a ``data:`` URL, which needs no file server; white where invalid.

    """
    shown = bands[:3] if len(bands) >= 3 else bands[:1]
    scenes = [Scene.open(name, shown) for name in (source, target)]
    height, width = min(scenes[0].height, SIDE), min(scenes[0].width, SIDE)
    window = Window((scenes[0].height - height) // 2, (scenes[0].width - width) // 2, height, width)
    (before, valid), (after, _) = (_pixels(scene, window) for scene in scenes)
    low, high = _stretch(before, valid)
    span = np.maximum(high - low, 1e-12)
    panels = [
        (before - low) / span,
        (after - low) / span,
        0.5 + AMPLIFIED * (before - after) / span,
    ]
    gap = np.ones((len(shown), height, GAP))
    rows = [part for panel in panels for part in (np.where(valid, np.clip(panel, 0, 1), 1.0), gap)]
    return _as_url(np.concatenate(rows[:-1], axis=2))


def draw_middle(source: str, bands: tuple[int, ...]) -> str:
    """Draw the middle of a scene at full resolution.

    Args:
        source: the scene.
        bands: 1-based bands, as for ``draw_quicklook``.

    Returns:
        A JPEG as a ``data:`` URL; white where invalid.

    """
    scene = Scene.open(source, bands[:3] if len(bands) >= 3 else bands[:1])
    height, width = min(scene.height, 3 * SIDE), min(scene.width, 3 * SIDE)
    window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
    pixels, valid = _pixels(scene, window)
    low, high = _stretch(pixels, valid)
    shown = np.clip((pixels - low) / np.maximum(high - low, 1e-12), 0, 1)
    return _as_url(np.where(valid, shown, 1.0))


def _as_url(image: NDArray[np.float64]) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(_jpeg(image)).decode()}"


def _pixels(scene: Scene, window: Window) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    with scene.reader() as reader:
        pixels, mask = reader.read(window)
    return pixels.astype(np.float64), np.ones(pixels.shape, bool) if mask is None else mask


def _stretch(
    pixels: NDArray[np.float64], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 1st and 99th percentile of each band, shaped to broadcast."""
    ends = [
        np.percentile(band[mask], [1, 99]) if mask.any() else (0, 1)
        for band, mask in zip(pixels, valid, strict=True)
    ]
    return tuple(np.array(end, float).reshape(-1, 1, 1) for end in zip(*ends, strict=True))  # type: ignore[return-value]


def _jpeg(image: NDArray[np.float64]) -> bytes:
    bands, height, width = image.shape
    profile = {
        "driver": "JPEG",
        "count": bands,
        "height": height,
        "width": width,
        "dtype": "uint8",
        "quality": 80,
    }
    with SILENCE, MemoryFile(ext=".jpg") as memory, rasterio.Env(GDAL_PAM_ENABLED="NO"):
        with memory.open(**profile) as dataset:
            dataset.write(np.nan_to_num(image * 255).round().astype(np.uint8))
        return bytes(memory.getbuffer())
