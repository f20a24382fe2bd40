"""Figures of an evaluation as CSV, Markdown and a plot."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from statistics import fmean

from geoae.evaluation.measure import Row

__all__ = ["as_markdown", "csv_of_rows", "draw"]


@contextmanager
def csv_of_rows(path: Path) -> Iterator[Callable[[Row], None]]:
    """Open ``path`` as a table and yield a function that writes a row to it.

    Each row is flushed, so an evaluation that is interrupted keeps what it has measured.
    """
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, [field.name for field in fields(Row)])
        table.writeheader()

        def write(row: Row) -> None:
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


def _mean(rows: Sequence[Row], name: str) -> float:
    values = [value for row in rows if math.isfinite(value := getattr(row, name))]
    return fmean(values) if values else math.nan


def _format_figure(value: float, digits: int) -> str:
    if math.isnan(value):
        return ""
    return "exact" if value == math.inf else f"{value:.{digits}f}"
