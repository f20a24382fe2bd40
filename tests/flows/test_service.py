"""The service that ``geoae deploy`` starts: it outlives what it logs, and a power cut."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import httpx
import psutil
import pytest

from tests.flows.conftest import ROOT
from tests.flows.scenes import crop
from tests.flows.test_kill import (
    OPTIONS,
    SCENE,
    as_by_hand,
    environment,
    restoring,
    resumed,
    seconds_until,
    slabs,
)
from tests.support.commands import free_port

__all__ = ["environment"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def service(settings, tmp_path_factory) -> Iterator["Deployed"]:
    """A service of its own, whose server may be killed."""
    deployed = Deployed(tmp_path_factory.mktemp("service"), settings)
    try:
        deployed.deploy()
        yield deployed
    finally:
        deployed.kill()


class Deployed:
    """What ``geoae deploy`` leaves running."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder, self.inbox, self.outbox = folder, folder / "inbox", folder / "outbox"
        self.api = f"http://127.0.0.1:{free_port()}/api"
        own = {
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_LOGGING_LEVEL": "INFO",
        }
        self.environment = os.environ | settings | own
        self.worker: psutil.Popen | None = None

    def deploy(self) -> None:
        """Run the command, always the same; it becomes a worker."""
        command = [
            sys.executable,
            "-m",
            "geoae",
            "deploy",
            "--api",
            self.api,
            "--inbox",
            self.inbox,
            "--outbox",
            self.outbox,
        ]
        with self.log.open("ab") as file:
            self.worker = psutil.Popen(
                command, cwd=ROOT, env=self.environment, stdout=file, stderr=file
            )

    @property
    def log(self) -> Path:
        return self.folder / "deploy.log"

    @property
    def server(self) -> psutil.Process:
        return psutil.Process(int((self.folder / "prefect" / "server.pid").read_text()))

    def answers(self) -> bool:
        try:
            urlopen(f"{self.api}/health", timeout=5).close()
        except (URLError, OSError):
            return False
        return True

    def kill(self) -> None:
        """Server, worker and runs at once, as a power cut does."""
        family = [self.worker, *self.worker.children(recursive=True)]
        if (self.folder / "prefect" / "server.pid").exists():
            family.append(self.server)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for one in family:
                if one.is_running():
                    os.kill(one.pid, number)
        psutil.wait_procs(family, timeout=20)

    def prefect(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "prefect", *words]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )

    def stop_schedule(self) -> None:
        """Let the inbox be watched only when the test says so.

        A worker takes a run some seconds before its time, and such a run outlives its schedule.
        """
        words = ("schedule", "clear", "--accept-yes", "watch-inbox/every-10-minutes")
        assert self.prefect("deployment", *words).returncode == 0
        seconds_until(lambda: self.watches() == 0, 300)

    def watches(self) -> int:
        """Count the watches of the inbox that have not ended."""
        waiting = {"state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}}
        chosen = {"flow_runs": waiting, "deployments": {"name": {"any_": ["every-10-minutes"]}}}
        answer = httpx.post(f"{self.api}/flow_runs/count", json=chosen, timeout=30)
        return int(answer.raise_for_status().text)

    def watch(self) -> subprocess.CompletedProcess[str]:
        """Run the watch of the inbox, and follow it to its end.

        Prefect's client does not try again where its first connection to the streams of logs and
        events fails, as on a busy machine. It says so, and the run goes on; then the inbox is
        watched again.
        """
        command = [
            "deployment",
            "run",
            "watch-inbox/every-10-minutes",
            "--param",
            "settle=1",
            "--watch",
        ]
        for _ in range(3):
            done = self.prefect(*command)
            if "stream closed unexpectedly" not in done.stdout + done.stderr:
                break
        return done


def test_a_server_outlives_its_logs_and_a_watch_ends_as_its_run(service):
    """The server logs all that it does here; a broken scene makes one run fail, and the next is
    well.
    """
    seconds_until(lambda: b"started!" in service.log.read_bytes(), 600)
    service.stop_schedule()
    crop(service.inbox / "scene.tif")
    (service.inbox / "broken.tif").write_bytes(b"II*\0" + bytes(1000))
    said = service.folder / "prefect" / "server.log"
    before = said.stat().st_size
    first = service.watch()
    assert (first.returncode, "in state 'Failed'" in first.stdout) == (1, True), (
        first.stdout + first.stderr
    )
    assert (service.outbox / "scene.tif").exists()
    second = service.watch()
    assert (second.returncode, "successfully in 'Completed'" in second.stdout) == (0, True), (
        second.stdout + second.stderr
    )
    assert said.stat().st_size > before
    assert service.answers()


def test_a_scene_is_finished_after_a_power_cut(service, tmp_path, record_property):
    """Server, worker and run are killed in the middle of a scene; the same command again is all
    that is done.
    """
    scene, target = crop(tmp_path / "scene.tif", side=900, source=SCENE), tmp_path / "restored.tif"
    given = {"source": scene, "target": target} | OPTIONS
    parameters = [word for name, value in given.items() for word in ("--param", f"{name}={value}")]
    seconds_until(lambda: b"started!" in service.log.read_bytes(), 600)
    assert (
        service.prefect("deployment", "run", "restore-scene/on-demand", *parameters).returncode == 0
    )
    seconds_until(lambda: slabs(target) >= 2, 300)
    assert restoring(service.worker).is_running()
    service.kill()
    finished = slabs(target)
    assert not target.exists()
    service.deploy()
    record_property(
        "seconds until the scene was done", seconds_until(Path(f"{target}.json").exists, 900)
    )
    assert "restore scene.tif" in service.log.read_text()
    assert resumed(target) >= finished
    assert as_by_hand(scene, target)


def test_the_server_is_stopped_by_prefects_command(service):
    seconds_until(lambda: b"started!" in service.log.read_bytes(), 600)
    server = service.server
    assert "Server stopped!" in service.prefect("server", "stop").stdout
    seconds_until(lambda: not service.answers(), 60)
    # It may wait for the worker's connections before it ends.
    with suppress(psutil.NoSuchProcess):
        server.kill()
