"""Starts what docker/compose.yaml starts, outside containers: temporary homes, free ports,
loopback.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.docker.files import ROOT, environment, services
from tests.support.commands import free_port

SECONDS = 240  # for a service to pass its health check, on a machine that has other things to do
POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), None)


class Ground:
    """Processes by service name, and how a word of the compose file is said on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Not below pytest's folders, which are closed to the user that the database runs as.
        self.database = Path(tempfile.mkdtemp(prefix="geoae-database-"))
        self.services = services()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.places = {
            f"/{name}": folder / name
            for name in ("scratch", "data/inbox", "data/outbox", "data/models")
        }
        for place in self.places.values():
            place.mkdir(parents=True)
        self.ports = {
            port: free_port()
            for port in re.findall(r"\b(?:4200|5432|8\d\d\d)\b", str(self.services))
        }
        # A service's name is a host's where it stands in an address, or alone as the value of a
        # variable.
        self.hosts = re.compile(rf"0\.0\.0\.0|(?<=//)(?:{'|'.join(self.services)})(?=:)")

    def local(self, text: str) -> str:
        """``text`` with the hosts, ports and folders of the containers replaced by this
        machine's.
        """
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(free), text)
        for place, here in self.places.items():
            text = text.replace(place, str(here))
        return self.hosts.sub("127.0.0.1", text)

    def command(self, words: list[str]) -> list[str]:
        return [self.local(word) for word in words]

    def environment(self, name: str) -> dict[str, str]:
        """The machine's own without Prefect's, Dask's and geoae's words, then the image's and the
        service's.
        """
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PREFECT_", "DASK_", "GEOAE_"))
        }
        image = {key: self.local(value) for key, value in environment("cpu").items()}
        path = {"PATH": f"{Path(sys.executable).parent}:{POSTGRES}:{clean['PATH']}"}
        given = {
            key: value for key, value in self.services[name].get("environment", {}).items() if value
        }
        given = {
            key: "127.0.0.1" if value in self.services else self.local(value)
            for key, value in given.items()
        }
        return clean | image | path | given

    def run(
        self, name: str, words: list[str], seconds: float = SECONDS
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(words),
            cwd=ROOT,
            env=self.environment(name),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(self, name: str) -> None:
        """Start ``name`` and wait until its health check passes."""
        service = self.services[name]
        if name == "postgres":
            self.running[name] = _postgres(
                self.database, self.log(name), self.ports["5432"], self.environment(name)
            )
        else:
            with self.log(name).open("wb") as log:
                self.running[name] = subprocess.Popen(
                    self.command(service["command"]),
                    cwd=ROOT,
                    env=self.environment(name),
                    stdout=log,
                    stderr=log,
                )
        self.wait(name)

    def wait(self, name: str) -> None:
        """Until the health check of ``name`` passes; ``AssertionError`` with its log where it does
        not.
        """
        end = time.monotonic() + SECONDS
        while not self.healthy(name):
            assert self.running[name].poll() is None, f"{name} ended\n{self.log(name).read_text()}"
            assert time.monotonic() < end, f"{name} is not healthy\n{self.log(name).read_text()}"
            time.sleep(0.5)

    def healthy(self, name: str) -> bool:
        how, *words = self.services[name]["healthcheck"]["test"]
        assert how == "CMD"
        return self.run(name, words, 30).returncode == 0

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def stop(self, name: str) -> int:
        """Ask ``name`` to end as `docker stop` does; its exit status."""
        process = self.running.pop(name)
        process.terminate()
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def close(self) -> None:
        for name in reversed(list(self.running)):
            self.stop(name)
        shutil.rmtree(self.database)


def _postgres(
    folder: Path, log_file: Path, port: int, environment: dict[str, Any]
) -> "subprocess.Popen[bytes]":
    """What the image of the database does with its three variables; not as root, which it
    refuses.
    """
    assert POSTGRES
    become: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
    (secret := folder / "secret").write_text(environment["POSTGRES_PASSWORD"])
    if become:
        shutil.chown(folder, **become)
        shutil.chown(secret, **become)
    with log_file.open("wb") as log:
        role = [
            "--username",
            environment["POSTGRES_USER"],
            "--pwfile",
            secret,
            "--auth",
            "scram-sha-256",
        ]
        _checked(
            [POSTGRES / "initdb", "--pgdata", folder / "data", "--no-sync", *role], become, log
        )
        listen = ["-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"]
        process = subprocess.Popen(
            [POSTGRES / "postgres", "-D", folder / "data", *listen],
            stdout=log,
            stderr=log,
            **become,
        )
    create = [
        "createdb",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--username",
        environment["POSTGRES_USER"],
    ]

    def create_database() -> bool:
        told = environment | {"PGPASSWORD": environment["POSTGRES_PASSWORD"]}
        command = [*create, environment["POSTGRES_DB"]]
        return subprocess.run(command, env=told, capture_output=True, check=False).returncode == 0

    until(create_database)
    return process


def _checked(command: list[Any], become: dict[str, Any], log: Any) -> None:
    subprocess.run(command, stdout=log, stderr=log, check=True, **become)


def until(done: Callable[[], bool]) -> None:
    """Wait for ``done``; ``AssertionError`` where it takes too long."""
    end = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < end
        time.sleep(0.3)
