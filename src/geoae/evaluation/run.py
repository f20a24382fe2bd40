"""An evaluation with its files: ``figures.csv``, ``figures.md``, ``figures.png``,
``scenes.jpg``; or ``damage.csv`` and ``damage.md``, which leave those of noise as they are.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from geoae.catalog.sources import scenes_below
from geoae.errors import OutputError, RecipeError
from geoae.evaluation.baselines import BASELINES, PACKAGES
from geoae.evaluation.contact_sheet import Sheet
from geoae.evaluation.damage import DAMAGES
from geoae.evaluation.measure import Row, evaluate
from geoae.evaluation.measure_damage import DamageRow, evaluate_damage, told_methods
from geoae.evaluation.reference import GREYS
from geoae.evaluation.tables import as_damage_markdown, as_markdown, csv_of_rows, draw
from geoae.evaluation.told import NEEDED, TOLD
from geoae.models.card import model_folder, shipped_models
from geoae.resources import require_extra

__all__ = ["run_damage_evaluation", "run_evaluation"]

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
    with _writable(out):
        with csv_of_rows(out / "figures.csv", Row) as write:

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
    LOG.info("%s%s", os.linesep, table)
    LOG.info("%s: figures.csv, figures.md, figures.png, scenes.jpg", out)


def run_damage_evaluation(
    models: str | None,
    places: Sequence[Path],
    kept_out: Sequence[str] | None,
    damages: str,
    peers: str | None,
    side: int,
    out: Path,
    nodata: float | int | None = None,
) -> None:
    """Measure models on scenes with known damage and write ``damage.csv`` and ``damage.md``.

    Args:
        models: shipped names or model folders, with commas; None for all shipped models.
        places: rasters, or folders of rasters.
        kept_out: names of scenes; where given, only these are used.
        damages: keys of ``DAMAGES``, with commas.
        peers: keys of ``TOLD``, with commas, or "all" for those of the damages; None for those of
            them that need no further package.
        side: side of the middle part of each scene that is used, in pixels.
        out: folder to write.
        nodata: value of invalid pixels that the files do not declare, in DN.

    Raises:
        GeoaeError: an argument is wrong, a scene cannot be used, or ``out`` cannot be written.

    """
    require_extra("demo", "torchmetrics")
    chosen = _damages(damages)
    methods = _told(peers, chosen)
    names, scenes = _models(models), _scenes(places, kept_out)
    with _writable(out):
        with csv_of_rows(out / "damage.csv", DamageRow) as write:

            def keep(row: DamageRow) -> None:
                write(row)
                figures = (row.scene, row.damage, row.contender, row.psnr, row.ssim)
                LOG.info("%s %s %s: %.2f dB, SSIM %.3f", *figures)

            rows = evaluate_damage(
                names, scenes, chosen, peers=methods, side=side, nodata=nodata, on_row=keep
            )
        table = as_damage_markdown(rows)
        (out / "damage.md").write_text(table)
    LOG.info("%s%s", os.linesep, table)
    LOG.info("%s: damage.csv, damage.md", out)


@contextmanager
def _writable(out: Path) -> Iterator[None]:
    """Make a folder to write to; raise ``OutputError`` where it or a file cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise OutputError(
            f"{out}: cannot be written ({error.strerror or error}); choose another -o"
        ) from error


def _damages(names: str) -> list[str]:
    """Parse names of damages with commas; raise ``RecipeError``."""
    chosen = list(dict.fromkeys(names.split(",")))
    for name in chosen:
        if name not in DAMAGES:
            near = get_close_matches(name, DAMAGES, 1)
            cure = f"did you mean {near[0]}?" if near else f"known are {', '.join(DAMAGES)}"
            raise RecipeError(f"--damage {name}: {cure}")
    return chosen


def _told(names: str | None, damages: Sequence[str]) -> list[str]:
    """Choose among the told methods of the damages; raise ``GeoaeError``."""
    known = told_methods(damages)
    needed = {name: {NEEDED[step] for step in TOLD[name] if step in NEEDED} for name in known}
    if names is None:
        return [name for name in known if not needed[name]]
    chosen = known if names == "all" else names.split(",")
    for name in chosen:
        if name not in known:
            cure = f"known for this damage are {', '.join(known)}" if known else "there are none"
            raise RecipeError(f"--peers {name}: {cure}")
    require_extra("peers", *sorted(set().union(*(needed[name] for name in chosen))))
    return chosen


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
