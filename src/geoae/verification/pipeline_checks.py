"""Checks of the pipeline around a model: only what the model removes may change, file to file."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from geoae.diagnosis.sampling import sample
from geoae.models.restorer import Identity
from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from geoae.raster.checks.validate import DTYPES
from geoae.raster.memory import ArraySource
from geoae.system.warnings import SILENCE
from geoae.tiling.blend import RAMPS
from geoae.types import Array
from geoae.verification.bench import Bench, identity_scale, overlap, restore_array
from geoae.verification.finding import Finding, count_differences

__all__ = ["files", "identity", "nodata", "weights"]

# Rounding of sums of two float32 weights along each axis.
ROUNDING = 1e-6
FILLS = (0.0, 65535.0, float("nan"))


def identity(bench: Bench) -> Finding:
    """A residual of zero changes no pixel in the engine's loop with this model's geometry."""
    model, common = bench.restorer, overlap(bench.restorer)
    nothing = Identity(channels=model.channels, multiple=model.multiple, halo=model.halo)
    scale = identity_scale(np.full(model.channels, 0.1))
    sizes = [(1, 1), (1, common + 3), (2 * common + 5, 3), (61, 2 * common + 11)]
    wrong = 0
    for dtype in sorted(DTYPES):
        for height, width in sizes:
            pixels = _any_pixels(dtype, (model.channels, height, width))
            wrong += count_differences(
                restore_array(nothing, pixels, scale, tile=2 * common), pixels
            )
    what = (
        f"pixels that a residual of zero changes, {len(DTYPES)} types, {len(sizes)} sizes from"
        " 1 x 1"
    )
    return Finding(measured=what, figure=wrong, limit=0, unit="pixels")


def files(bench: Bench) -> Finding:
    """A residual of zero changes no pixel from GeoTIFF to GeoTIFF with this machine's GDAL."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="geoae-verify-") as folder:
        source, target = Path(folder) / "in.tif", Path(folder) / "out.tif"
        for dtype in sorted(DTYPES):
            pixels = _any_pixels(dtype, (2, 70, 61))
            profile = {"driver": "GTiff", "count": 2, "height": 70, "width": 61, "dtype": dtype}
            with (
                SILENCE,
                rasterio.open(
                    source,
                    "w",
                    crs="EPSG:32633",
                    transform=Affine(10, 0, 4e5, 0, -10, 4e6),
                    **profile,
                ) as dataset,
            ):
                dataset.write(pixels)
            run(
                Job(
                    source=str(source),
                    target=str(target),
                    model="identity",
                    tile=64,
                    overwrite=True,
                )
            )
            with SILENCE, rasterio.open(target) as dataset:
                wrong += count_differences(dataset.read(), pixels)
    what = f"pixels that identity changes from file to file, {len(DTYPES)} types"
    return Finding(measured=what, figure=wrong, limit=0, unit="pixels")


@dataclass(frozen=True)
class _Ones(Identity):
    """A model whose residual is one everywhere."""

    def __call__(self, pixels: Array, sigma: Array, shape: Array | None = None) -> Array:
        return np.ones_like(pixels)


def weights(bench: Bench) -> Finding:
    """A residual of one comes out of the blend as one at every pixel."""
    model, common = bench.restorer, overlap(bench.restorer)
    ones = _Ones(channels=1, multiple=model.multiple, halo=model.halo)
    worst = 0.0
    for ramp in RAMPS:
        for height, width in [(1, 2 * common + 1), (3 * common + 5, 2 * common + 7)]:
            for tile in (2 * common, 2 * common + 5 * model.multiple):
                zeros = np.zeros((1, height, width), np.float32)
                blended = restore_array(
                    ones, zeros, identity_scale(np.ones(1)), tile=tile, ramp=ramp
                )
                worst = max(worst, float(np.abs(blended + 1).max()))
    return Finding(
        measured="sum of a pixel's blend weights, less one", figure=worst, limit=ROUNDING, unit=""
    )


def nodata(bench: Bench) -> Finding:
    """The values of invalid pixels change no other pixel, from the noise estimate to the output."""
    restorer, common = bench.restorer, overlap(bench.restorer)
    whole = bench.pixels[:, : max(2 * common, 128), : max(common, 128)]
    _, height, width = whole.shape
    hole = np.zeros((height, width), dtype=bool)
    hole[height // 3 : height // 2, width // 4 : width // 2] = hole[:2] = hole[
        -height // 5, width // 5
    ] = True
    valid = np.broadcast_to(~hole, whole.shape)
    results = []
    wrong = 0
    for value in FILLS:
        pixels = np.where(valid, whole, np.float32(value))
        scale = bench.subject.scale_of(sample(ArraySource(pixels, valid).read, height, width))
        result = restore_array(restorer, pixels, scale, mask=valid, nodata=value)
        wrong += count_differences(result[~valid], pixels[~valid])
        results.append(result[valid])
    wrong += sum(count_differences(result, results[0]) for result in results[1:])
    what = "pixels that move where holes hold 0, 65535 or NaN"
    return Finding(measured=what, figure=wrong, limit=0, unit="pixels")


def _any_pixels(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Draw values from the whole range of a type, its extremes included."""
    rng, kind = np.random.default_rng(0), np.dtype(dtype)
    if kind.kind == "f":
        pixels = rng.normal(0, 1000, shape).astype(kind)
        special: list[float] = [-0.0, 0.0, 1e30, -1e-30]
    else:
        limits = np.iinfo(kind)
        pixels = rng.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
        special = [limits.min, limits.max]
    chosen = np.array(special, dtype=kind)[rng.integers(len(special), size=shape)]
    return np.where(rng.random(shape) < 0.2, chosen, pixels)
