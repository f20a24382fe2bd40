"""The two processes of scheduled restoration: Prefect's server and a worker.

Both are Prefect's own commands, shown before they run; Prefect is not imported.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError
from urllib.parse import SplitResult, urlsplit
from urllib.request import urlopen

from geoae.errors import GeoaeError
from geoae.resources import require_extra, shipped

__all__ = [
    "POOL",
    "SECRETS",
    "Service",
    "format_command",
    "list_variables",
    "run_server",
    "run_worker",
    "start_server",
]

POOL = "gpu"
# Disable telemetry, and give a busy machine time to start the server.
SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}
# For workers: keep freed memory, instead of fetching it from the system again for every tile.
MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
    "MALLOC_ARENA_MAX": "1",
}
# The server's HTTPS proxy, unless one is set: a closed port. The server downloads the worker
# registry from GitHub, and no setting prevents that; where it fails, the server uses its own copy.
NOBODY = "http://127.0.0.1:9"
SERVER_SECONDS = 180.0
HERE = ("127.0.0.1", "localhost", "::1")
# Variables that a service in another shell needs, in addition to those that begin with GEOAE_ and
# are not passwords. Other variables of Prefect may hold passwords.
TOLD = {*SETTINGS, "DASK_SCHEDULER_ADDRESS", "PREFECT_API_URL", "PREFECT_HOME"}
SECRETS = ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY")


@dataclass(frozen=True, slots=True)
class Service:
    """Where and how Prefect's commands run."""

    api: str
    """Address of Prefect's API."""
    home: Path
    """Folder of ``prefect.yaml`` and ``flows``, in which commands run."""
    environment: dict[str, str]
    """Environment variables of the commands."""
    say: Callable[[str], None]
    """Takes each command before it runs."""

    @classmethod
    def at(
        cls, api: str, places: Mapping[str, str | None], say: Callable[[str], None]
    ) -> "Service":
        """Describe the service at an address.

        Args:
            api: address of Prefect's API.
            places: folders by the environment variable that names them.
            say: takes each command before it runs.

        Raises:
            GeoaeError: ``api`` is not the address of a server, or Prefect is not installed.

        """
        _refuse_what_is_no_address(api)
        require_extra("flows", "prefect")
        given = {name: str(Path(place).resolve()) for name, place in places.items() if place}
        settings = {name: value for name, value in SETTINGS.items() if name not in os.environ}
        return cls(
            api,
            shipped("flows").parent,
            os.environ | settings | given | {"PREFECT_API_URL": api},
            say,
        )

    @property
    def address(self) -> SplitResult:
        """The parts of ``api``."""
        return urlsplit(self.api)

    @property
    def is_here(self) -> bool:
        """Whether the server is on this machine."""
        return self.address.hostname in HERE

    def answers(self) -> bool:
        """Whether the server answers."""
        try:
            with urlopen(f"{self.api}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def prefect(self, *words: str, quiet: bool = False) -> str:
        """Run a command of Prefect.

        Args:
            *words: subcommand and arguments.
            quiet: whether not to show the command.

        Returns:
            What the command prints.

        Raises:
            GeoaeError: the command fails.

        """
        if not quiet:
            self.say(f"prefect {shlex.join(words)}")
        return self.module("prefect", *words)

    def module(self, name: str, *words: str) -> str:
        """Run a Python module as a program.

        Args:
            name: name of the module.
            *words: its arguments.

        Returns:
            What the program prints.

        Raises:
            GeoaeError: the program fails.

        """
        done = subprocess.run(
            [sys.executable, "-m", name, *words],
            cwd=self.home,
            env={**self.environment, "COLUMNS": "400"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            reason = lines[-1].strip() if lines else "no reason given"
            raise GeoaeError(
                f"{shlex.join([name, *words])}: failed ({reason}); run it by hand to see more"
            )
        return done.stdout


def _refuse_what_is_no_address(api: str) -> None:
    try:
        address = urlsplit(api)
        known = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        known = known and not any(char.isspace() or char == "@" for char in api)
    except ValueError:  # a port that is not a number
        known = False
    if not known:
        raise GeoaeError(
            f"{api}: is no address of a server; give --api one like http://127.0.0.1:4200/api (a"
            " password goes into PREFECT_API_AUTH_STRING)"
        )


def list_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Select the variables of ``environment`` that a service needs and that are not passwords."""
    ours = {name for name in environment if name.startswith("GEOAE_") and "PASSWORD" not in name}
    return {name: value for name, value in sorted(environment.items()) if name in TOLD | ours}


def format_command(service: Service, command: Sequence[str]) -> str:
    """Format a command as one line that does the same in any other shell.

    Passwords are not shown: the line takes them from that shell's variables.

    Args:
        service: the service that the command belongs to.
        command: program and arguments.

    Returns:
        The line.

    """
    settings = [
        f"{name}={shlex.quote(value)}"
        for name, value in list_variables(service.environment).items()
    ]
    secrets = [f'{name}="${{{name}:?}}"' for name in SECRETS if name in service.environment]
    return (
        f"cd {shlex.quote(str(service.home))} && env {' '.join([*settings, *secrets])}"
        f" {shlex.join(command)}"
    )


def run_worker(service: Service, limit: int, *, healthcheck: bool = False) -> NoReturn:
    """Find runs that have lost their process, then become a worker.

    Args:
        service: the server that gives runs to the worker.
        limit: runs at a time.
        healthcheck: whether the worker answers at /health on port
            ``PREFECT_WORKER_WEBSERVER_PORT``.

    Raises:
        GeoaeError: the server does not answer.

    """
    if not service.answers():
        raise GeoaeError(
            f"{service.api}: no Prefect server answers; start it with geoae server, or give its"
            " address with --api"
        )
    service.say("python -m flows.recover  # runs that have lost their process start again")
    done = subprocess.run(
        [sys.executable, "-m", "flows.recover"],
        cwd=service.home,
        env=service.environment,
        check=False,
    )
    if done.returncode:
        raise GeoaeError("python -m flows.recover: failed; what it prints says why")
    words = [
        "worker",
        "start",
        "--pool",
        POOL,
        "--limit",
        str(limit),
        *(["--with-healthcheck"] if healthcheck else []),
    ]
    service.say(f"prefect {shlex.join(words)}")
    _become(service, words, MEMORY | service.environment)


def run_server(host: str, port: int, say: Callable[[str], None]) -> NoReturn:
    """Become Prefect's server.

    Args:
        host: address to listen on.
        port: port to listen on.
        say: takes each command before it runs.

    Raises:
        GeoaeError: Prefect is not installed.

    """
    service = Service.at(f"http://{f'[{host}]' if ':' in host else host}:{port}/api", {}, say)
    service.module("flows.silence")
    words = ["server", "start", "--host", host, "--port", str(port)]
    say(f"prefect {shlex.join(words)}")
    proxy = {} if {"HTTPS_PROXY", "https_proxy"} & set(os.environ) else {"HTTPS_PROXY": NOBODY}
    _become(service, words, SETTINGS | os.environ | proxy)


def _become(service: Service, words: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    os.chdir(service.home)
    os.execve(sys.executable, [sys.executable, "-m", "prefect", *words], environment)


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
        service.say(f"# a server is there (PID {pid}) and will answer soon")
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
    service.say(f"geoae server {shlex.join(listen)} >>{shlex.quote(str(log))} 2>&1 &")
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
