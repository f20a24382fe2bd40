"""Output of the command: progress, summaries, tables."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from geoae.pipeline.inspection import Inspection
from geoae.pipeline.report import RestoreReport
from geoae.pipeline.run import Progress as Done

if TYPE_CHECKING:
    from geoae.models.card import Card
    from geoae.pipeline.diagnose import Diagnosis
    from geoae.verification.run import VerifyReport

__all__ = [
    "print_log",
    "progress",
    "say",
    "show_diagnosis",
    "show_error",
    "show_inspection",
    "show_models",
    "show_verification",
    "summary",
    "warn",
]

# Seconds between the lines of a log, and before the first one; quick runs print none.
LOG_EVERY = 30.0
FIRST_AFTER = 3.0


def say(text: str) -> None:
    """Print a line to standard output."""
    print(text, flush=True)


class _Printer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def print_log() -> Iterator[None]:
    """Print what geoae logs to standard output, line by line."""
    logger, printer = logging.getLogger("geoae"), _Printer(logging.INFO)
    before = logger.level
    logger.addHandler(printer)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(printer)


def warn(text: str) -> None:
    """Print a warning to standard error, apart from the figures."""
    print(f"geoae: warning: {text}", file=sys.stderr, flush=True)


def show_error(error: Exception) -> None:
    """Print the error of one scene among several to standard error, in one line."""
    print("geoae: " + " ".join(str(error).split()), file=sys.stderr, flush=True)


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[Done], None]]:
    """Show progress: a bar with rate and time left on a terminal, a line now and then in a log."""
    if quiet:
        yield lambda done: None
    elif sys.stderr.isatty():
        columns = (
            TextColumn("restoring"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} tiles"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("restore", total=None, rate="")
            began = time.monotonic()

            def show(done: Done) -> None:
                rate = (done.done - done.resumed) / (time.monotonic() - began)
                bar.update(task, completed=done.done, total=done.total, rate=f"{rate:.1f} tiles/s")

            yield show
    else:
        began = last = time.monotonic()
        told = False

        def log(done: Done) -> None:
            nonlocal last, told
            now = time.monotonic()
            if done.done == done.total or now - last < (LOG_EVERY if told else FIRST_AFTER):
                return
            last, left = (
                now,
                (done.total - done.done) * (now - began) / max(done.done - done.resumed, 1),
            )
            earlier = f", {done.resumed} from an earlier run" if done.resumed and not told else ""
            told = True
            line = f"geoae: {done.done} of {done.total} tiles{earlier}, {_duration(left)} left"
            print(line, file=sys.stderr, flush=True)

        yield log


def _numbers(values: Sequence[float]) -> str:
    """Format at most four numbers, and say how many more there are."""
    shown = ", ".join(f"{value:.3g}" for value in values[:4])
    return shown + (f" and {len(values) - 4} more" if len(values) > 4 else "")


def _duration(seconds: float) -> str:
    """Format a duration, rounded, for people."""
    if seconds < 1:
        return "less than a second"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} s"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _size(rows: int, columns: int, bands: int) -> str:
    return f"{rows} rows x {columns} columns x {_count(bands, 'band')}"


def _otherwise(reason: str) -> str:
    """Say how to restore a band that is copied because of its tag, name or values."""
    return "" if reason == "not among --bands" else "; to restore it, name it in --bands"


def summary(report: RestoreReport) -> None:
    """Print one line on the run, and one for each band that was copied."""
    for band, reason in report.copied.items():
        say(f"band {band} copied untouched: {reason}{_otherwise(reason)}")
    if report.status == "skipped":
        say(f"{report.target}: already restored with this model and these options; nothing to do")
        return
    if not report.bands:
        say(f"{report.target}: copied, since no band is a measurement")
        return
    for step in report.steps:
        say(step)
    tiles = _count(report.tiles_computed, "tile") + (
        f" ({report.tiles_empty} empty)" if report.tiles_empty else ""
    )
    if report.slabs_resumed:
        tiles += f", {_count(report.slabs_resumed, 'slab')} from an earlier run"
    say(
        f"{report.target}:"
        f" {_size(report.height, report.width, len(report.bands) + len(report.copied))}, {tiles},"
        f" {report.seconds:.1f} s, {report.megapixels_per_second:.2f} Mpx/s, noise"
        f" {_numbers(report.sigma_before)} -> {_numbers(report.sigma_after)} {report.unit}, model"
        f" {report.model}"
    )


def show_inspection(found: Inspection, as_json: bool) -> None:
    """Print a scene, its bands and its plan.

    Args:
        found: the result of ``geoae inspect``.
        as_json: whether to print JSON instead.

    """
    if as_json:
        say(found.model_dump_json(indent=2))
        return
    say(
        f"{found.source}: {found.driver}, {_size(found.height, found.width, found.count)}"
        f" {found.dtype}, CRS {found.crs}, {found.valid_percent:.1f} % valid"
    )
    noise = f"noise {found.unit}", "variance/DN" if found.unit == "DN" else "variance/unit"
    table = Table("band", "name", "nodata", "mean", "spread", *noise, "SNR", "treatment")
    for band in found.bands:
        figures = (
            f"{value:.4g}" if value is not None else ""
            for value in (band.mean, band.spread, band.sigma, band.slope, band.snr)
        )
        table.add_row(
            str(band.index),
            band.name,
            "" if band.nodata is None else f"{float(band.nodata):g}",
            *figures,
            band.treatment,
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    for note in found.notes:
        say(note)
    for band in found.bands:
        kind, _, reason = band.treatment.partition(": ")
        if kind == "copied" and (cure := _otherwise(reason)):
            say(f"band {band.index} will be {band.treatment}{cure}")
    for line in found.steps:
        say(line)
    plan = found.plan
    say(
        f"plan: {_count(plan.tiles, 'tile')} of {plan.tile[0]} x {plan.tile[1]} px, overlap"
        f" {plan.overlap}, {_count(plan.slabs, 'slab')}, about {plan.memory_mib} MiB of memory,"
        f" {plan.disk_mib} MiB of disk while running, {_duration(plan.seconds)} with model"
        f" {plan.model} on {plan.setting}"
    )
    steps = [*found.restored_before, found.restored_with] if found.restored_with else []
    for number, step in enumerate(steps, start=1):
        _show_step(step, f" (step {number} of {len(steps)})" if len(steps) > 1 else "")


def show_diagnosis(found: "Diagnosis", as_json: bool) -> None:
    """Print findings, and what restoring would do.

    Args:
        found: the result of ``geoae diagnose``.
        as_json: whether to print JSON instead.

    """
    if as_json:
        say(found.model_dump_json(indent=2))
        return
    say(
        f"{found.source}: {_size(found.height, found.width, len(found.bands))},"
        f" {found.valid_percent:.1f} % valid"
    )
    table = Table("finding", "band", "strength", "where", "evidence", "sure", "what to do")
    for one in found.findings:
        table.add_row(
            one.kind,
            "all" if one.band is None else str(one.band),
            f"{one.strength:.4g} {one.unit}",
            one.place,
            one.evidence,
            f"{100 * one.confidence:.0f} %",
            one.action,
        )
    if found.findings:
        Console(width=None if sys.stdout.isatty() else 160).print(table)
    else:
        say("nothing found")
    for line in (*found.notes, *found.steps):
        say(line)
    say(f"looked at in {_duration(found.seconds)}")


def _show_step(step: Mapping[str, str], place: str) -> None:
    """Print one restoration that made an output."""
    say(
        f"already restored by geoae {step.get('VERSION', '?')} with model"
        f" {step.get('MODEL', '?')}{place}"
    )
    unit = step.get("UNIT", "DN")
    facts = {
        "model digest": step.get("MODEL_DIGEST"),
        "computed on": step.get("SETTING"),
        "source": step.get("SOURCE"),
        "source identity": step.get("SOURCE_IDENTITY"),
        "recipe": step.get("RECIPE"),
        "options": step.get("OPTIONS"),
        "bands": step.get("BANDS", "").replace(",", ", "),
        f"noise, {unit}": step.get("SIGMA", "").replace(",", ", "),
        f"its variance/{'DN' if unit == 'DN' else 'unit'}": step.get("SLOPE", "").replace(
            ",", ", "
        ),
        "fingerprint": step.get("FINGERPRINT"),
    }
    for name, fact in facts.items():
        say(f"  {name:<16} {fact or 'none'}")


def show_verification(report: "VerifyReport") -> None:
    """Print every check with its figure and limit, and its note."""
    table = Table("check", "what is measured", "figure", "limit", "unit", "result")
    for name, check in report.checks.items():
        figures = (f"{value:.3g}" for value in (check.figure, check.limit))
        table.add_row(
            name, check.measured, *figures, check.unit, "passed" if check.passed else "FAILED"
        )
    for name, reason in report.skipped.items():
        table.add_row(name, reason, "", "", "", "skipped")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    for name, check in report.checks.items():
        if check.note:
            say(f"{name}: {check.note}")
    passed = len(report.checks) - len(report.failed)
    say(
        f"{report.model}: {passed} of {len(report.checks)} checks passed, {report.seconds:.0f} s,"
        f" {report.setting}, {report.scene} scene of"
        f" {_size(report.height, report.width, report.bands)}"
    )


def show_models(cards: Sequence["Card"]) -> None:
    """Print the shipped models, and ``identity``."""
    table = Table("name", "what it is", "halo px", "kFLOP/px·band", "parameters", "verified")
    for card in cards:
        figures = (str(card.halo), f"{card.kflop(card.channels):.0f}", f"{card.parameters:,}")
        table.add_row(card.name, card.description, *figures, "yes" if card.is_verified else "no")
    table.add_row(
        "identity", "changes nothing, bit for bit; for trying the pipeline", "8", "0", "0", ""
    )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
