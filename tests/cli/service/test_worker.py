import subprocess
import sys

import pytest

from geoae.cli.service.server import start_server
from geoae.cli.service.worker import Service, run_worker
from geoae.errors import GeoaeError

GEOAE = [sys.executable, "-m", "geoae"]


def test_a_worker_looks_for_lost_runs_first(service, said):
    start_server(service)
    before = len(said())
    subprocess.run(
        [*GEOAE, "worker", "--api", service.api, "--limit", "2", "--healthcheck"], check=True
    )
    assert said()[before:] == ["recover", "worker start --pool gpu --limit 2 --with-healthcheck"]


def test_a_worker_does_not_start_where_that_fails(service, said, monkeypatch):
    start_server(service)
    monkeypatch.setenv("FAIL", "recover")
    with pytest.raises(GeoaeError, match=r"python -m flows\.recover: failed"):
        run_worker(Service.at(service.api, {}), 1)


def test_a_worker_without_a_server_is_told(service, said):
    with pytest.raises(GeoaeError, match="no Prefect server answers; start it with geoae server"):
        run_worker(service, 1)
    assert said() == []
