"""systemd units, so that server and worker outlive a login and a restart of the machine."""

import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from geoae.cli.service.worker import Service, list_variables
from geoae.errors import OutputError

__all__ = ["write_units"]

LOG = logging.getLogger(__name__)

SERVER, WORKER = "geoae-server.service", "geoae-worker.service"
# KillMode=mixed sends SIGTERM to the worker alone, which ends its run without a state; the next
# worker starts such a run again. A run that gets SIGTERM itself sets itself to Crashed, and nothing
# starts it again.
UNIT = """\
# Written by geoae deploy --systemd. As a system unit it needs one line more in [Service]: User=NAME
[Unit]
Description={description}
{order}
[Service]
Type=exec
WorkingDirectory={home}
{environment}
# Passwords, like PREFECT_API_AUTH_STRING=..., go into this file: ~/.config/geoae.env, of a system
# unit /etc/geoae.env.
EnvironmentFile=-%E/geoae.env
{commands}
Restart=always
RestartSec=10
TimeoutStartSec=900
KillMode=mixed

[Install]
WantedBy=default.target
"""


def write_units(service: Service, limit: int, folder: Path) -> None:
    """Write the units and say how to start them: of a worker, and of a server on this machine.

    Args:
        service: server, folder and environment of the units.
        limit: runs at a time.
        folder: folder of the units, like ``~/.config/systemd/user``.

    Raises:
        OutputError: a unit cannot be written.

    """
    units = {SERVER: _server(service)} if service.is_here else {}
    units[WORKER] = _worker(service, limit)
    for name, text in units.items():
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written ({error.strerror}); choose another folder"
            ) from error
        LOG.info("# written: %s", path)
    LOG.info("# start them, now and whenever the machine starts, with:")
    LOG.info("systemctl --user daemon-reload")
    LOG.info("systemctl --user enable --now %s", shlex.join(units))
    LOG.info("loginctl enable-linger  # so that they outlive your login")


def _server(service: Service) -> str:
    address = service.address
    listen = ["--host", str(address.hostname), "--port", str(address.port or 4200)]
    commands = [
        _command("ExecStart", "geoae", "server", *listen),
        _command("ExecStartPost", "prefect", "server", "status", "--wait", "--timeout", "600"),
    ]
    return _unit(service, "Prefect server of geoae", "After=network.target", commands)


def _worker(service: Service, limit: int) -> str:
    given = ["--api", service.api, "--limit", str(limit)]
    commands = [
        _command("ExecStartPre", "geoae", "deploy", "--no-server", "--no-worker", *given),
        _command("ExecStart", "geoae", "worker", *given),
    ]
    after = (
        f"Wants={SERVER}\nAfter={SERVER}"
        if service.is_here
        else "Wants=network-online.target\nAfter=network-online.target"
    )
    return _unit(service, "Worker of geoae", after, commands)


def _unit(service: Service, description: str, order: str, commands: Sequence[str]) -> str:
    environment = "\n".join(
        f"Environment={_quote(f'{name}={value}')}"
        for name, value in list_variables(service.environment).items()
    )
    home = str(service.home).replace("%", "%%")
    return UNIT.format(
        description=description,
        order=order + "\n",
        home=home,
        environment=environment,
        commands="\n".join(commands),
    )


def _command(key: str, module: str, *words: str) -> str:
    # systemd replaces $ in commands only.
    program = [sys.executable, "-m", module, *words]
    return f"{key}={' '.join(_quote(word).replace('$', '$$') for word in program)}"


def _quote(word: str) -> str:
    """Quote ``word`` for systemd: see systemd.syntax(7), and systemd.unit(5) for %."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("\n", "\\n")
    return escaped if word and not set(word) & set(" \t\n'\"\\;") else f'"{escaped}"'
