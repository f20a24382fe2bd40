"""What every denoiser is asked in the quality benchmark: which scenes, which noise, and how the answer is scored.

Needs numpy and rasterio only (and torchmetrics, for SSIM), never geoae, so that peers score by the same lines.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

SCENES = Path(__file__).parents[3] / "shared" / "scenes" / "train"
VALIDATION = (
    "wv2_rotterdam_pan3.tif",
    "l8_pan_elkton_VA_15m.tif",
    "l8_elkton_VA_8band_30m.tif",
    "l8_224078_20200518_rgb_30m.tif",
    "neon_harv/harv_025.tif",
    "neon_harv/harv_051.tif",
    "landsat_peru_2020_4band.tif",
    "s2_wildfire/BELLA_20240805_post.tif",
    "s2_wildfire/CODY_20240608_post.tif",
    "s2_wildfire/KENNETH_20250109_pre.tif",
    "l7_023028_20110907_sr_6band_30m.tif",
    "l8_loonlake_4band_30m.tif",
)
SIGMAS = (15, 25, 50)  # in 255ths of a band's span

SIDE = 512
# (row, col) of the crop where it is not the middle of the scene.
CORNERS = {"l8_224078_20200518_rgb_30m.tif": (400, 600)}
# Percentiles of a band's valid pixels; what lies between them is its span, the peak of PSNR and SSIM.
PERCENTILES = (0.5, 99.5)

Pixels = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Truth:
    """A scene without our noise: ``pixels`` (band, row, col) in DN, ``valid`` (row, col), True in all bands.

    ``lo`` and ``span`` (band,) in DN bring it to model units: ``(pixels - lo) / span``.
    """

    pixels: Pixels
    valid: Mask
    lo: Pixels
    span: Pixels
    crs: Any
    transform: Affine

    @classmethod
    def of(cls, pixels: Pixels, valid: Mask, crs: Any, transform: Affine, percentiles: tuple[float, float]) -> "Truth":
        lo, hi = np.percentile(pixels[:, valid], percentiles, axis=1)
        return cls(pixels, valid, lo, hi - lo, crs, transform)


def centred(shape: tuple[int, ...], side: int) -> tuple[slice, slice]:
    """Rows and columns of the middle of ``shape`` (..., row, col), at most ``side`` px a side."""
    sizes = [min(length, side) for length in shape[-2:]]
    rows, cols = (
        slice((length - size) // 2, (length - size) // 2 + size) for length, size in zip(shape[-2:], sizes, strict=True)
    )
    return rows, cols


def load(name: str, percentiles: tuple[float, float] = PERCENTILES) -> Truth:
    """The crop of the scene ``name`` (relative to ``SCENES``) that the benchmark uses."""
    with rasterio.open(SCENES / name) as dataset:
        rows, cols = centred(dataset.shape, SIDE)
        if name in CORNERS:
            row, col = CORNERS[name]
            rows, cols = slice(row, row + SIDE), slice(col, col + SIDE)
        window = Window.from_slices(rows, cols)
        pixels = dataset.read(window=window).astype(np.float64)
        valid = (dataset.read_masks(window=window) > 0).all(axis=0) & np.isfinite(pixels).all(axis=0)
        return Truth.of(pixels, valid, dataset.crs, dataset.window_transform(window), percentiles)


def clean(scene: Truth, block: int = 4) -> Truth:
    """Means of blocks of 4 x 4 px: as good as without noise. A block with an invalid pixel is invalid."""
    height, width = (length // block for length in scene.valid.shape)
    grid = np.s_[: height * block, : width * block]
    tiles = (height, block, width, block)
    pixels = scene.pixels[:, *grid].reshape(-1, *tiles).mean(axis=(2, 4))
    valid = scene.valid[grid].reshape(tiles).all(axis=(1, 3))
    return Truth.of(pixels, valid, scene.crs, scene.transform @ Affine.scale(block), PERCENTILES)


def noisy(scene: Truth, sigma: float) -> Pixels:
    """``scene`` in DN under white Gaussian noise of ``sigma`` 255ths of each band's span; neither clipped nor rounded."""
    noise = np.random.default_rng(sigma).standard_normal(scene.pixels.shape)
    return scene.pixels + noise * (sigma / 255) * scene.span[:, None, None]


def write_noisy(path: Path, scene: Truth, sigma: float) -> Path:
    """``noisy`` as a georeferenced float32 GeoTIFF; invalid pixels, where there are any, are NaN and declared so."""
    pixels = np.where(scene.valid, noisy(scene, sigma), np.nan).astype(np.float32)
    bands, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": "float32"}
    nodata = None if scene.valid.all() else np.nan
    with rasterio.open(path, "w", crs=scene.crs, transform=scene.transform, nodata=nodata, **profile) as dataset:
        dataset.write(pixels)
    return path


def to_model(scene: Truth, pixels: Pixels) -> Pixels:
    """DN to 0..1, as peers want them: float32, invalid pixels at their band's median."""
    units = (pixels - scene.lo[:, None, None]) / scene.span[:, None, None]
    middle = np.median(units[:, scene.valid], axis=1)
    return np.where(scene.valid, units, middle[:, None, None]).astype(np.float32)


def score(scene: Truth, estimate: Pixels, part: tuple[slice, slice] = (slice(None), slice(None))) -> dict[str, float]:
    """PSNR in dB and SSIM of ``estimate`` (band, row, col) in DN, over the valid pixels of ``part``; means over bands."""
    valid = scene.valid[part]
    lo, span = scene.lo[:, None, None], scene.span[:, None, None]
    true, guess = (
        np.where(valid, (pixels[:, *part].astype(np.float64) - lo) / span, 0) for pixels in (scene.pixels, estimate)
    )
    mse = np.square(true - guess)[:, valid].mean(axis=1)
    return {"psnr": round(float(np.mean(-10 * np.log10(mse))), 3), "ssim": round(ssim(true, guess, valid), 4)}


def ssim(true: Pixels, guess: Pixels, valid: Mask) -> float:
    """Structural similarity of pixels in 0..1 (Gaussian window of 11 px, sigma 1.5), over windows of valid pixels only."""
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    whole = sliding_window_view(np.pad(valid, 5, constant_values=True), (11, 11)).all(axis=(-2, -1))
    pair = [torch.from_numpy(np.ascontiguousarray(pixels))[None] for pixels in (guess, true)]
    _, each = structural_similarity_index_measure(*pair, data_range=1.0, sigma=1.5, return_full_image=True)
    return float(each[0].numpy()[:, whole].mean(axis=1).mean())
