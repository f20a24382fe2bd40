"""Prefect's server: start it in the background, or become it."""

import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from geoae.cli.service.worker import SETTINGS, Service, become_prefect
from geoae.errors import GeoaeError

__all__ = ["run_server", "start_server"]

LOG = logging.getLogger(__name__)

# The server's HTTPS proxy, unless one is set: a closed port. The server downloads the worker
# registry from GitHub, and no setting prevents that; where it fails, the server uses its own copy.
NOBODY = "http://127.0.0.1:9"
SERVER_SECONDS = 180.0


def run_server(host: str, port: int) -> NoReturn:
    """Become Prefect's server.

    Args:
        host: address to listen on.
        port: port to listen on.

    Raises:
        GeoaeError: Prefect is not installed.

    """
    service = Service.at(f"http://{f'[{host}]' if ':' in host else host}:{port}/api", {})
    service.module("flows.silence")
    words = ["server", "start", "--host", host, "--port", str(port)]
    LOG.info("prefect %s", shlex.join(words))
    proxy = {} if {"HTTPS_PROXY", "https_proxy"} & set(os.environ) else {"HTTPS_PROXY": NOBODY}
    become_prefect(service, words, SETTINGS | os.environ | proxy)


def start_server(service: Service) -> None:
    """Start the server and wait until it answers. If one is already starting, only wait.

    ``prefect server start --background`` is of no use: that server writes into a pipe that nobody
    reads any more, and ends at the first line that it logs.

    Raises:
        GeoaeError: the server ended or does not answer, or this user runs another one elsewhere.

    """
    folder = Path(service.environment.get("PREFECT_HOME", "~/.prefect")).expanduser()
    listen = ["--host", str(service.address.hostname), "--port", str(service.address.port or 4200)]
    pid, words = _server_of(folder)
    if pid and listen[-1] not in words:
        raise GeoaeError(
            f"{service.api}: a server runs already elsewhere (PID {pid}: {shlex.join(words)}); give"
            " its address with --api, or stop it with prefect server stop"
        )
    if pid:
        LOG.info("# a server is there (PID %d) and will answer soon", pid)
        _wait(
            service,
            lambda: _server_of(folder)[0] == pid,
            f"the server with PID {pid} does not answer; stop it with prefect server stop",
        )
        return
    try:
        _start_in_background(service, folder, listen)
    except OSError as error:
        raise GeoaeError(
            f"{folder}: cannot be written ({error.strerror}); give another folder in PREFECT_HOME"
        ) from error


def _start_in_background(service: Service, folder: Path, listen: Sequence[str]) -> None:
    """Start the server in a new session with a log file.

    Its PID is written where ``prefect server stop`` looks for it.
    """
    log, noted = folder / "server.log", folder / "server.pid"
    LOG.info("geoae server %s >>%s 2>&1 &", shlex.join(listen), shlex.quote(str(log)))
    folder.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "geoae", "server", *listen],
            cwd=service.home,
            env=service.environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    noted.touch(mode=0o600)
    noted.write_text(str(process.pid))
    _wait(service, lambda: process.poll() is None, f"the server does not answer; {log} says why")
    process.returncode = 0  # it is left running; without this Python would warn


def _wait(service: Service, lives: Callable[[], bool], reason: str) -> None:
    until = time.monotonic() + SERVER_SECONDS
    while not service.answers():
        if not lives() or time.monotonic() > until:
            raise GeoaeError(f"{service.api}: {reason}")
        time.sleep(0.5)


def _server_of(folder: Path) -> tuple[int | None, list[str]]:
    """Return PID and command of the server of ``folder``.

    There is no PID where the server has ended, or the PID now belongs to another program.
    """
    try:
        pid = int((folder / "server.pid").read_text())
        words = (
            Path(f"/proc/{pid}/cmdline")
            .read_bytes()
            .decode(errors="replace")
            .rstrip("\0")
            .split("\0")
        )
    except (OSError, ValueError):
        return None, []
    server = {"server", "prefect.server.api.server:create_app"} & set(words)
    program = {"prefect", "geoae", "uvicorn"} & {Path(word).name for word in words}
    return (pid if server and program else None), words
