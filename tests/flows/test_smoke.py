"""The whole set-up, as the script shows it, and whom its processes talk to."""

import ast
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.flows.scenes import REAL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
HERE = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", None}


def _connected(process: psutil.Popen, found: set[str], stop: threading.Event) -> None:
    """What GDAL, curl or any other C code of the process's family is connected to."""
    while not stop.wait(0.5):
        for one in [process, *process.children(recursive=True)]:
            try:
                found |= {
                    connection.raddr.ip
                    for connection in one.net_connections("inet")
                    if connection.raddr
                }
            except psutil.Error:
                continue


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there")
def test_from_nothing_to_restored_scenes(tmp_path, record_property):
    spy = tmp_path / "spied"
    path = os.pathsep.join(
        [str(ROOT / "tests" / "flows" / "spy"), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    )
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": path, "SPY": str(spy)}
    for name in [name for name in environment if name.startswith("PREFECT_")]:
        del environment[name]
    connected: set[str] = set()
    stop = threading.Event()
    began = time.monotonic()
    with psutil.Popen(
        [ROOT / "scripts" / "flows-smoke", REAL],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        watcher = threading.Thread(target=_connected, args=(process, connected, stop))
        watcher.start()
        try:
            said, _ = process.communicate(timeout=500)
        finally:
            stop.set()
            watcher.join()
    record_property("seconds", time.monotonic() - began)
    assert process.returncode == 0, said
    for line in (
        "server up",
        "deployed: 5 deployments",
        "a scheduled run restored",
        "a run on demand restored",
    ):
        assert line in said
    assert said.count("with model res-cae") == 2
    # nor what bash says of jobs
    assert [line for line in said.splitlines() if not re.match(r" *\d+ s  ", line)] == []
    events = [line.split(" ", 2) for line in spy.read_text().splitlines()]
    assert len({pid for pid, _, _ in events}) >= 4  # server, worker, flow runs, commands
    elsewhere = {host for _, _, text in events if not _is_here(host := ast.literal_eval(text))}
    assert elsewhere == set()
    assert {ip.removeprefix("::ffff:") for ip in connected} <= HERE


def _is_here(host: object) -> bool:
    """Loopback, or a socket of the file system."""
    text = host.decode() if isinstance(host, bytes) else host
    return text in HERE or str(text).startswith(("/", "127.", "\0")) or text == ""
