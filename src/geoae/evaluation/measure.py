"""One contender on one scene under one noise, and all of them on all."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.transform import Affine

from geoae.errors import RejectedError
from geoae.evaluation.baselines import PEERS
from geoae.evaluation.metrics import ergas, psnr, spectral_angle, ssim
from geoae.evaluation.reference import GREYS, Truth
from geoae.pipeline.job import Job, ModelSpec
from geoae.pipeline.prepare import load_restorer
from geoae.pipeline.run import run
from geoae.raster.scene import Scene
from geoae.types import Floats

__all__ = ["Row", "evaluate"]


@dataclass(frozen=True, slots=True)
class Row:
    """What ``contender`` made of ``scene`` under noise of ``sigma`` 255ths of the bands' span.

    ``psnr`` in dB and ``ssim``, means over bands; ``angle``: mean spectral angle in degrees, NaN
    for one band; ``ergas``; ``bias``: worst change of a band's mean, percent of its span;
    ``kflop``: per pixel and band, NaN for peers; ``megapixels``: per second, from file to file for
    models, in memory for peers. Crops are small: the speed on a whole scene is another.
    """

    scene: str
    bands: int
    sigma: float
    contender: str
    psnr: float
    ssim: float
    angle: float
    ergas: float
    bias: float
    kflop: float
    megapixels: float


def evaluate(
    models: Sequence[str],
    scenes: Sequence[tuple[str, Path]],
    sigmas: Sequence[float],
    *,
    peers: Sequence[str] = (),
    side: int = 512,
    on_row: Callable[[Row], None] = lambda row: None,
    on_answer: Callable[
        [Truth, float, str, Floats], None
    ] = lambda truth, sigma, contender, pixels: None,
) -> list[Row]:
    """Every contender on every scene under every noise, the noisy scene itself among them.

    ``models`` are blind: each gets a file and nothing else. ``peers``, names in ``PEERS``, are told
    the true noise. A sigma of 0 asks for a scene made clean (means of 4 x 4 px) back as it was.
    ``on_answer`` hears what each contender made of a scene under a noise, (band, row, col) in DN.
    Raises a ``GeoaeError``.
    """
    restorers = {name: load_restorer(ModelSpec(name)) for name in models}
    rows = []
    with tempfile.TemporaryDirectory(prefix="geoae-evaluate-") as folder:
        for model in models:
            _warmed(model, Path(folder))
        for name, path in scenes:
            whole = Truth.read(path, name, side)
            for sigma in sigmas:
                truth = whole if sigma else whole.clean()
                given = truth.noisy(sigma)
                for contender, restored, seconds in _answers(
                    truth, given, sigma, models, peers, Path(folder)
                ):
                    card = getattr(restorers.get(contender), "card", None)
                    kflop = card.kflop(len(given)) if card else float("nan")
                    row = _scored(truth, given, restored, sigma, contender, kflop, seconds)
                    rows.append(row)
                    on_row(row)
                    on_answer(truth, sigma, contender, restored)
    return rows


def _warmed(model: str, folder: Path) -> None:
    """One run for nothing: the first pass of a network prepares its kernels."""
    pixels = np.random.default_rng(0).normal(100, 10, (1, 64, 64))
    truth = Truth.of("warm", pixels, np.ones((64, 64), bool), None, Affine.identity())
    truth.write(folder / "warm.tif", pixels)
    _restored(model, folder / "warm.tif", folder / "warmed.tif")


def _restored(model: str, source: Path, target: Path) -> Path:
    """What ``model`` made of ``source``; one that moves the means is measured like any other."""
    try:
        run(Job(source=str(source), target=str(target), model=model, overwrite=True, fresh=True))
    except RejectedError:
        return target.with_name(f"{target.name}.rejected")
    return target


def _answers(
    truth: Truth,
    given: Floats,
    sigma: float,
    models: Sequence[str],
    peers: Sequence[str],
    folder: Path,
) -> Iterator[tuple[str, Floats, float]]:
    """Contender, what it made of ``given`` in DN, and the seconds it took."""
    yield "noisy", given, float("nan")
    noisy, target = folder / "noisy.tif", folder / "restored.tif"
    truth.write(noisy, given)
    for model in models:
        began = time.perf_counter()
        written = _restored(model, noisy, target)
        seconds = time.perf_counter() - began
        with Scene.open(str(written)).reader() as reader:
            yield model, reader.dataset.read().astype(np.float64), seconds
    for peer in peers if sigma else ():
        began = time.perf_counter()
        restored = PEERS[peer](truth.to_unit(given), sigma / GREYS)
        yield peer, truth.to_dn(restored), time.perf_counter() - began


def _scored(
    truth: Truth,
    given: Floats,
    restored: Floats,
    sigma: float,
    contender: str,
    kflop: float,
    seconds: float,
) -> Row:
    # A band of one value has no span to measure by.
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
