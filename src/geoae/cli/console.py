"""Output of the command: progress, summaries, tables."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from geoae.cli.words import duration, otherwise, size
from geoae.pipeline.report import RestoreReport
from geoae.pipeline.run import Progress as Done
from geoae.system.wording import count, name_bands, name_first

__all__ = [
    "print_log",
    "progress",
    "say",
    "show_error",
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
            line = f"geoae: {done.done} of {done.total} tiles{earlier}, {duration(left)} left"
            print(line, file=sys.stderr, flush=True)

        yield log


def _numbers(values: Sequence[float]) -> str:
    """Format at most four numbers, and say how many more there are."""
    return name_first([f"{value:.3g}" for value in values], 4)


def say_copied(copied: Mapping[int, str]) -> None:
    """Print why each band that is copied is no measurement, one line each."""
    for band, reason in copied.items():
        say(f"band {band} copied untouched: {reason}{otherwise(reason)}")


def summary(report: RestoreReport) -> None:
    """Print one line on the run, and one for each band that was copied."""
    say_copied(report.copied)
    if report.status == "skipped":
        say(f"{report.target}: already restored with this model and these options; nothing to do")
        return
    if not report.bands:
        say(f"{report.target}: copied, since there is no band to restore")
        return
    for step in report.steps:
        say(step)
    tiles = count(report.tiles_computed, "tile") + (
        f" ({report.tiles_empty} empty)" if report.tiles_empty else ""
    )
    if report.slabs_resumed:
        tiles += f", {count(report.slabs_resumed, 'slab')} from an earlier run"
    facts = [
        size(report.height, report.width, len(report.bands) + len(report.copied)),
        tiles,
        f"{report.seconds:.1f} s",
        f"{report.megapixels_per_second:.2f} Mpx/s",
        _outcome(report),
        f"model {report.model}",
    ]
    say(f"{report.target}: {', '.join(fact for fact in facts if fact)}")


def _outcome(report: RestoreReport) -> str:
    """Say what became of the noise of the bands of which it is known; empty where none is."""
    if not report.changes:
        return "no pixel changed"
    pairs = zip(report.bands, report.sigma_before, report.sigma_after, strict=True)
    known = [pair for pair in pairs if pair[1] > 0 and pair[2] > 0]
    if not known:
        return ""
    bands, before, after = zip(*known, strict=True)
    where = "" if len(known) == len(report.bands) else f" in {name_bands(bands)}"
    return f"noise {_numbers(before)} -> {_numbers(after)} {report.unit}{where}"
