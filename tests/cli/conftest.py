import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from geoae.cli import main
from geoae.cli.service.worker import Service
from tests.support.commands import free_port
from tests.support.logs import logged
from tests.support.rasters import noise, texture, write


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """A noisy scene ``s.tif`` in the current folder."""
    monkeypatch.chdir(tmp_path)
    pixels = texture(3, 90, 130) + noise((3, 90, 130), 20)
    return write(tmp_path / "s.tif", pixels.astype(np.uint16))


@pytest.fixture
def geoae(monkeypatch, capsys):
    """The command in this process: exit code, lines of standard output, lines of standard error."""
    monkeypatch.setattr(main, "tune_process", lambda: None)  # would outlive the test
    for hook in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, hook, getattr(sys, hook))
    before = {
        each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }

    def call(*words: str) -> tuple[int, list[str], list[str]]:
        monkeypatch.setattr(sys, "argv", ["geoae", *words])
        try:
            main.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    yield call
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def home(tmp_path):
    """Folder of the server's PID and log; a server whose PID is there is ended after the test."""
    (tmp_path / "home").mkdir()
    yield tmp_path / "home"
    with suppress(OSError, ValueError):
        pid = int((tmp_path / "home" / "server.pid").read_text())
        if b"server" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def service(said, home):
    return Service.at(f"http://127.0.0.1:{free_port()}/api", {})


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What geoae logs for people, line by line."""
    with logged() as lines:
        yield lines
