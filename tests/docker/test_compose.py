import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.files import COMPOSE, EXAMPLE, REQUIRED, ROOT, services, stages

OURS = ["server", "deploy", "worker", "worker-gpu", "dask-scheduler", "dask-worker"]
WORKERS = ["worker", "worker-gpu"]
WITH_PIXELS = [*WORKERS, "dask-worker"]


def test_the_file_follows_the_schema():
    check = shutil.which(
        "check-jsonschema", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    )
    assert check, "pip install check-jsonschema"
    done = subprocess.run(
        [check, "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_services_and_profiles():
    found = {name: service.get("profiles") for name, service in services().items()}
    assert found == {
        "postgres": None,
        "server": None,
        "deploy": None,
        "worker": ["cpu"],
        "worker-gpu": ["gpu"],
        "dask-scheduler": ["dask"],
        "dask-worker": ["dask"],
    }


def test_nothing_listens_beyond_loopback_unless_told():
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:4200:4200"]
    assert services(GEOAE_BIND="10.0.0.7", GEOAE_PORT="80")["server"]["ports"] == [
        "10.0.0.7:80:4200"
    ]
    assert not any("network_mode" in service for service in services().values())


def test_only_the_server_reaches_the_database():
    inside = [
        name for name, service in services().items() if "database" in service.get("networks", [])
    ]
    assert inside == ["postgres", "server"]
    assert services()["postgres"]["networks"] == ["database"]


@pytest.mark.parametrize("name", REQUIRED)
def test_nothing_starts_without_its_secrets_and_folders(name):
    with pytest.raises(LookupError, match=f"{name}: set it in docker/.env"):
        services(**{name: ""})


def test_the_api_asks_for_the_password_and_the_clients_have_it():
    found = services(GEOAE_API_PASSWORD="word")
    assert found["server"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"] == "geoae:word"
    for name in ["deploy", *WORKERS]:
        assert found[name]["environment"]["PREFECT_API_AUTH_STRING"] == "geoae:word"
        assert found[name]["environment"]["PREFECT_API_URL"] == "http://server:4200/api"


def test_the_example_names_every_variable_and_gives_no_password():
    lines = [line.removeprefix("# ") for line in EXAMPLE.read_text().splitlines()]
    example = dict(
        line.split("=", 1) for line in lines if line.split("=")[0].isupper() and "=" in line
    )
    text = COMPOSE.read_text()
    assert {name for name in example if "${" + name not in text} == set()
    assert {name: example[name] for name in REQUIRED} == dict.fromkeys(REQUIRED, "")
    ignored = subprocess.run(
        ["git", "check-ignore", "docker/.env"], cwd=ROOT, capture_output=True, check=False
    )
    assert ignored.returncode == 0


@pytest.mark.parametrize("name", OURS)
def test_our_services_have_no_rights_to_lose(name):
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "1000:1000"
    assert "privileged" not in service


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_built_from_our_targets(name):
    service = services()[name]
    target = service["build"]["target"]
    assert target in stages()
    assert service["image"] == f"geoae:{target}"
    assert target == ("cuda" if name == "worker-gpu" else "cpu")


def test_the_image_of_the_database_is_an_exact_version():
    assert services()["postgres"]["image"].count(".") == 1
    assert not services()["postgres"]["image"].endswith("latest")


def test_everything_that_stays_up_has_a_health_check():
    unchecked = [name for name, service in services().items() if "healthcheck" not in service]
    assert unchecked == ["deploy"]


@pytest.mark.parametrize("name", WITH_PIXELS)
def test_workers_see_the_same_folders_under_the_same_names(name):
    *folders, scratch = services()[name]["volumes"]
    assert scratch == "scratch:/scratch"
    assert {
        folder["target"]: (folder["source"], folder.get("read_only", False)) for folder in folders
    } == {
        "/data/inbox": (REQUIRED["GEOAE_INBOX"], True),
        "/data/outbox": (REQUIRED["GEOAE_OUTBOX"], False),
        "/data/models": (REQUIRED["GEOAE_MODELS"], False),
    }
    assert not any(folder["bind"]["create_host_path"] for folder in folders)


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_takes_one_job_at_a_time(name):
    command = services()[name]["command"]
    assert command[:2] == ["geoae", "worker"]
    assert command[command.index("--limit") + 1] == "1"


def test_how_many_runs_at_a_time_is_one_variable():
    assert services()["deploy"]["command"][-2:] == ["--limit", "1"]
    assert services(GEOAE_JOBS="4")["deploy"]["command"][-2:] == ["--limit", "4"]


def test_only_one_worker_asks_for_a_gpu():
    asking = [
        name for name, service in services().items() if "devices" in str(service.get("deploy", ""))
    ]
    assert asking == ["worker-gpu"]
