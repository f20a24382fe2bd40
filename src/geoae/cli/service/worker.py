"""Where commands of Prefect run, and the worker of scheduled restoration.

Both are Prefect's own commands, shown before they run; Prefect is not imported.
"""

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
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
    "SETTINGS",
    "Service",
    "become_prefect",
    "format_command",
    "list_variables",
    "run_worker",
]

LOG = logging.getLogger(__name__)

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

    @classmethod
    def at(cls, api: str, places: Mapping[str, str | None]) -> "Service":
        """Describe the service at an address.

        Args:
            api: address of Prefect's API.
            places: folders by the environment variable that names them.

        Raises:
            GeoaeError: ``api`` is not the address of a server, or Prefect is not installed.

        """
        _check_address(api)
        require_extra("flows", "prefect")
        given = {name: str(Path(place).resolve()) for name, place in places.items() if place}
        settings = {name: value for name, value in SETTINGS.items() if name not in os.environ}
        return cls(
            api,
            shipped("flows").parent,
            os.environ | settings | given | {"PREFECT_API_URL": api},
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
            LOG.info("prefect %s", shlex.join(words))
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


def _check_address(api: str) -> None:
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
    LOG.info("python -m flows.recover  # runs that have lost their process start again")
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
    LOG.info("prefect %s", shlex.join(words))
    become_prefect(service, words, MEMORY | service.environment)


def become_prefect(
    service: Service, words: Sequence[str], environment: Mapping[str, str]
) -> NoReturn:
    """Replace this process by a command of Prefect.

    Args:
        service: where the command runs.
        words: its words after ``prefect``.
        environment: its variables.

    """
    os.chdir(service.home)
    os.execve(sys.executable, [sys.executable, "-m", "prefect", *words], environment)
