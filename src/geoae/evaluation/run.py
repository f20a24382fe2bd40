"""An evaluation with its files: ``figures.csv``, ``figures.md``, ``figures.png``,
``scenes.jpg``.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from geoae.catalog.sources import scenes_below
from geoae.errors import OutputError, RecipeError
from geoae.evaluation.baselines import BASELINES, PACKAGES
from geoae.evaluation.contact_sheet import Sheet
from geoae.evaluation.measure import Row, evaluate
from geoae.evaluation.reference import GREYS
from geoae.evaluation.tables import as_markdown, csv_of_rows, draw
from geoae.models.card import model_folder, shipped_models
from geoae.resources import require_extra

__all__ = ["run_evaluation"]

LOG = logging.getLogger(__name__)


def run_evaluation(
    models: str | None,
    places: Sequence[Path],
    kept_out: Sequence[str] | None,
    sigmas: str,
    peers: str | None,
    side: int,
    out: Path,
    nodata: float | int | None = None,
) -> None:
    """Measure models on scenes and write the figures.

    Args:
        models: shipped names or model folders, with commas; None for all shipped models.
        places: rasters, or folders of rasters.
        kept_out: names of scenes; where given, only these are used.
        sigmas: noise levels in 255ths of a band's span, with commas.
        peers: keys of ``BASELINES``, with commas, or "all"; None for none.
        side: side of the middle part of each scene that is used, in pixels.
        out: folder to write.
        nodata: value of invalid pixels that the files do not declare, in DN.

    Raises:
        GeoaeError: an argument is wrong, a scene cannot be used, or ``out`` cannot be written.

    """
    require_extra("demo", "matplotlib", "torchmetrics")
    chosen, levels = _peers(peers), _levels(sigmas)
    names, scenes = _models(models), _scenes(places, kept_out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with csv_of_rows(out / "figures.csv") as write:

            def keep(row: Row) -> None:
                write(row)
                figures = (row.scene, row.sigma, row.contender, row.psnr, row.ssim)
                LOG.info("%s noise %g %s: %.2f dB, SSIM %.3f", *figures)

            noisy = sorted(level for level in levels if level) or [0.0]
            sheet = Sheet(noisy[len(noisy) // 2], names)
            rows = evaluate(
                names,
                scenes,
                levels,
                peers=chosen,
                side=side,
                nodata=nodata,
                on_row=keep,
                on_answer=sheet.take,
            )
        table = as_markdown(rows)
        (out / "figures.md").write_text(table)
        draw(rows, out / "figures.png")
        sheet.draw(rows, out / "scenes.jpg")
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror or error}); choose another -o"
        ) from error
    LOG.info("%s%s", os.linesep, table)
    LOG.info("%s: figures.csv, figures.md, figures.png, scenes.jpg", out)


def _models(models: str | None) -> list[str]:
    """Names or folders of models; raise ``ModelError`` for one that is not there."""
    names = models.split(",") if models else [card.name for card in shipped_models()]
    for name in names:
        if name != "identity":
            model_folder(name)
    return names


def _scenes(places: Sequence[Path], kept_out: Sequence[str] | None) -> list[tuple[str, Path]]:
    """Names and paths of the scenes, of ``kept_out`` alone where it is given."""
    scenes = scenes_below(places)
    if kept_out is None:
        return scenes
    scenes = [(name, path) for name, path in scenes if name in kept_out]
    if not scenes:
        raise RecipeError("--kept-out-by: none of its validation scenes is below --scenes")
    return scenes


def _levels(sigmas: str) -> list[float]:
    """Parse noise levels with commas; raise ``RecipeError``."""
    try:
        levels = [float(text) for text in sigmas.split(",")]
    except ValueError as error:
        raise RecipeError(f"--sigmas {sigmas}: give numbers like 15,25,50") from error
    if not all(0 <= level <= GREYS for level in levels):
        raise RecipeError(
            f"--sigmas {sigmas}: give noise between 0 and {GREYS}, in {GREYS}ths of a band's span"
        )
    return levels


def _peers(names: str | None) -> list[str]:
    if names is None:
        return []
    chosen = list(BASELINES) if names == "all" else names.split(",")
    for name in chosen:
        if name not in BASELINES:
            raise RecipeError(f"--peers {name}: known are {', '.join(BASELINES)}")
    require_extra("peers", *sorted({PACKAGES[name] for name in chosen}))
    return chosen
