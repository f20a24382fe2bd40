"""Setting up scheduled restoration for the first time: Prefect's server, pool, deployments and a
worker.

Everything is done by Prefect's own commands, which are told as they are run: nothing that is done
here could not be done by hand, and nothing of Prefect is imported.
"""

import json
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from geoae.cli.services import POOL, Service, format_command, run_worker, start_server
from geoae.cli.systemd import write_units
from geoae.errors import GeoaeError

__all__ = ["Setup", "set_up"]


@dataclass(frozen=True, slots=True)
class Setup:
    """``api``: address of Prefect's server, started here where none answers, it is of this machine
    and ``server`` is set.

    ``limit``: flow runs at a time, one for each GPU; ``inbox`` and ``outbox``: folders that are
    watched and written to; ``worker``: whether to start a worker and stay with it; ``systemd``:
    folder for systemd units of server and worker, which are written in place of everything else.
    """

    api: str = "http://127.0.0.1:4200/api"
    limit: int = 1
    inbox: str | None = None
    outbox: str | None = None
    server: bool = True
    worker: bool = True
    systemd: Path | None = None


def set_up(setup: Setup, say: Callable[[str], None]) -> None:
    """Set up what is not there yet; ``say`` takes each command before it is run. Raises
    ``GeoaeError``.

    Running it again changes nothing but what is asked for differently. With ``worker`` it does not
    return.
    """
    service = Service.at(setup.api, {"GEOAE_INBOX": setup.inbox, "GEOAE_OUTBOX": setup.outbox}, say)
    if setup.systemd is not None:
        write_units(service, setup.limit, setup.systemd)
        return
    say(f"cd {shlex.quote(str(service.home))}")
    for name, value in service.environment.items():
        if os.environ.get(name) != value:
            say(f"export {name}={shlex.quote(value)}")
    _require_server(service, setup.server)
    service.prefect("work-pool", "create", POOL, "--type", "process", "--overwrite")
    service.prefect("work-pool", "set-concurrency-limit", POOL, str(setup.limit))
    service.prefect("--no-prompt", "deploy", "--all")
    _create_automations(service)
    say("# ready; a worker is started, in any shell, with:")
    say(
        format_command(
            service, [sys.executable, "-m", "geoae", "worker", "--limit", str(setup.limit)]
        )
    )
    if setup.worker:
        run_worker(service, setup.limit)


def _require_server(service: Service, start: bool) -> None:
    if service.answers():
        service.say(f"# a server answers at {service.api}")
    elif start and service.is_here:
        start_server(service)
    else:
        raise GeoaeError(
            f"{service.api}: no Prefect server answers; start it there, or leave --api out"
        )


def _create_automations(service: Service) -> None:
    """Those whose names the server does not know yet."""
    listed = service.prefect("automation", "ls", quiet=True)
    for path in sorted((service.home / "flows" / "automations").glob("*.json")):
        if json.loads(path.read_text())["name"] not in listed:
            service.prefect(
                "automation", "create", "--from-file", str(path.relative_to(service.home))
            )
