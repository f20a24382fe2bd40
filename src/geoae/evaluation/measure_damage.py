"""Measure each contender on each scene under each known damage."""

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoae.evaluation.damage import DAMAGES, Damaged, apply_damage
from geoae.evaluation.measure import restore_file, warm_up
from geoae.evaluation.metrics import psnr, ssim
from geoae.evaluation.reference import GREYS, Reference
from geoae.evaluation.told import TOLD
from geoae.pipeline.report import RestoreReport
from geoae.types import Floats, Mask

__all__ = ["DAMAGED", "DamageRow", "evaluate_damage", "told_methods"]

# Name of the scene before restoration among the contenders.
DAMAGED = "damaged"
# A line of the report that tells how many rows were filled, those of all bands together.
FILLED_ROWS = re.compile(r"lost (\d+) rows?\b")
# A row is lost where so much of its valid part is.
MOST = 0.9


@dataclass(frozen=True, slots=True)
class DamageRow:
    """Figures of one contender on one scene under one damage. NaN: there is no such figure."""

    scene: str
    """Name of the scene."""
    bands: int
    """Number of bands."""
    damage: str
    """Key of ``DAMAGES``."""
    contender: str
    """Name of the model or told method; "damaged" is the scene before restoration."""
    told: bool
    """Whether it is a method that was told everything about the damage."""
    psnr: float
    """PSNR in dB, mean over bands."""
    ssim: float
    """SSIM, mean over bands."""
    stripes: float
    """Root mean square of the detectors' mean errors, in 255ths of a band's span."""
    lost: float
    """PSNR in dB over the lost pixels alone, mean over bands."""
    found: float
    """Share of the lost rows whose error is less than half of what it was."""
    false: float
    """Number of rows that the report says were filled and that were not lost."""
    bias: float
    """Largest change of a band's mean, in percent of its span."""
    seconds: float
    """Time, for models from file to file."""


def evaluate_damage(
    models: Sequence[str],
    scenes: Sequence[tuple[str, Path]],
    damages: Sequence[str],
    *,
    peers: Sequence[str],
    side: int = 512,
    nodata: float | int | None = None,
    on_row: Callable[[DamageRow], None] = lambda row: None,
) -> list[DamageRow]:
    """Measure every contender on every scene under every damage, the damaged scene included.

    Models are blind: each gets a file and nothing else. Peers are told everything.

    Args:
        models: shipped names or model folders.
        scenes: name and path of each scene.
        damages: keys of ``DAMAGES``.
        peers: keys of ``TOLD`` that are used, where they are among the damage's peers.
        side: side of the middle part of each scene that is used, in pixels.
        nodata: value of invalid pixels that the files do not declare, in DN.
        on_row: called with each row of figures.

    Returns:
        All rows, in the order in which they were measured.

    Raises:
        GeoaeError: a model or a scene cannot be used.

    """
    rows = []
    with tempfile.TemporaryDirectory(prefix="geoae-evaluate-") as folder:
        for model in models:
            warm_up(model, Path(folder))
        for name, path in scenes:
            whole = Reference.read(path, name, side, nodata)
            for damage in damages:
                damaged = apply_damage(damage, whole)
                chosen = [peer for peer in DAMAGES[damage].peers if peer in peers]
                for row in _measure(damage, damaged, models, chosen, Path(folder)):
                    rows.append(row)
                    on_row(row)
    return rows


def told_methods(damages: Sequence[str]) -> list[str]:
    """Return the told methods of some damages, keys of ``TOLD``."""
    return list(dict.fromkeys(peer for damage in damages for peer in DAMAGES[damage].peers))


def _measure(
    damage: str, damaged: Damaged, models: Sequence[str], peers: Sequence[str], folder: Path
) -> Iterator[DamageRow]:
    nothing = float("nan")
    yield _score(damage, damaged, damaged.pixels, DAMAGED, False, nothing)
    source = folder / "damaged.tif"
    damaged.truth.write(source, damaged.pixels)
    for model in models:
        restored, seconds, report = restore_file(model, source, folder / "restored.tif")
        filled = _filled_rows(report)
        yield _score(damage, damaged, restored, model, False, seconds, filled)
    for peer in peers:
        began, restored = time.perf_counter(), damaged.pixels
        for method in TOLD[peer]:
            restored = method(restored, damaged.known)
        yield _score(damage, damaged, restored, peer, True, time.perf_counter() - began)


def _score(
    damage: str,
    damaged: Damaged,
    restored: Floats,
    contender: str,
    told: bool,
    seconds: float,
    filled: int | None = None,
) -> DamageRow:
    truth, lost = damaged.truth, damaged.known.lost
    # A band of one value has no span, hence no figures.
    some = truth.span > 0
    pair, span = (truth.pixels[some], restored[some]), truth.span[some].tolist()
    moved = (restored - damaged.pixels)[some][:, truth.valid].mean(axis=1)
    gone = np.zeros(truth.pixels.shape, bool) if lost is None else lost
    rows = _lost_rows(gone, truth.valid) if lost is not None else None
    found = _found_rows(damaged, restored, rows) if rows is not None else None
    return DamageRow(
        scene=truth.name,
        bands=len(restored),
        damage=damage,
        contender=contender,
        told=told,
        psnr=psnr(*pair, span, truth.valid),
        ssim=ssim(*pair, span, truth.valid),
        stripes=_stripe_residual(damaged, restored, some),
        lost=psnr(*pair, span, gone[some]),
        found=float("nan") if found is None else float(found.mean()),
        false=float("nan") if found is None or filled is None else max(filled - found.sum(), 0.0),
        bias=float(100 * np.abs(moved / span).max()),
        seconds=seconds,
    )


def _stripe_residual(damaged: Damaged, restored: Floats, some: Mask) -> float:
    """Return the root mean square of detectors' mean errors in 255ths; NaN without stripes."""
    detectors, truth = damaged.known.detectors, damaged.truth
    if detectors is None:
        return float("nan")
    numbers = detectors[truth.valid]
    count, squares = np.bincount(numbers), []
    for error, span in zip((restored - truth.pixels)[some], truth.span[some], strict=True):
        mean = np.bincount(numbers, error[truth.valid]) / np.maximum(count, 1)
        squares.append(np.average((GREYS * mean / span) ** 2, weights=count))
    return float(np.sqrt(np.mean(squares)))


def _lost_rows(gone: Mask, valid: Mask) -> Mask:
    """Return which rows ``(band, row)`` lost most of what is valid in them.

    A row without a valid pixel, as above and below a scene that is turned to north, lost nothing.
    """
    kept = (valid & ~gone).sum(axis=2)
    rows: Mask = gone.any(axis=2) & (kept < (1 - MOST) * valid.sum(axis=1))
    return rows


def _found_rows(damaged: Damaged, restored: Floats, lost: Mask) -> Mask | None:
    """Return which of the lost rows ``(band, row)`` came back better; None where none is lost."""
    if not lost.any():
        return None
    before, after = (
        np.square(np.where(damaged.truth.valid, pixels - damaged.truth.pixels, 0)).sum(axis=2)
        for pixels in (damaged.pixels, restored)
    )
    better: Mask = after[lost] < before[lost] / 4
    return better


def _filled_rows(report: RestoreReport | None) -> int | None:
    """Return how many rows were filled, as the report tells; None where it does not."""
    steps: Sequence[str] | None = getattr(report, "steps", None)
    if steps is None:
        return None
    return sum(int(number) for step in steps for number in FILLED_ROWS.findall(step))
