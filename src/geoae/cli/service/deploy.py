"""Set up scheduled restoration on Prefect: server, work pool, deployments and a worker.

Prefect's own commands do the work, and each is shown before it runs. So all of it could be done by
hand, and Prefect is not imported.
"""

import json
import logging
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from geoae.cli.service.server import start_server
from geoae.cli.service.systemd import write_units
from geoae.cli.service.worker import POOL, Service, format_command, run_worker
from geoae.errors import GeoaeError

__all__ = ["Setup", "deploy"]

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setup:
    """Options of ``geoae deploy``."""

    api: str = "http://127.0.0.1:4200/api"
    """Address of Prefect's server."""
    limit: int = 1
    """Flow runs at a time: one for each GPU."""
    inbox: str | None = None
    """Folder to watch."""
    outbox: str | None = None
    """Folder of the outputs."""
    server: bool = True
    """Whether to start a server on this machine where none answers."""
    worker: bool = True
    """Whether to start a worker and stay with it."""
    systemd: Path | None = None
    """Folder to write systemd units into, instead of all else."""


def deploy(setup: Setup) -> None:
    """Set up what does not exist yet. With ``setup.worker`` it does not return.

    A second call changes only what differs from the first.

    Args:
        setup: options.

    Raises:
        GeoaeError: a command fails, or no server answers.

    """
    service = Service.at(setup.api, {"GEOAE_INBOX": setup.inbox, "GEOAE_OUTBOX": setup.outbox})
    if setup.systemd is not None:
        write_units(service, setup.limit, setup.systemd)
        return
    LOG.info("cd %s", shlex.quote(str(service.home)))
    for name, value in service.environment.items():
        if os.environ.get(name) != value:
            LOG.info("export %s=%s", name, shlex.quote(value))
    _require_server(service, setup.server)
    service.prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
    service.prefect("work-pool", "set-concurrency-limit", POOL, str(setup.limit))
    service.prefect("--no-prompt", "deploy", "--all")
    _create_automations(service)
    LOG.info("# ready; a worker is started, in any shell, with:")
    worker = [sys.executable, "-m", "geoae", "worker", "--limit", str(setup.limit)]
    LOG.info("%s", format_command(service, worker))
    if setup.worker:
        run_worker(service, setup.limit)


def _require_server(service: Service, start: bool) -> None:
    if service.answers():
        LOG.info("# a server answers at %s", service.api)
    elif start and service.is_here:
        start_server(service)
    else:
        raise GeoaeError(
            f"{service.api}: no Prefect server answers; start it there, or leave --api out"
        )


def _create_automations(service: Service) -> None:
    """Create the automations whose names the server does not know yet."""
    listed = service.prefect("automation", "ls", quiet=True)
    for path in sorted((service.home / "flows" / "automations").glob("*.json")):
        if json.loads(path.read_text())["name"] not in listed:
            service.prefect(
                "automation", "create", "--from-file", str(path.relative_to(service.home))
            )
