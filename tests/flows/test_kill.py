"""Runs that are killed and cancelled in the middle of a scene, on a real worker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from geoae.pipeline.job import Job
from geoae.pipeline.run import run
from tests.flows.conftest import ROOT
from tests.flows.scenes import crop
from tests.support.rasters import SHARED, read

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("server"), pytest.mark.timeout(900)]

SCENE = SHARED / "scenes" / "real_noise" / "micasense_rededge_raw_vineyard_red.tif"
# Many slabs, so that there is a middle.
OPTIONS = {"tile": 272, "precision": "fp32", "device": "cpu", "profile": "gtiff"}


def prefect(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "prefect", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(server, settings) -> dict[str, str]:
    """Of commands and workers: pool and deployments are there, and silence is noticed."""
    given = os.environ | settings
    command = [sys.executable, "-m", "geoae", "deploy", "--api", server, "--no-worker"]
    done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("restore-archive/nightly", "watch-inbox/every-10-minutes", "retrain/weekly"):
        prefect(given, "deployment", "schedule", "clear", "--accept-yes", name)
    return given


@contextmanager
def worker(environment: dict[str, str]) -> Iterator[psutil.Popen]:
    """A worker; what it leaves running is ended after the block."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "gpu", "--limit", "1"]
    with psutil.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            _end(process)


def _end(process: psutil.Popen) -> None:
    if process.poll() is None:
        family = [process, *process.children(recursive=True)]
        process.terminate()
        psutil.wait_procs(family, timeout=20)
        for one in family:
            if one.is_running():
                one.kill()


@pytest.fixture
def scene(tmp_path) -> Path:
    return crop(tmp_path / "scene.tif", side=900, source=SCENE)


def ordered(scene: Path, name: str = "restored.tif", **options) -> tuple[str, Path]:
    """Ask for ``scene``; the run's id, and the target."""
    from prefect.deployments import run_deployment

    target = scene.with_name(name)
    given = {"source": str(scene), "target": str(target)} | OPTIONS | options
    return str(run_deployment("restore-scene/on-demand", parameters=given, timeout=0).id), target


def state_of(run_id: str) -> str:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id).state.name


def message_of(run_id: str) -> str:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_flow_run(run_id).state.message or ""


def states(run_id: str) -> list[str]:
    """All states that the run has been in."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return [state.name for state in client.read_flow_run_states(run_id)]


def cancel(run_id: str) -> None:
    """As ``prefect flow-run cancel`` does, without the seconds that the command takes to start."""
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelling

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_id, Cancelling())


def seconds_until(happened, limit: float) -> float:
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < limit, "it did not happen"
        time.sleep(0.2)
    return time.monotonic() - began


def slabs(target: Path) -> int:
    return len(list(target.parent.glob(f".{target.name}.geoae/slab-*.tif")))


def restoring(process: psutil.Process) -> psutil.Process:
    """The process of the flow run that ``process`` started."""
    return max(process.children(recursive=True), key=lambda child: child.memory_info().rss)


def as_by_hand(scene: Path, target: Path) -> bool:
    by_hand = run(
        Job(
            source=str(scene), target=str(scene.with_name("by_hand.tif")), overwrite=True, **OPTIONS
        )
    )
    return bool((read(target) == read(by_hand.target)).all())


def resumed(target: Path) -> int:
    return json.loads(Path(f"{target}.json").read_text())["slabs_resumed"]


def test_a_killed_run_is_crashed_and_a_retry_finishes_it(environment, scene, record_property):
    with worker(environment) as process:
        run_id, target = ordered(scene)
        seconds_until(lambda: slabs(target) >= 2, 180)
        restoring(process).kill()
        record_property(
            "seconds until crashed",
            crashed := seconds_until(lambda: state_of(run_id) == "Crashed", 30),
        )
        assert crashed < 10
        assert not target.exists()
        after, other = ordered(crop(scene.with_name("small.tif")), "small_restored.tif")
        record_property(
            "seconds until the next job was done",
            seconds_until(lambda: state_of(after) == "Completed", 120),
        )
        assert other.exists()
        prefect(environment, "flow-run", "retry", run_id)
        seconds_until(lambda: state_of(run_id) == "Completed", 300)
    assert resumed(target) >= 2
    assert as_by_hand(scene, target)


def test_a_cancelled_run_stops_and_is_resumed(environment, scene, record_property):
    with worker(environment) as process:
        run_id, target = ordered(scene)
        seconds_until(lambda: slabs(target) >= 2, 180)
        child = restoring(process)
        cancel(run_id)
        record_property(
            "seconds until stopped", stopped := seconds_until(lambda: not child.is_running(), 60)
        )
        assert stopped < 15
        seconds_until(lambda: state_of(run_id) == "Cancelled", 30)
        assert not target.exists()
        again, _ = ordered(scene)
        seconds_until(lambda: state_of(again) == "Completed", 300)
    assert resumed(target) >= 2
    assert as_by_hand(scene, target)


def test_a_run_outlives_its_worker_and_is_not_computed_twice(environment, scene, record_property):
    """Nobody reads any more what it prints; while it lives, another run of the same scene leaves
    the scene to it.
    """
    with worker(environment) as process:
        run_id, target = ordered(scene)
        seconds_until(lambda: slabs(target) >= 2, 180)
        orphan = restoring(process)
        process.kill()
        process.wait()
    # The orphan has the only place in the pool.
    prefect(environment, "work-pool", "set-concurrency-limit", "gpu", "2")
    try:
        with worker(environment):
            again, _ = ordered(scene)
            record_property(
                "seconds until the scene was done",
                seconds_until(lambda: state_of(run_id) == "Completed", 300),
            )
            seconds_until(lambda: state_of(again) in ("Completed", "Failed"), 300)
    finally:
        prefect(environment, "work-pool", "set-concurrency-limit", "gpu", "1")
    seconds_until(lambda: not orphan.is_running(), 60)
    assert resumed(target) == 0
    assert state_of(again) == "Completed" or "another run" in message_of(again)
    assert as_by_hand(scene, target)


def test_a_dead_machine_is_noticed_and_its_scene_resumed(environment, scene, record_property):
    """Worker and run killed at once: nobody is left to say so but the automation that misses their
    heartbeats.
    """
    with worker(environment) as process:
        run_id, target = ordered(scene)
        seconds_until(lambda: slabs(target) >= 2, 180)
        family = [process, *process.children(recursive=True)]
        for one in family:
            os.kill(one.pid, signal.SIGKILL)
        process.wait()
    began = time.monotonic()
    with worker(environment):
        seconds_until(lambda: "Crashed" in states(run_id), 240)
        record_property("seconds until noticed", time.monotonic() - began)
        assert not target.exists()
        seconds_until(lambda: state_of(run_id) == "Completed", 300)
        record_property("seconds until done", time.monotonic() - began)
    assert resumed(target) >= 2
    assert as_by_hand(scene, target)
