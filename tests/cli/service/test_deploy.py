import json
import os
import subprocess
from pathlib import Path

import pytest

from geoae.cli.service import deploy as deploy_module
from geoae.cli.service.deploy import Setup, deploy
from geoae.errors import GeoaeError

SET_UP = [
    "work-pool create gpu --type process --overwrite",
    "work-pool set-concurrency-limit gpu 2",
    "--no-prompt deploy --all",
    "automation ls",
]
NAMES = [
    "geoae: count runs without a sign of life as crashed",
    "geoae: start runs again that lost their process",
]
FILES = ["flows/automations/silent-runs.json", "flows/automations/start-again.json"]


def test_it_runs_prefect_and_tells_what(said, api, told):
    deploy(Setup(api=api, limit=2, inbox="in", worker=False))
    assert said() == [*SET_UP, *(f"automation create --from-file {name}" for name in FILES)]
    assert [line for line in told if line.startswith("prefect ")] == [
        f"prefect {line}" for line in said() if line != "automation ls"
    ]
    assert f"export PREFECT_API_URL={api}" in told
    assert f"export GEOAE_INBOX={Path('in').resolve()}" in told


def test_the_worker_line_works_when_pasted(said, api, monkeypatch, tmp_path, told):
    """In a shell that knows nothing of this one but where the packages are."""
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "geoae:hush")
    monkeypatch.setenv("GEOAE_MODEL", "a model")
    monkeypatch.setenv("GEOAE_DATABASE_PASSWORD", "hush-hush")
    deploy(Setup(api=api, limit=2, inbox="in", worker=False))
    assert told[-2] == "# ready; a worker is started, in any shell, with:"
    assert not any("hush" in line for line in told)
    before = len(said())
    bare = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "SAID")} | {
        "KEPT": str(tmp_path / "kept"),
        "PREFECT_API_AUTH_STRING": "geoae:hush",
    }
    subprocess.run(["sh", "-c", told[-1]], env=bare, cwd=tmp_path, check=True)
    assert said()[before:] == ["recover", "worker start --pool gpu --limit 2"]
    kept = json.loads((tmp_path / "kept").read_text())
    assert kept["PREFECT_API_URL"] == api
    assert kept["PREFECT_API_AUTH_STRING"] == "geoae:hush"
    assert kept["GEOAE_INBOX"] == str(Path("in").resolve())
    assert kept["GEOAE_MODEL"] == "a model"
    assert kept["MALLOC_ARENA_MAX"] == "1"
    assert (Path(kept["PWD"]) / "prefect.yaml").is_file()


def test_telemetry_is_off(said, api, monkeypatch, told):
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    monkeypatch.delenv("PREFECT_SERVER_ANALYTICS_ENABLED", raising=False)
    deploy(Setup(api=api, worker=False))
    assert {"export DO_NOT_TRACK=1", "export PREFECT_SERVER_ANALYTICS_ENABLED=false"} <= set(told)


def test_what_is_there_is_left(said, api, monkeypatch):
    monkeypatch.setenv("LISTED", " ".join(NAMES))
    deploy(Setup(api=api, limit=2, worker=False))
    assert said() == SET_UP


def test_only_an_automation_that_is_missing_is_made(said, api, monkeypatch):
    monkeypatch.setenv("LISTED", NAMES[0])
    deploy(Setup(api=api, limit=2, worker=False))
    assert said() == [*SET_UP, f"automation create --from-file {FILES[1]}"]


def test_the_automations_are_named_as_the_test_believes():
    root = Path(__file__).parents[3]
    assert [json.loads((root / name).read_text())["name"] for name in FILES] == NAMES


def test_a_command_that_fails_is_told(said, api, monkeypatch):
    monkeypatch.setenv("FAIL", "--no-prompt")
    monkeypatch.setenv("LISTED", "no such pool")
    with pytest.raises(
        GeoaeError, match=r"prefect --no-prompt deploy --all: failed \(no such pool\)"
    ):
        deploy(Setup(api=api, worker=False))


def test_a_server_elsewhere_is_not_started(said):
    with pytest.raises(GeoaeError, match="no Prefect server answers"):
        deploy(Setup(api="http://server.invalid:4200/api"))
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
def test_what_is_no_address_is_refused_before_anything_is_run(said, api, told):
    with pytest.raises(GeoaeError, match="is no address of a server; give --api one like"):
        deploy(Setup(api=api))
    assert told == []


def test_no_server_is_started_where_none_is_wanted(said):
    with pytest.raises(GeoaeError, match="no Prefect server answers"):
        deploy(Setup(api="http://127.0.0.1:9/api", server=False))
    assert said() == []


def test_a_server_here_is_started(said, monkeypatch):
    started = []
    monkeypatch.setattr(deploy_module, "start_server", lambda service: started.append(service.api))
    deploy(Setup(api="http://127.0.0.1:9/api", limit=2, worker=False))
    assert started == ["http://127.0.0.1:9/api"]
    assert said()[:1] == SET_UP[:1]


def test_units_are_written_in_place_of_all_else(said, tmp_path):
    deploy(Setup(systemd=tmp_path / "units"))
    assert sorted(path.name for path in (tmp_path / "units").iterdir()) == [
        "geoae-server.service",
        "geoae-worker.service",
    ]
    assert said() == []
