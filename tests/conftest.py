import shutil
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from hypothesis import settings

from tests.support.balance import balance
from tests.support.networks import save_small_network
from tests.support.standin import make_prefect
from tests.support.stores import serve_s3

# Wall-clock deadlines fail on a busy machine, not on a wrong result; the examples are the same in
# every run.
settings.register_profile("geoae", deadline=None, derandomize=True)
settings.load_profile("geoae")
# For networks that are built while tests are collected.
torch.manual_seed(0)

# A test run in the background of a script ignores what its commands are asked to hear.
for number, answer in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, answer)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put slow tests first where several processes share them."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        kinds = {True: [], False: []}
        for item in items:
            kinds[item.get_closest_marker("slow") is not None].append(item)
        items[:] = balance(kinds[True], kinds[False], workers)


@pytest.fixture(autouse=True)
def _seed():
    """A fresh network is the same in every run of a test, whatever ran before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def small_model(tmp_path_factory):
    """A folder with a small network, to copy. Its residual has no mean to speak of, so outputs
    pass their check.
    """
    folder = tmp_path_factory.mktemp("models") / "model"
    save_small_network(folder, widths=(4, 6, 8), head=0.003, tile=128)
    return folder


@pytest.fixture
def model(small_model, tmp_path):
    """A copy of that folder, which the test may change."""
    return str(shutil.copytree(small_model, tmp_path / "model"))


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Commands that a stand-in for Prefect was given."""
    make_prefect(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    return lambda: (
        (tmp_path / "said").read_text().splitlines() if (tmp_path / "said").exists() else []
    )


@pytest.fixture
def api():
    """Address of a server that says that it is well."""

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


@pytest.fixture
def s3_server(monkeypatch):
    """An S3 server on loopback, and GDAL's settings for it: its client, with an empty bucket
    ``archive``, and what counts its requests.
    """
    with serve_s3(monkeypatch.setenv) as served:
        yield served


@pytest.fixture
def s3(s3_server):
    """The client of that server."""
    return s3_server[0]
