"""Remote storage that stumbles is asked again; where it fails, the next run goes on."""

import contextlib
import itertools
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.support.faults import Doomed, goes_on, words
from tests.support.rasters import read


@dataclass(frozen=True)
class Settings:
    """Of GDAL, from the environment."""

    values: dict[str, str]

    def install(self) -> None:
        os.environ.update(self.values)


class Storage(ThreadingHTTPServer):
    """A web server of one file; request ``n`` is answered by ``status(n)`` where that is
    not 200.
    """

    def __init__(self, path: Path, status: Callable[[int], int]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.status, self.count = path.read_bytes(), status, itertools.count(1)
        self.name = f"/vsicurl/http://127.0.0.1:{self.server_port}/in.tif"


class Answer(BaseHTTPRequestHandler):
    server: Storage

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        content, status = self.server.content, 200
        if not self.path.endswith("/in.tif"):
            return self.send_error(404)
        if self.command == "GET":
            status = self.server.status(next(self.server.count))
        if status != 200:
            return self.send_error(status)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "bytes=0-"))
        start, stop = int(asked[1]), min(int(asked[2] or len(content)) + 1, len(content))
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[start:stop])
        return None

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def storage(source):
    """Starts a ``Storage`` of the scene."""
    with contextlib.ExitStack() as stack:

        def start(status: Callable[[int], int]) -> Storage:
            server = stack.enter_context(Storage(source, status))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return server

        yield start


# In many small requests, and nothing kept: what was sampled is asked for again.
REMOTE = Settings(
    {
        "GDAL_HTTP_RETRY_DELAY": "0.02",
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "no_proxy": "*",
        "CPL_VSIL_CURL_CHUNK_SIZE": "8192",
        "CPL_VSIL_CURL_CACHE_SIZE": "65536",
    }
)


def test_remote_storage_that_stumbles_is_asked_again(tmp_path, source, storage):
    server = storage(lambda n: 503 if n % 3 == 0 else 200)
    run = Doomed(tmp_path, *words(server.name), faults=[REMOTE])
    assert run.ended() == 0, run.said
    assert next(server.count) > 6
    assert np.array_equal(read(tmp_path / "out.tif"), read(source))


def test_remote_storage_that_fails_ends_a_run_that_can_go_on(tmp_path, source, storage):
    order = words((server := storage(lambda n: 200)).name)
    whole = Doomed(tmp_path, *order, faults=[REMOTE])
    assert whole.ended() == 0, whole.said
    (tmp_path / "out.tif").unlink()
    needed, server.count = next(server.count), itertools.count(1)
    server.status = lambda n: 500 if n > 0.8 * needed else 200
    run = Doomed(tmp_path, *order, faults=[REMOTE])
    assert run.ended() == 1
    assert len(run.said) == 1
    assert "cannot be read" in run.said[0]
    assert not (tmp_path / "out.tif").exists()
    server.status = lambda n: 200
    goes_on(tmp_path, order, read(source))
