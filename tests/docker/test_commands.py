"""Every command of docker/ is run, outside a container: a new one is either run by these tests, or
fails them.
"""

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.docker.files import REQUIRED, exec_form, services, stages
from tests.docker.services import POSTGRES, Ground, until

pytestmark = pytest.mark.timeout(600)

# Where a compose file can hold a command. Those that ours does not use would need a test of their
# own.
UNUSED = {"entrypoint", "post_start", "pre_stop", "extends", "env_file", "configs", "develop"}
INSTRUCTIONS = {"FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "HEALTHCHECK", "CMD"}
STARTED = ["postgres", "server", "dask-scheduler", "dask-worker", "worker"]


def test_these_tests_look_at_every_place_with_commands():
    assert {keyword for stage in stages().values() for keyword, _ in stage} == INSTRUCTIONS
    found = services()
    assert {key for service in found.values() for key in service} & UNUSED == set()
    assert set(found) == {*STARTED, "deploy", "worker-gpu"}
    assert [name for name, service in found.items() if "command" not in service] == ["postgres"]
    for part in ("command", "environment", "healthcheck"):  # so the one stands for the other
        assert found["worker"][part] == found["worker-gpu"][part]


@pytest.mark.parametrize(
    "words",
    [
        exec_form(value)
        for stage in stages().values()
        for key, value in stage
        if key in ("CMD", "HEALTHCHECK")
    ],
    ids=" ".join,
)
def test_the_commands_of_the_image_end_well(words, tmp_path):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "res-cae" in done.stdout or "Restore noisy satellite scenes" in done.stdout


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    ground = Ground(tmp_path_factory.mktemp("dask"))
    try:
        ground.start("dask-scheduler")
        ground.start("dask-worker")
        yield ground
    finally:
        ground.close()


@pytest.mark.slow
def test_the_dask_cluster_computes(dask):
    from distributed import Client

    address = services(GEOAE_DASK="tcp://dask-scheduler:8786")["worker"]["environment"][
        "DASK_SCHEDULER_ADDRESS"
    ]
    with Client(dask.local(address), timeout=30) as client:
        assert client.submit(sum, [1, 2, 3]).result(30) == 6
        [worker] = client.scheduler_info()["workers"].values()
    assert worker["nthreads"] == 1
    assert worker["memory_limit"] == 4 << 30
    assert dask.stop("dask-worker") == 0


@pytest.fixture(scope="module")
def prefect(tmp_path_factory):
    """Database, server and a worker, in the order of the compose file; on a machine without
    PostgreSQL the server keeps to SQLite.
    """
    ground = Ground(tmp_path_factory.mktemp("prefect"))
    try:
        if POSTGRES:
            ground.start("postgres")
        else:
            server = ground.services["server"]["environment"]
            for name in [name for name in server if "DATABASE" in name]:
                del server[name]
        ground.start("server")
        deployed = ground.run("deploy", services()["deploy"]["command"])
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        ground.start("worker")
        yield ground
    finally:
        ground.close()


def ask(ground: Ground, path: str, user: str = "") -> object:
    """What the API answers to an empty POST."""
    url = ground.local(f"http://server:4200/api{path}")
    request = urllib.request.Request(url, data=b"{}", headers={"Content-Type": "application/json"})
    if user:
        request.add_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


USER = f"geoae:{REQUIRED['GEOAE_API_PASSWORD']}"


@pytest.mark.slow
@pytest.mark.parametrize("user", ["", "geoae:", "geoae:geoae"])
def test_the_api_refuses_who_does_not_know_the_password(prefect, user):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(prefect, "/deployments/filter", user)


@pytest.mark.slow
def test_pages_are_served_from_a_read_only_image(prefect):
    url = prefect.local("http://server:4200/")
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert b"Prefect" in answer.read()
    assert list((prefect.places["/scratch"] / "ui").rglob("index.html"))


@pytest.mark.slow
def test_deployments_pool_and_worker_are_there(prefect):
    names = {deployment["name"] for deployment in ask(prefect, "/deployments/filter", USER)}
    assert {"on-demand", "nightly", "every-10-minutes", "weekly"} <= names
    [pool] = ask(prefect, "/work_pools/filter", USER)
    assert (pool["name"], pool["type"]) == ("gpu", "process")
    until(
        lambda: (
            [one["status"] for one in ask(prefect, "/work_pools/gpu/workers/filter", USER)]
            == ["ONLINE"]
        )
    )


@pytest.mark.slow
def test_to_deploy_again_changes_nothing(prefect):
    before = ask(prefect, "/deployments/filter", USER)
    assert prefect.run("deploy", services()["deploy"]["command"]).returncode == 0
    after = ask(prefect, "/deployments/filter", USER)
    assert [deployment["id"] for deployment in after] == [deployment["id"] for deployment in before]


@pytest.mark.slow
@pytest.mark.skipif(POSTGRES is None, reason="no PostgreSQL on this machine")
def test_the_server_keeps_its_runs_in_the_database(prefect):
    settings = prefect.environment("server")
    select = [
        "psql",
        "--host",
        "127.0.0.1",
        "--port",
        str(prefect.ports["5432"]),
        "--username",
        "geoae",
        "--dbname",
        "geoae",
    ]
    done = subprocess.run(
        [*select, "--tuples-only", "--command", "select count(*) from deployment"],
        env=settings | {"PGPASSWORD": settings["PREFECT_SERVER_DATABASE_PASSWORD"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) >= 4


@pytest.mark.slow
def test_a_worker_ends_when_asked(prefect):
    assert prefect.stop("worker") == 0
