"""Setting up scheduled restoration for the first time: Prefect's server, pool, deployments and a worker.

Everything is done by Prefect's own commands, which are told as they are run: nothing that is done here
could not be done by hand, and nothing of Prefect is imported.
"""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from geoae.errors import GeoaeError
from geoae.resources import require_extra, shipped

__all__ = ["Setup", "set_up"]

POOL = "gpu"
# Nobody is told of what is run here, and a busy machine is given time to start.
SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # With the automation in `flows/automations.json`: a machine that died is noticed within three heartbeats.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
}
# Of workers: freed memory is kept, instead of being mapped and faulted in anew for every tile.
MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(512 << 20), "MALLOC_ARENA_MAX": "1"}
# Of the server, unless there is a proxy: it asks GitHub for a list of kinds of workers, of which it has a copy, and no
# setting stops that. Where nobody answers, it takes its copy.
NOBODY = "http://127.0.0.1:9"
SERVER_SECONDS = 180.0
# What a worker in another shell has to be told, beside all that begins with GEOAE_ and is no password. What else there
# may be of Prefect holds passwords.
TOLD = {*SETTINGS, *MEMORY, "DASK_SCHEDULER_ADDRESS", "PREFECT_API_URL", "PREFECT_HOME"}
SECRETS = ("PREFECT_API_AUTH_STRING", "PREFECT_API_KEY")


@dataclass(frozen=True, slots=True)
class Setup:
    """``api``: address of Prefect's server, started here where none answers and it is of this machine.

    ``limit``: flow runs at a time, one for each GPU; ``inbox`` and ``outbox``: folders that are watched and
    written to; ``worker``: whether to start a worker and stay with it.
    """

    api: str = "http://127.0.0.1:4200/api"
    limit: int = 1
    inbox: str | None = None
    outbox: str | None = None
    worker: bool = True


def set_up(setup: Setup, say: Callable[[str], None]) -> None:
    """Set up what is not there yet; ``say`` takes each command before it is run. Raises ``GeoaeError``.

    Running it again changes nothing but what is asked for differently. With ``worker`` it does not return.
    """
    _refuse_what_is_no_address(setup.api)
    require_extra("flows", "prefect")
    home = shipped("flows").parent
    _Prefect(setup, home, _environment(setup), say).run()


def _refuse_what_is_no_address(api: str) -> None:
    try:
        address = urlsplit(api)
        known = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        known = known and not any(char.isspace() or char == "@" for char in api)
    except ValueError:  # a port that is no number
        known = False
    if not known:
        raise GeoaeError(
            f"{api}: is no address of a server; give --api one like http://127.0.0.1:4200/api (a password goes into PREFECT_API_AUTH_STRING)"
        )


def _environment(setup: Setup) -> dict[str, str]:
    places = {"GEOAE_INBOX": setup.inbox, "GEOAE_OUTBOX": setup.outbox}
    given = {name: str(Path(place).resolve()) for name, place in places.items() if place}
    settings = {name: value for name, value in SETTINGS.items() if name not in os.environ}
    return os.environ | settings | given | {"PREFECT_API_URL": setup.api}


def _pasted(folder: Path, environment: Mapping[str, str], command: Sequence[str]) -> str:
    """``command`` as one line that does the same in a shell which knows nothing of ``environment``.

    Passwords are named, not told: there they are taken from that shell's own variables.
    """
    ours = {name for name in environment if name.startswith("GEOAE_") and "PASSWORD" not in name}
    told = {name: value for name, value in sorted(environment.items()) if name in TOLD | ours}
    settings = [f"{name}={shlex.quote(value)}" for name, value in told.items()]
    secrets = [f'{name}="${{{name}:?}}"' for name in SECRETS if name in environment]
    return f"cd {shlex.quote(str(folder))} && env {' '.join([*settings, *secrets])} {shlex.join(command)}"


@dataclass(frozen=True, slots=True)
class _Prefect:
    setup: Setup
    home: Path
    environment: dict[str, str]
    say: Callable[[str], None]

    def run(self) -> None:
        self.say(f"cd {shlex.quote(str(self.home))}")
        for name, value in self.environment.items():
            if os.environ.get(name) != value:
                self.say(f"export {name}={shlex.quote(value)}")
        self._server()
        self._call("work-pool", "create", POOL, "--type", "process", "--overwrite")
        self._call("work-pool", "set-concurrency-limit", POOL, str(self.setup.limit))
        self._call("--no-prompt", "deploy", "--all")
        self._automations()
        worker = ["worker", "start", "--pool", POOL, "--limit", str(self.setup.limit)]
        environment = MEMORY | self.environment
        command = [sys.executable, "-m", "prefect", *worker]
        self.say("# ready; a worker is started, in any shell, with:")
        self.say(_pasted(self.home, environment, command))
        if self.setup.worker:
            os.chdir(self.home)
            os.execve(sys.executable, command, environment)

    def _server(self) -> None:
        if self._answers():
            self.say(f"# a server answers at {self.setup.api}")
            return
        address = urlsplit(self.setup.api)
        if address.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise GeoaeError(f"{self.setup.api}: no Prefect server answers; start it there, or leave --api out")
        if not {"HTTPS_PROXY", "https_proxy"} & set(self.environment):
            self.say(f"export HTTPS_PROXY={NOBODY}  # for the server alone")
        command = ["server", "start", "--host", address.hostname, "--port", str(address.port or 4200), "--background"]
        self._call(*command, more={"HTTPS_PROXY": NOBODY})
        until = time.monotonic() + SERVER_SECONDS
        while not self._answers():
            if time.monotonic() > until:
                raise GeoaeError(f"{self.setup.api}: the server did not answer within {SERVER_SECONDS:.0f} s; run prefect server start to see why")  # fmt: skip
            time.sleep(0.5)

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.setup.api}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _automations(self) -> None:
        """Those of the file whose names the server does not know yet."""
        path = self.home / "flows" / "automations.json"
        listed = self._call("automation", "ls", quiet=True)
        missing = [one["name"] for one in json.loads(path.read_text())["automations"] if one["name"] not in listed]
        if missing:
            self._call("automation", "create", "--from-file", str(path.relative_to(self.home)))

    def _call(self, *words: str, quiet: bool = False, more: Mapping[str, str] = MappingProxyType({})) -> str:
        """What ``prefect words`` says; ``more`` of the environment, where it says nothing of that."""
        if not quiet:
            self.say(f"prefect {shlex.join(words)}")
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *words], cwd=self.home, env={**more, **self.environment, "COLUMNS": "400"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            last = ([line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or ["no reason given"])[
                -1
            ]
            raise GeoaeError(f"prefect {shlex.join(words)}: failed ({last.strip()}); run it by hand to see more")
        return done.stdout
