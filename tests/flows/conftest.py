"""One Prefect server on loopback for all tests of flows."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.support.commands import free_port

pytest.importorskip("prefect")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def settings(tmp_path_factory) -> dict[str, str]:
    """What every process of these tests is told of Prefect."""
    home = tmp_path_factory.mktemp("prefect")
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]),
    }


@pytest.fixture(scope="session")
def server(settings, tmp_path_factory) -> Iterator[str]:
    """A server's address; what this process runs of Prefect goes to it."""
    from prefect.logging.handlers import APILogWorker

    log = tmp_path_factory.mktemp("server") / "server.log"
    port = settings["PREFECT_API_URL"].split(":")[2].split("/")[0]
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        port,
    ]
    with (
        log.open("w") as file,
        subprocess.Popen(command, env=os.environ | settings, stdout=file, stderr=file) as process,
    ):
        try:
            _wait_for(settings["PREFECT_API_URL"], process, log)
            with _told(settings):
                yield settings["PREFECT_API_URL"]
                # else this process's end tries a gone server for a minute
                APILogWorker.drain_all(timeout=30)
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(api: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(360):
        try:
            urlopen(f"{api}/health", timeout=5).close()
        except (URLError, OSError):
            assert process.poll() is None, log.read_text()
            time.sleep(0.5)
        else:
            return
    raise AssertionError(log.read_text())


def _told(settings: dict[str, str]):
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    return temporary_settings(
        {PREFECT_API_URL: settings["PREFECT_API_URL"], PREFECT_HOME: Path(settings["PREFECT_HOME"])}
    )


@pytest.fixture
def late(monkeypatch) -> list[str]:
    """Lose the first answer to each change of a state; the addresses that were asked."""
    from httpx import Client, ReadTimeout

    asked, send = [], Client.send

    def lose(self, request, **options):
        answer, address = send(self, request, **options), str(request.url)
        if address.endswith("set_state"):
            asked.append(address)
            if asked.count(address) % 2 == 1:
                raise ReadTimeout("the server is slow", request=request)
        return answer

    monkeypatch.setattr(Client, "send", lose)
    return asked
