"""What ``geoae batch`` shows: its progress, and the table at its end."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from geoae.archive.report import BatchProgress, BatchReport
from geoae.archive.triage import STATUSES, Outcome, describe_counts
from geoae.cli.console import say
from geoae.cli.words import duration
from geoae.system.wording import count

__all__ = ["show_batch", "show_progress"]

# Rows of the table: those of a large archive would hide the line below it.
ROWS = 50


@contextmanager
def show_progress() -> Iterator[Callable[[BatchProgress], None]]:
    """Show progress: a bar on a terminal, a line for each scene in a log."""
    began = time.monotonic()
    if not sys.stderr.isatty():
        yield lambda now: _log(now, time.monotonic() - began)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking for what is left", total=None, figures="")

        def show(now: BatchProgress) -> None:
            for line in _describe(now.latest):
                bar.console.print(line, markup=False, highlight=False)
            figures = _figures(now, time.monotonic() - began)
            bar.update(
                task,
                description="restoring",
                completed=now.done,
                total=now.total,
                figures=f"{now.done}/{now.total} scenes, {figures}",
            )

        yield show


def _log(now: BatchProgress, seconds: float) -> None:
    for line in _describe(now.latest):
        print(line, file=sys.stderr, flush=True)
    left = (now.total - now.done) * seconds / now.done
    rest = f", {duration(left)} left" if now.done < now.total else ""
    line = f"{now.done} of {now.total} scenes, {_figures(now, seconds)}{rest}"
    print(f"geoae: {line}", file=sys.stderr, flush=True)


def _figures(now: BatchProgress, seconds: float) -> str:
    return (
        f"{now.megapixels / max(seconds, 1e-9):.2f} Mpx/s, {count(now.workers, 'worker')},"
        f" {now.failed} failed"
    )


def _describe(latest: Outcome) -> list[str]:
    """Return the lines about a scene that ended: what went wrong, and its warnings."""
    lines = [f"geoae: warning: {_one_line(text)}" for text in latest.warnings]
    if latest.status == "failed":
        lines.append(f"geoae: {_one_line(latest.reason)}")
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())


def show_batch(report: BatchReport, as_json: bool) -> None:
    """Print the outcomes of an archive.

    Args:
        report: what ``restore_archive`` returned.
        as_json: whether to print JSON instead of a table.

    """
    if as_json:
        say(report.model_dump_json(indent=2))
        return
    # A scene that was done before is counted, not listed.
    listed = [one for one in report.outcomes if one.began or one.status != "skipped"]
    listed.sort(key=lambda one: (STATUSES.index(one.status), one.source))
    table = Table("scene", "outcome", "seconds", "why")
    for one in listed[:ROWS]:
        seconds = f"{one.seconds:.1f}" if one.began else ""
        table.add_row(one.source, one.status, seconds, _one_line(one.reason))
    if listed:
        Console(width=None if sys.stdout.isatty() else 160).print(table)
    if len(listed) > ROWS:
        say(f"and {len(listed) - ROWS} more; --json lists all")
    line = f"{count(len(report.outcomes), 'scene')}: {describe_counts(report.outcomes)}"
    if any(one.began for one in report.outcomes):
        rate, workers = report.megapixels_per_second, count(report.workers, "worker")
        line += f"; {report.seconds:.1f} s, {rate:.2f} Mpx/s, {workers}"
    say(line)
