"""What the subcommands of scheduled restoration hand on."""

from pathlib import Path

import pytest

from geoae.cli.service import deploy, server
from geoae.cli.service import worker as services

API = "http://127.0.0.1:4999/api"


@pytest.fixture
def given(monkeypatch) -> list[tuple]:
    """Arguments of what would start a service."""
    found: list[tuple] = []
    monkeypatch.setattr(deploy, "deploy", lambda *words: found.append(words))
    monkeypatch.setattr(server, "run_server", lambda *words: found.append(words))

    def run_worker(service, *words, **more):
        found.append((service.api, *words, more))

    monkeypatch.setattr(services, "run_worker", run_worker)
    return found


def test_deploy_sets_up_what_is_asked_for(geoae, given):
    words = ["--api", API, "--limit", "3", "--inbox", "in", "--no-worker", "--systemd", "units"]
    assert geoae("deploy", *words)[0] == 0
    expected = deploy.Setup(
        api=API, limit=3, inbox="in", outbox=None, server=True, worker=False, systemd=Path("units")
    )
    assert given == [(expected,)]


def test_a_worker_asks_the_server_that_is_named(geoae, given):
    assert geoae("worker", "--api", API, "--limit", "2", "--healthcheck")[0] == 0
    assert given == [(API, 2, {"healthcheck": True})]


def test_a_server_listens_where_it_is_told(geoae, given):
    assert geoae("server", "--host", "::1", "--port", "4999")[0] == 0
    assert given == [("::1", 4999)]
