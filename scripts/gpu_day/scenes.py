"""Scenes as one packed array, and back as files."""

import json
import zipfile
from bisect import bisect_right
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin

from geoae.raster.scene import Scene
from geoae.tiling.window import Window
from geoae.training.config import TrainConfig

__all__ = ["KEPT", "PACKED", "TRAIN", "decode", "encode", "pack_scenes", "unpack_scenes"]

PACKED = "scenes.npz"
# First part of the keys of scenes that may be trained on, and of those that are kept out.
TRAIN, KEPT = "train", "kept"
# Sides in pixels to which the middle of each scene is cut, the largest that fits; most of scenes
# that are kept out.
SIDES = (192, 256, 288, 320, 352, 384, 448, 512, 640, 768, 1024, 1536, 2048, 4096)
KEPT_SIDE = 256
# Most scenes to train on of one sub-folder, since these are alike.
ALIKE = 6
SUFFIXES = {".tif", ".jp2"}
Array = NDArray[Any]


def encode(pixels: Array) -> Array:
    """Return the differences along rows as planes of bytes, which a compressor shortens more.

    Args:
        pixels: ``(band, row, col)`` of any type.

    Returns:
        uint8 ``(byte, band, row, col)``.

    """
    bits = np.ascontiguousarray(pixels).view(f"u{pixels.itemsize}")
    steps = np.diff(bits, axis=2, prepend=bits.dtype.type(0))
    planes = np.ascontiguousarray(steps).view(np.uint8).reshape(*pixels.shape, pixels.itemsize)
    return np.ascontiguousarray(np.moveaxis(planes, -1, 0))


def decode(planes: Array, dtype: str) -> Array:
    """Undo ``encode``."""
    size = planes.shape[0]
    steps = np.ascontiguousarray(np.moveaxis(planes, 0, -1)).view(f"u{size}")[..., 0]
    return np.cumsum(steps, axis=2, dtype=steps.dtype).view(dtype)


def pack_scenes(folder: Path, config: TrainConfig, target: Path, limit: int) -> dict[str, Any]:
    """Pack the middle of each scene into ``target``, as large as the limit allows.

    Args:
        folder: folder of the scenes.
        config: training that says which scenes are kept out, and which ones are no use at all.
        target: file to write.
        limit: most bytes of it.

    Returns:
        How many scenes were packed, their largest side in pixels, and the bytes of the file.

    Raises:
        ValueError: even the smallest crops are too large, or there are no scenes.

    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    left_out = {folder / name for name in config.exclude}
    kept = {folder / name for name in config.validation}
    paths = _thin([path for path in paths if path not in left_out], folder, kept)
    if not set(paths) - kept or not kept & set(paths):
        raise ValueError(f"{folder}: needs scenes to train on and scenes that the config keeps out")
    size = partial(_write, target, folder, paths, kept, limit)
    fitting = bisect_right(SIDES, limit, key=size)
    if not fitting:
        raise ValueError(f"{target}: more than the {limit} bytes that may travel; give less")
    side = SIDES[fitting - 1]
    facts = {"scenes": len(paths), "kept out": len(kept & set(paths)), "side": side}
    return facts | {"bytes": size(side)}


def _thin(paths: list[Path], folder: Path, kept: set[Path]) -> list[Path]:
    """Leave out scenes of sub-folders that have many to train on, evenly in order of names."""
    alike: dict[Path, list[Path]] = {}
    for path in paths:
        if path not in kept and path.parent != folder:
            alike.setdefault(path.parent, []).append(path)
    left_out: set[Path] = set()
    for members in alike.values():
        step = max(1.0, len(members) / ALIKE)
        left_out |= set(members) - {
            members[int(place * step)] for place in range(ALIKE) if place * step < len(members)
        }
    return [path for path in paths if path not in left_out]


def _write(
    target: Path, folder: Path, paths: list[Path], kept: set[Path], limit: int, side: int
) -> int:
    """Write the file and return its bytes, or those written when it passes the limit."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_LZMA) as archive:
        about = {}
        for path in paths:
            key = f"{KEPT if path in kept else TRAIN}/{path.relative_to(folder).as_posix()}"
            most = min(side, KEPT_SIDE) if path in kept else side
            about[key], planes, valid = _read(path, most)
            for kind, array in (("pixels", planes), ("valid", valid)):
                with archive.open(f"{key}/{kind}.npy", "w") as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
            if target.stat().st_size > limit:
                return target.stat().st_size
        archive.writestr("about.json", json.dumps(about))
    return target.stat().st_size


def _read(path: Path, side: int) -> tuple[dict[str, Any], Array, Array]:
    """Read the middle of the measured bands: facts, encoded pixels, and packed bits of which are
    valid.
    """
    scene = Scene.open(str(path))
    height, width = min(side, scene.height), min(side, scene.width)
    window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
    with scene.reader() as reader:
        pixels, mask = reader.read(window)
    with rasterio.open(path) as dataset:
        names = [dataset.descriptions[band - 1] for band in scene.bands]
        nodata = dataset.nodata
    valid = (
        np.ones((height, width), bool)
        if mask is None
        else np.all(np.broadcast_to(mask, pixels.shape), axis=0)
    )
    if nodata is not None and not np.isfinite(nodata):
        nodata = None  # JSON has no NaN; the mask says the same
    about = {
        "dtype": pixels.dtype.name,
        "shape": list(pixels.shape),
        "names": names,
        "nodata": nodata,
    }
    return about, encode(pixels), np.packbits(valid)


def unpack_scenes(packed: Path, folder: Path) -> dict[str, Any]:
    """Write the scenes as files under the names that they had.

    Args:
        packed: what ``pack_scenes`` wrote.
        folder: folder to write.

    Returns:
        How many scenes were written, and names of those that are kept out.

    """
    with np.load(packed, allow_pickle=False) as arrays, zipfile.ZipFile(packed) as archive:
        about = json.loads(archive.read("about.json"))
        for key, facts in about.items():
            pixels = decode(arrays[f"{key}/pixels"], facts["dtype"])
            count = pixels.shape[1] * pixels.shape[2]
            valid = np.unpackbits(arrays[f"{key}/valid"], count=count).astype(bool)
            path = folder / key.partition("/")[2]
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_scene(path, pixels, valid.reshape(pixels.shape[1:]), facts)
    kept = [key.partition("/")[2] for key in about if key.startswith(f"{KEPT}/")]
    return {"scenes": len(about), "kept out": kept}


def _write_scene(path: Path, pixels: Array, valid: Array, facts: dict[str, Any]) -> None:
    """Write a GeoTIFF, also under the name of another format: GDAL goes by what a file holds."""
    count, height, width = pixels.shape
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=count,
            height=height,
            width=width,
            dtype=pixels.dtype,
            nodata=facts["nodata"],
            photometric="minisblack",
            crs="EPSG:32633",
            transform=from_origin(5e5, 5e6, 10, 10),
        ) as dataset,
    ):
        dataset.write(pixels)
        for band, name in enumerate(facts["names"], start=1):
            if name:
                dataset.set_band_description(band, name)
        if facts["nodata"] is None and not valid.all():
            dataset.write_mask(valid)
