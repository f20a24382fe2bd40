"""Figures of an evaluation as CSV, Markdown and a plot."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from statistics import fmean
from typing import TypeVar

from geoae.evaluation.measure import Row
from geoae.evaluation.measure_damage import DamageRow

__all__ = ["as_damage_markdown", "as_markdown", "csv_of_rows", "draw"]

Kind = TypeVar("Kind", Row, DamageRow)


@contextmanager
def csv_of_rows(path: Path, kind: type[Kind]) -> Iterator[Callable[[Kind], None]]:
    """Open ``path`` as a table of rows of one data class and yield a function that writes a row.

    Each row is flushed, so an evaluation that is interrupted keeps what it has measured.

    Args:
        path: the file.
        kind: the data class, whose fields are the columns.

    """
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(kind)])
        table.writeheader()

        def write(row: Kind) -> None:
            table.writerow(asdict(row))
            file.flush()

        yield write


def as_markdown(rows: Sequence[Row]) -> str:
    """Format PSNR and SSIM of each scene, then, for each noise level, the mean of every figure."""
    contenders = list(dict.fromkeys(row.contender for row in rows))
    heads = ["scene", "bands", "noise", *contenders]
    lines = ["PSNR in dB / SSIM.", "", _line(heads), _line(["---"] * len(heads))]
    for scene, sigma in dict.fromkeys((row.scene, row.sigma) for row in rows):
        here = {row.contender: row for row in rows if (row.scene, row.sigma) == (scene, sigma)}
        cells = [
            f"{_format_figure(here[c].psnr, 2)} / {here[c].ssim:.3f}" if c in here else ""
            for c in contenders
        ]
        lines.append(_line([scene, str(next(iter(here.values())).bands), f"{sigma:g}", *cells]))
    names = ["psnr", "ssim", "angle", "ergas", "bias", "kflop", "megapixels"]
    units = ["PSNR dB", "SSIM", "angle °", "ERGAS", "bias % of span", "kFLOP/px", "Mpx/s"]
    lines += [
        "",
        "Means over the scenes.",
        "",
        _line(["noise", "contender", *units]),
        _line(["---"] * (len(names) + 2)),
    ]
    for sigma in dict.fromkeys(row.sigma for row in rows):
        for contender in contenders:
            group = [row for row in rows if (row.sigma, row.contender) == (sigma, contender)]
            if group:
                lines.append(
                    _line(
                        [
                            f"{sigma:g}",
                            contender,
                            *(_format_figure(_mean(group, name), 3) for name in names),
                        ]
                    )
                )
    return "\n".join(lines) + "\n"


def as_damage_markdown(rows: Sequence[DamageRow]) -> str:
    """Format the mean over the scenes of every figure, for each damage and contender.

    The gain is over the told method that is best on the scene; positive is better than it.
    """
    names = ["stripes", "lost", "found", "false", "bias", "seconds"]
    units = ["stripes", "lost pixels dB", "found", "false", "bias % of span", "seconds"]
    heads = ["damage", "contender", "PSNR dB", "over best told dB", "SSIM", *units]
    lines = [
        "Means over the scenes. Stripes are in 255ths of a band's span, found is a share of the"
        " lost rows, false a number of rows.",
        "",
        _line(heads),
        _line(["---"] * len(heads)),
    ]
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.told:
            place = (row.scene, row.damage)
            best[place] = max(best.get(place, -math.inf), row.psnr)
    for damage, contender in dict.fromkeys((row.damage, row.contender) for row in rows):
        group = [row for row in rows if (row.damage, row.contender) == (damage, contender)]
        gains = [row.psnr - best.get((row.scene, row.damage), math.nan) for row in group]
        gain = _finite_mean(gains)
        cells = [
            _format_psnr([row.psnr for row in group]),
            "" if math.isnan(gain) else f"{gain:+.2f}",
            _format_figure(_mean(group, "ssim"), 4),
            *(_format_figure(_mean(group, name), 2) for name in names),
        ]
        told = f"{contender} (told)" if group[0].told else contender
        lines.append(_line([damage, told, *cells]))
    return "\n".join(lines) + "\n"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Plot the gain in PSNR over the noisy scene against noise, averaged over scenes.

    Args:
        rows: figures of the evaluation.
        path: image to write.

    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    sigmas = sorted({row.sigma for row in rows if row.sigma})
    noisy = {(row.scene, row.sigma): row.psnr for row in rows if row.contender == "noisy"}
    for contender in dict.fromkeys(row.contender for row in rows if row.contender != "noisy"):
        gains = [
            fmean(
                row.psnr - noisy[row.scene, sigma]
                for row in rows
                if (row.contender, row.sigma) == (contender, sigma)
            )
            for sigma in sigmas
        ]
        axes.plot(sigmas, gains, marker="o", label=contender)
    axes.set_xlabel("noise, 255ths of a band's span")
    axes.set_ylabel("gain in PSNR over the noisy scene, dB")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _mean(rows: Sequence[Row] | Sequence[DamageRow], name: str) -> float:
    return _finite_mean([getattr(row, name) for row in rows])


def _finite_mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return fmean(finite) if finite else math.nan


def _format_psnr(values: Sequence[float]) -> str:
    """Format the mean of what is finite, and the number of scenes that came back exactly."""
    exact = sum(value == math.inf for value in values)
    mean = _format_figure(_finite_mean(values), 2)
    return f"{mean} ({exact} exact)".strip() if exact else mean


def _format_figure(value: float, digits: int) -> str:
    if math.isnan(value):
        return ""
    return "exact" if value == math.inf else f"{value:.{digits}f}"
