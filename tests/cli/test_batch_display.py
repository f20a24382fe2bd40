import io
import sys

import pytest

from geoae.archive.report import BatchProgress, BatchReport
from geoae.archive.triage import Outcome
from geoae.cli.batch_display import ROWS, show_batch, show_progress


def progress(status="restored", reason="", warnings=(), done=1, failed=0):
    latest = Outcome("s.tif", "out/s.tif", status, reason, 2.0, 1e9, 0.5, warnings)
    return BatchProgress(latest, done, 4, failed, 12.0, 2)


def report(*outcomes):
    return BatchReport(outcomes=list(outcomes), seconds=60.0, workers=2)


def test_a_log_has_a_line_for_each_scene(capsys):
    with show_progress() as tell:
        tell(progress(warnings=("is\nodd",)))
        tell(progress("failed", "s.tif: is bad", done=4, failed=1))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "geoae: warning: is odd"
    assert lines[1].startswith("geoae: 1 of 4 scenes, ")
    assert lines[1].endswith(" Mpx/s, 2 workers, 0 failed, less than a second left")
    assert lines[2] == "geoae: s.tif: is bad"
    assert lines[3].endswith(" Mpx/s, 2 workers, 1 failed")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_one_live_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with show_progress() as tell:
        tell(progress("failed", "s.tif: is [bad]", failed=1))
    shown = sys.stderr.getvalue()
    assert "geoae: s.tif: is [bad]" in shown
    assert "1/4 scenes" in shown
    assert "2 workers, 1 failed" in shown


def test_what_was_done_before_is_counted_and_not_listed(capsys):
    show_batch(
        report(
            Outcome("a.tif", "out/a.tif", "skipped", "already restored"),
            Outcome("b.tif", "out/b.tif", "restored", "", 3.0, 1e9, 6.0),
            Outcome("c.tif", "out/c.tif", "failed", "c.tif:\nis bad", 1.0, 1e9),
        ),
        as_json=False,
    )
    out = capsys.readouterr().out.splitlines()
    assert not any("a.tif" in line for line in out)
    rows = [line for line in out if ".tif" in line]
    assert "failed" in rows[0]
    assert "is bad" in rows[0]
    assert "restored" in rows[1]
    assert out[-1] == ("3 scenes: 1 failed, 1 restored, 1 skipped; 60.0 s, 0.10 Mpx/s, 2 workers")


def test_a_long_table_is_cut(capsys):
    show_batch(report(*[Outcome(f"{i}.tif", "t", "planned") for i in range(ROWS + 3)]), False)
    out = capsys.readouterr().out.splitlines()
    assert sum("planned" in line for line in out) == ROWS + 1
    assert out[-2] == "and 3 more; --json lists all"


@pytest.mark.parametrize("status", ["skipped", "planned"])
def test_where_nothing_was_restored_there_is_no_rate(capsys, status):
    show_batch(report(Outcome("a.tif", "t", status)), as_json=False)
    assert capsys.readouterr().out.splitlines()[-1] == f"1 scene: 1 {status}"
