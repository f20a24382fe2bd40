"""The checks: each is a function of the test bench that measures one figure with a limit."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, computed_field
from rasterio.transform import Affine

from geoae.diagnosis.sampling import sample
from geoae.models.restorer import Identity, Restorer
from geoae.networks.halo import measure_halo
from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from geoae.radiometry.spectrum import FREQUENCIES
from geoae.raster.memory import ArraySource
from geoae.raster.validate import DTYPES
from geoae.system.warnings import SILENCE
from geoae.tiling.blend import RAMPS
from geoae.types import Array
from geoae.verification.bench import Bench, identity_scale, overlap, restore_array

__all__ = ["CHECKS", "Finding"]

# Model units: four standard deviations of a scene's leading component are one.
TOLERANCE = 1e-4
# In bf16, sums are rounded to eight bits in an order that depends on the tile's shape.
TOLERANCE_BF16 = 2e-2
# Rounding of sums of two float32 weights along each axis.
ROUNDING = 1e-6
# Percent of a band's range. The noise itself has a mean of some hundredths of a percent here.
BIAS = 0.1
# Growth of the noise variance per model unit of signal, relative to the variance at the mean.
GROWTH = 2.0
FILLS = (0.0, 65535.0, float("nan"))


class Finding(BaseModel):
    """The result of a check, which passes where ``figure`` is at most ``limit``."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    measured: str
    figure: float
    limit: float
    unit: str
    note: str = Field("", description="what else is worth knowing, without a limit")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether the promise is kept; a figure of NaN does not pass."""
        return bool(self.figure <= self.limit)


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
            wrong += _count_differences(
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
                wrong += _count_differences(dataset.read(), pixels)
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


def clean(bench: Bench) -> Finding | None:
    """With a noise level of zero the model finds no noise."""
    if not bench.subject.noise_aware:
        return None
    pixels = _windows(bench, 1)
    residual = bench.restorer(pixels, np.zeros(pixels.shape[:2], np.float32), _shape(bench, 1))
    what = "residual where the noise is told to be zero"
    return Finding(measured=what, figure=_largest(residual), limit=0, unit="model units")


def compare_tiles(bench: Bench) -> Finding:
    """Restoring in the smallest tiles that the halo allows equals restoring in one tile."""
    units, scale = bench.leading_components
    side = 2 * overlap(bench.restorer)
    tiles = restore_array(bench.restorer, units, scale, tile=side)
    what = f"a scene in tiles of {side} px against the scene whole"
    return Finding(
        measured=what,
        figure=_largest(tiles - bench.whole),
        limit=_tolerance(bench),
        unit="model units",
    )


def compare_tiles_under_growth(bench: Bench) -> Finding | None:
    """As ``compare_tiles``, with a map of noise whose variance grows with the signal."""
    if not bench.subject.noise_aware:
        return None
    units, scale = bench.leading_components
    grown = replace(scale, slope=GROWTH * scale.noise**2)
    side = 2 * overlap(bench.restorer)
    tiles = restore_array(bench.restorer, units, grown, tile=side)
    figure = _largest(tiles - restore_array(bench.restorer, units, grown))
    what = f"the same under noise that grows with the signal, tiles of {side} px"
    return Finding(measured=what, figure=figure, limit=_tolerance(bench), unit="model units")


def shift(bench: Bench) -> Finding:
    """A crop that starts elsewhere on the network's grid gives the same result beyond the halo."""
    step = bench.restorer.multiple
    note = ""
    if step > 1:
        units, _ = bench.leading_components
        off = _measure_shift(bench, 3 * step + 1, 5 * step + step // 2)
        removed = np.std(units - bench.whole)
        share = np.std(off) / removed if removed else 0.0
        note = (
            f"started off its grid of {step} px: {share:.1%} of what is taken away, root mean"
            " square"
        )
    what = f"a crop that starts at ({3 * step}, {5 * step}) against the scene, beyond the halo"
    figure = _largest(_measure_shift(bench, 3 * step, 5 * step))
    return Finding(
        measured=what, figure=figure, limit=_tolerance(bench), unit="model units", note=note
    )


def _measure_shift(bench: Bench, row: int, col: int) -> NDArray[np.float32]:
    units, scale = bench.leading_components
    margin = bench.restorer.halo
    crop = restore_array(bench.restorer, units[:, row:, col:], scale)
    whole = bench.whole[:, row:, col:]
    return (crop - whole)[:, margin:, margin:]


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
        wrong += _count_differences(result[~valid], pixels[~valid])
        results.append(result[valid])
    wrong += sum(_count_differences(result, results[0]) for result in results[1:])
    what = "pixels that move where holes hold 0, 65535 or NaN"
    return Finding(measured=what, figure=wrong, limit=0, unit="pixels")


class _Network(torch.nn.Module):
    """A restorer as the network that ``measure_halo`` expects."""

    def __init__(self, restorer: Restorer) -> None:
        super().__init__()
        self.restorer = restorer
        # Measure well beyond the declared halo.
        self.field = restorer.halo + 64
        self.levels = len(FREQUENCIES) ** 2 if restorer.takes_spectrum else 1

    def forward(
        self, pixels: torch.Tensor, sigma: torch.Tensor, shape: torch.Tensor | None = None
    ) -> torch.Tensor:
        told = None if shape is None else shape.numpy()
        return torch.from_numpy(
            self.restorer(pixels.contiguous().numpy(), sigma[:, :, 0, 0].numpy(), told)
        )


def halo(bench: Bench) -> Finding:
    """The halo, measured on the CPU in float32 as when the model was saved, is at most the declared
    one.
    """
    restorer = bench.subject.exact
    measured = measure_halo(_Network(restorer), restorer.channels, restorer.multiple)
    what = (
        "distance from which an input moves a pixel by 1e-5 model units, against the halo declared"
    )
    return Finding(measured=what, figure=measured, limit=restorer.halo, unit="px")


def bias(bench: Bench) -> Finding:
    """The residual has no mean in any band; the noise is estimated, as in a run."""
    result = restore_array(bench.restorer, bench.units, identity_scale(bench.scale.sigma))
    moved = np.abs(bench.scale.inverse @ (bench.units - result).mean(axis=(1, 2), dtype=np.float64))
    low, high = np.percentile(bench.pixels, (0.5, 99.5), axis=(1, 2))
    what = "shift of a band's mean, of its range"
    return Finding(
        measured=what, figure=float((100 * moved / (high - low)).max()), limit=BIAS, unit="%"
    )


def determinism(bench: Bench) -> Finding:
    """Restoring twice gives the same bits."""
    units, scale = bench.leading_components
    again = restore_array(bench.restorer, units, scale)
    figure = _count_differences(again, bench.whole)
    return Finding(
        measured="pixels that differ when restored twice", figure=figure, limit=0, unit="pixels"
    )


def company(bench: Bench) -> Finding:
    """The residual of a tile does not depend on the other tiles of its batch."""
    pixels = _windows(bench, 3)
    sigma = np.tile(bench.leading_components[1].sigma.astype(np.float32), (len(pixels), 1))
    shape = _shape(bench, 1)
    together = bench.restorer(pixels, sigma, _shape(bench, len(pixels)))
    alone = np.concatenate(
        [bench.restorer(pixels[i : i + 1], sigma[i : i + 1], shape) for i in range(len(pixels))]
    )
    what = "a tile in a batch against the tile alone"
    return Finding(
        measured=what,
        figure=_largest(together - alone),
        limit=_tolerance(bench),
        unit="model units",
    )


def _tolerance(bench: Bench) -> float:
    return TOLERANCE_BF16 if " bf16 " in f" {bench.restorer.setting} " else TOLERANCE


CHECKS: dict[str, Callable[[Bench], Finding | None]] = {
    "identity": identity,
    "files": files,
    "weights": weights,
    "clean": clean,
    "tiled": compare_tiles,
    "varying": compare_tiles_under_growth,
    "shift": shift,
    "nodata": nodata,
    "halo": halo,
    "bias": bias,
    "determinism": determinism,
    "company": company,
}


def _windows(bench: Bench, count: int) -> NDArray[np.float32]:
    """Cut windows (count, channels, H, W) of the leading components from different parts of the
    scene.
    """
    units, step = bench.units[: bench.restorer.channels], bench.restorer.multiple
    side = -(-96 // step) * step
    return np.stack(
        [units[:, i * 16 : i * 16 + side, i * 16 : i * 16 + side] for i in range(count)]
    )


def _shape(bench: Bench, samples: int) -> Array | None:
    """Return the spectrum that the model is told for some samples, ``(samples, channels, 9)``."""
    shape = bench.shape(bench.restorer.channels)
    return None if shape is None else np.tile(shape.astype(np.float32), (samples, 1, 1))


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


def _count_differences(found: NDArray[Any], expected: NDArray[Any]) -> int:
    """Count values whose bits differ."""
    size = expected.dtype.itemsize
    one, other = (
        np.ascontiguousarray(array).view(np.uint8).reshape(-1, size) for array in (found, expected)
    )
    return int((one != other).any(axis=1).sum())


def _largest(difference: NDArray[np.float32]) -> float:
    """Return the largest absolute value; NaN where there is one."""
    return float(np.abs(difference).max())
