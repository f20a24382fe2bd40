import sys

import pytest

from geoae.cli import console
from geoae.pipeline.run import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    return now


def test_a_log_says_now_and_then_how_far_a_run_is(clock, capsys):
    with console.progress(quiet=False) as on_progress:
        for second, done in ((1, 11), (4, 14), (10, 20), (35, 45), (64, 74), (66, 76)):
            clock[0] = 100 + second
            on_progress(Progress(done, 110, 10))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "geoae: 14 of 110 tiles, 10 from an earlier run, about 96 s left",
        "geoae: 45 of 110 tiles, about 65 s left",
        "geoae: 76 of 110 tiles, about 34 s left",
    ]


def test_a_quick_or_quiet_run_needs_no_log(clock, capsys):
    for quiet, seconds in ((False, 2), (True, 500)):
        with console.progress(quiet) as on_progress:
            clock[0] += seconds
            on_progress(Progress(1, 3, 0))
            on_progress(Progress(3, 3, 0))
    assert not capsys.readouterr().err
