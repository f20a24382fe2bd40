import json
import os
import subprocess
import sys
import time
from urllib.request import urlopen

import pytest

from geoae.cli.service.server import start_server
from geoae.cli.service.worker import Service
from geoae.errors import GeoaeError
from tests.support.commands import free_port

GEOAE = [sys.executable, "-m", "geoae"]


def starts(said) -> list[str]:
    return [line for line in said() if line.startswith("server start")]


def test_a_server_outlives_its_starter_and_what_it_logs(service, home):
    """The stand-in logs a warning at each request, when nobody is left to read what it says."""
    words = (
        "import sys; from geoae.cli.service.server import *;"
        " from geoae.cli.service.worker import *;"
        " from geoae.cli.console import print_log\n"
        "with print_log(): start_server(Service.at(sys.argv[1], {}))"
    )
    starter = subprocess.run(
        [sys.executable, "-c", words, service.api], capture_output=True, text=True, check=True
    )
    assert (
        f"geoae server --host 127.0.0.1 --port {service.address.port} >>{home / 'server.log'}"
        " 2>&1 &" in starter.stdout
    )
    for _ in range(3):
        urlopen(f"{service.api}/health", timeout=5).close()
    assert (home / "server.log").read_text().count("a warning") >= 3
    pid = int((home / "server.pid").read_text())
    assert os.getsid(pid) == pid


@pytest.mark.parametrize(
    "noted",
    ["", "rubbish", str(2**31 - 1), str(os.getpid()), "1"],
    ids=["empty", "rubbish", "nobody", "this process", "init"],
)
def test_a_pid_that_is_no_servers_is_not_trusted(service, said, home, noted):
    (home / "server.pid").write_text(noted)
    start_server(service)
    assert len(starts(said)) == 1
    assert (home / "server.pid").read_text() != noted


def test_a_server_that_will_answer_soon_is_waited_for(service, said, home):
    listen = ["--host", "127.0.0.1", "--port", str(service.address.port)]
    with subprocess.Popen([sys.executable, "-m", "prefect", "server", "start", *listen]) as first:
        (home / "server.pid").write_text(str(first.pid))
        start_server(service)
        assert len(starts(said)) == 1
        first.kill()


def test_a_server_elsewhere_is_named(service, home):
    listen = ["--host", "127.0.0.1", "--port", str(free_port())]
    with subprocess.Popen([sys.executable, "-m", "prefect", "server", "start", *listen]) as other:
        (home / "server.pid").write_text(str(other.pid))
        time.sleep(0.2)  # until it is Python
        with pytest.raises(
            GeoaeError,
            match=rf"PID {other.pid}: .* --port {listen[-1]}.*; give its address with --api",
        ):
            start_server(service)
        other.kill()


def test_a_server_that_ends_is_told(service, home, monkeypatch):
    monkeypatch.setenv("FAIL", "server")
    with pytest.raises(GeoaeError, match=f"the server does not answer; {home}/server.log says why"):
        start_server(Service.at(service.api, {}))


def test_a_folder_that_cannot_be_written_is_told(service, home):
    (home / "server.log").mkdir()
    with pytest.raises(
        GeoaeError, match=f"{home}: cannot be written .*; give another folder in PREFECT_HOME"
    ):
        start_server(service)


@pytest.mark.parametrize("proxy", [None, "http://proxy:1"])
def test_the_server_asks_nobody_unless_there_is_a_proxy(said, tmp_path, monkeypatch, proxy):
    monkeypatch.setenv("KEPT", str(tmp_path / "kept"))
    monkeypatch.setenv("FAIL", "server")  # ends at once
    monkeypatch.delenv("https_proxy", raising=False)
    (
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        if proxy
        else monkeypatch.delenv("HTTPS_PROXY", raising=False)
    )
    subprocess.run([*GEOAE, "server", "--port", "4999"], check=False)
    assert said() == ["silence", "server start --host 127.0.0.1 --port 4999"]
    kept = json.loads((tmp_path / "kept").read_text())
    assert kept["HTTPS_PROXY"] == (proxy or "http://127.0.0.1:9")
    assert kept["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
