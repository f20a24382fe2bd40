"""Measure each contender on each scene under each noise level."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.transform import Affine

from geoae.errors import RejectedError
from geoae.evaluation.baselines import BASELINES
from geoae.evaluation.metrics import ergas, psnr, spectral_angle, ssim
from geoae.evaluation.reference import GREYS, Reference
from geoae.pipeline.job import Job, ModelSpec
from geoae.pipeline.preparation.prepare import load_restorer
from geoae.pipeline.report import RestoreReport
from geoae.pipeline.run import run
from geoae.raster.scene import Scene
from geoae.types import Floats

__all__ = ["Row", "evaluate", "restore_file", "warm_up"]


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of one contender on one scene under one noise level."""

    scene: str
    """Name of the scene."""
    bands: int
    """Number of bands."""
    sigma: float
    """Standard deviation of the noise in 255ths of a band's span."""
    contender: str
    """Name of the model or baseline; "noisy" is the scene before restoration."""
    psnr: float
    """PSNR in dB, mean over bands."""
    ssim: float
    """SSIM, mean over bands."""
    angle: float
    """Mean spectral angle in degrees; NaN for a single band."""
    ergas: float
    """ERGAS, the relative global error."""
    bias: float
    """Largest change of a band's mean, in percent of its span."""
    kflop: float
    """Thousands of floating-point operations per pixel and band; NaN for baselines."""
    megapixels: float
    """Megapixels per second, for models from file to file, for baselines in memory. Crops are
    small: a whole scene has another speed.
    """


def evaluate(
    models: Sequence[str],
    scenes: Sequence[tuple[str, Path]],
    sigmas: Sequence[float],
    *,
    peers: Sequence[str] = (),
    side: int = 512,
    nodata: float | int | None = None,
    on_row: Callable[[Row], None] = lambda row: None,
    on_answer: Callable[
        [Reference, float, str, Floats], None
    ] = lambda truth, sigma, contender, pixels: None,
) -> list[Row]:
    """Measure every contender on every scene under every noise level, the noisy scene included.

    Models are blind: each gets a file and nothing else. Baselines are given the true noise.

    Args:
        models: shipped names or model folders.
        scenes: name and path of each scene.
        sigmas: noise levels in 255ths of a band's span. At level 0, the scene is averaged over
            blocks of 4 x 4 px, which removes its noise, and the figures show what a model changes
            in it.
        peers: keys of ``BASELINES``.
        side: side of the middle part of each scene that is used, in pixels.
        nodata: value of invalid pixels that the files do not declare, in DN.
        on_row: called with each row of figures.
        on_answer: called with the clean scene, the noise level, the contender and its result
            ``(band, row, col)`` in DN.

    Returns:
        All rows, in the order in which they were measured.

    Raises:
        GeoaeError: a model or a scene cannot be used.

    """
    restorers = {name: load_restorer(ModelSpec(name)) for name in models}
    rows = []
    with tempfile.TemporaryDirectory(prefix="geoae-evaluate-") as folder:
        for model in models:
            warm_up(model, Path(folder))
        for name, path in scenes:
            whole = Reference.read(path, name, side, nodata)
            for sigma in sigmas:
                truth = whole if sigma else whole.clean()
                given = truth.noisy(sigma)
                for contender, restored, seconds in _answers(
                    truth, given, sigma, models, peers, Path(folder)
                ):
                    card = getattr(restorers.get(contender), "card", None)
                    kflop = card.kflop(len(given)) if card else float("nan")
                    row = _score(truth, given, restored, sigma, contender, kflop, seconds)
                    rows.append(row)
                    on_row(row)
                    on_answer(truth, sigma, contender, restored)
    return rows


def warm_up(model: str, folder: Path) -> None:
    """Run the model once and discard the result: its first pass prepares kernels.

    Args:
        model: name or folder of the model.
        folder: folder for the files that it reads and writes.

    """
    pixels = np.random.default_rng(0).normal(100, 10, (1, 64, 64))
    truth = Reference.of("warm", pixels, np.ones((64, 64), bool), None, Affine.identity())
    truth.write(folder / "warm.tif", pixels)
    restore_file(model, folder / "warm.tif", folder / "warmed.tif")


def restore_file(
    model: str, source: Path, target: Path
) -> tuple[Floats, float, RestoreReport | None]:
    """Restore a file blindly, also where the check of the result rejects it.

    Args:
        model: shipped name or model folder.
        source: file to restore.
        target: file to write.

    Returns:
        The result ``(band, row, col)`` in DN, the seconds it took, and the run's report; no report
        where the result is rejected.

    """
    job = Job(source=str(source), target=str(target), model=model, overwrite=True, fresh=True)
    began = time.perf_counter()
    report = None
    try:
        report = run(job)
    except RejectedError:
        target = target.with_name(f"{target.name}.rejected")
    seconds = time.perf_counter() - began
    with Scene.open(str(target)).reader() as reader:
        return reader.dataset.read().astype(np.float64), seconds, report


def _answers(
    truth: Reference,
    given: Floats,
    sigma: float,
    models: Sequence[str],
    peers: Sequence[str],
    folder: Path,
) -> Iterator[tuple[str, Floats, float]]:
    """Yield each contender, its result in DN, and the seconds it took."""
    yield "noisy", given, float("nan")
    noisy, target = folder / "noisy.tif", folder / "restored.tif"
    truth.write(noisy, given)
    for model in models:
        restored, seconds, _ = restore_file(model, noisy, target)
        yield model, restored, seconds
    for peer in peers if sigma else ():
        began = time.perf_counter()
        units = BASELINES[peer](truth.to_unit(given), sigma / GREYS)
        yield peer, truth.to_dn(units), time.perf_counter() - began


def _score(
    truth: Reference,
    given: Floats,
    restored: Floats,
    sigma: float,
    contender: str,
    kflop: float,
    seconds: float,
) -> Row:
    # A band of one value has no span, hence no figures.
    some = truth.span > 0
    pair, valid, span = (truth.pixels[some], restored[some]), truth.valid, truth.span[some].tolist()
    shift = (restored[some][:, valid] - given[some][:, valid]).mean(axis=1)
    return Row(
        scene=truth.name,
        bands=len(restored),
        sigma=sigma,
        contender=contender,
        psnr=psnr(*pair, span, valid),
        ssim=ssim(*pair, span, valid),
        angle=spectral_angle(*pair, valid),
        ergas=ergas(*pair, valid),
        bias=float(100 * np.abs(shift / truth.span[some]).max()),
        kflop=kflop,
        megapixels=valid.size / 1e6 / seconds,
    )
