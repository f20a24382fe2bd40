"""A store with an S3 API on loopback, which can be made to wait in the middle of an upload."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest

__all__ = ["Store", "fill_bucket", "serve_s3"]

BUCKET = "archive"


class Store:
    """A server of moto's: counts requests, and holds back or refuses parts and ends of uploads."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self.requests: list[tuple[str, str]] = []
        self.held_part: int | None = None
        self.refused_part: int | None = None
        self.refuses_ends = False
        self.reached, self.released = threading.Event(), threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        self.requests.append((method, environ["PATH_INFO"]))
        asked = parse_qs(environ["QUERY_STRING"])
        part, ends = asked.get("partNumber"), method == "POST" and "uploadId" in asked
        if part and int(part[0]) == self.held_part:
            self.reached.set()
            self.released.wait(60)
        if (part and int(part[0]) == self.refused_part) or (ends and self.refuses_ends):
            start_response("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        return self._app(environ, start_response)


@contextmanager
def serve_s3(set_variable: Callable[[str, str], None]) -> Iterator[tuple[Any, Store]]:
    """Start a server with the empty bucket ``archive``; yield a client and the server.

    It has a port of its own, since GDAL remembers what it has seen at an address.

    Args:
        set_variable: sets a variable of the environment, in which GDAL's settings go.

    """
    pytest.importorskip("moto.server")
    import boto3
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from moto.s3.models import s3_backends
    from werkzeug.serving import make_server

    store = Store(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, store, True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    told = {
        "AWS_S3_ENDPOINT": f"127.0.0.1:{server.server_port}",
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in told.items():
        set_variable(name, value)
    client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{server.server_port}")
    client.create_bucket(Bucket=BUCKET)
    try:
        yield client, store
    finally:
        store.released.set()
        client.close()
        server.shutdown()
        thread.join()
        server.server_close()
        for backends in s3_backends.values():
            for backend in backends.values():
                backend.reset()


def fill_bucket(names: Sequence[str]) -> None:
    """Put empty objects into the bucket ``archive``, faster than by requests."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    for name in names:
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(BUCKET, name, b"")
