import json
import os
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from geoae.errors import GeoaeError
from geoae.setup import Setup, set_up

STUB = """
import json, os, sys
if "KEPT" in os.environ:
    with open(os.environ["KEPT"], "w") as file:
        json.dump(dict(os.environ) | {"PWD": os.getcwd()}, file)
with open(os.environ["SAID"], "a") as file:
    print(*sys.argv[1:], sep=" ", file=file)
print(os.environ.get("LISTED", ""))
sys.exit(sys.argv[1] == os.environ.get("FAIL"))
"""


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Commands that a stand-in for Prefect was given."""
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "__init__.py").touch()
    (tmp_path / "prefect" / "__main__.py").write_text(STUB)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    return lambda: (tmp_path / "said").read_text().splitlines() if (tmp_path / "said").exists() else []


@pytest.fixture
def api():
    class Health(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/health" else 404)
            self.end_headers()

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api"
        server.shutdown()


SET_UP = [
    "work-pool create gpu --type process --overwrite",
    "work-pool set-concurrency-limit gpu 2",
    "--no-prompt deploy --all",
    "automation ls",
]
NAME = "geoae: count silent runs as crashed"


def test_it_runs_prefect_and_tells_what(said, api):
    told: list[str] = []
    set_up(Setup(api=api, limit=2, inbox="in", worker=False), told.append)
    assert said() == [*SET_UP, "automation create --from-file flows/automations.json"]
    assert [line for line in told if line.startswith("prefect ")] == [f"prefect {line}" for line in said() if line != "automation ls"]  # fmt: skip
    assert f"export PREFECT_API_URL={api}" in told
    assert f"export GEOAE_INBOX={Path('in').resolve()}" in told


def test_the_worker_line_works_when_pasted(said, api, monkeypatch, tmp_path):
    """In a shell that knows nothing of this one but where the packages are."""
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "geoae:hush")
    monkeypatch.setenv("GEOAE_MODEL", "a model")
    monkeypatch.setenv("GEOAE_DATABASE_PASSWORD", "hush-hush")
    told: list[str] = []
    set_up(Setup(api=api, limit=2, inbox="in", worker=False), told.append)
    assert told[-2] == "# ready; a worker is started, in any shell, with:"
    assert not any("hush" in line for line in told)
    before = len(said())
    bare = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "SAID")} | {
        "KEPT": str(tmp_path / "kept"),
        "PREFECT_API_AUTH_STRING": "geoae:hush",
    }
    subprocess.run(["sh", "-c", told[-1]], env=bare, cwd=tmp_path, check=True)
    assert said()[before:] == ["worker start --pool gpu --limit 2"]
    kept = json.loads((tmp_path / "kept").read_text())
    assert kept["PREFECT_API_URL"] == api
    assert kept["PREFECT_API_AUTH_STRING"] == "geoae:hush"
    assert kept["GEOAE_INBOX"] == str(Path("in").resolve())
    assert kept["GEOAE_MODEL"] == "a model"
    assert kept["MALLOC_ARENA_MAX"] == "1"
    assert (Path(kept["PWD"]) / "prefect.yaml").is_file()


def test_telemetry_is_off(said, api, monkeypatch):
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    monkeypatch.delenv("PREFECT_SERVER_ANALYTICS_ENABLED", raising=False)
    told: list[str] = []
    set_up(Setup(api=api, worker=False), told.append)
    assert {"export DO_NOT_TRACK=1", "export PREFECT_SERVER_ANALYTICS_ENABLED=false"} <= set(told)


def test_what_is_there_is_left(said, api, monkeypatch):
    monkeypatch.setenv("LISTED", NAME)
    set_up(Setup(api=api, limit=2, worker=False), lambda line: None)
    assert said() == SET_UP


def test_the_automations_are_named_as_the_test_believes():
    path = Path(__file__).parents[1] / "flows" / "automations.json"
    assert [one["name"] for one in json.loads(path.read_text())["automations"]] == [NAME]


def test_a_command_that_fails_is_told(said, api, monkeypatch):
    monkeypatch.setenv("FAIL", "--no-prompt")
    monkeypatch.setenv("LISTED", "no such pool")
    with pytest.raises(GeoaeError, match=r"prefect --no-prompt deploy --all: failed \(no such pool\)"):
        set_up(Setup(api=api, worker=False), lambda line: None)


def test_a_server_elsewhere_is_not_started(said):
    with pytest.raises(GeoaeError, match="no Prefect server answers"):
        set_up(Setup(api="http://server.invalid:4200/api"), lambda line: None)
    assert said() == []


@pytest.mark.parametrize(
    "api",
    [
        "rubbish",
        "",
        "ftp://server/api",
        "http://",
        "http://127.0.0.1:x/api",
        "http://127.0.0.1:99999/api",
        "http://a b/api",
        "http://me:hush@server/api",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_run(said, api):
    told = []
    with pytest.raises(GeoaeError, match="is no address of a server; give --api one like"):
        set_up(Setup(api=api), told.append)
    assert told == []


def test_a_server_here_is_started(said, monkeypatch):
    monkeypatch.setattr("geoae.setup.SERVER_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(GeoaeError, match="did not answer within"):
        set_up(Setup(api=f"http://127.0.0.1:{port}/api"), lambda line: None)
    assert said() == [f"server start --host 127.0.0.1 --port {port} --background"]
