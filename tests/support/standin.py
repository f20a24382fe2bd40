"""A stand-in for Prefect: notes the commands that it is given; its server answers, and talks all
the time.
"""

from pathlib import Path

MAIN = """
import json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, HTTPServer

if "KEPT" in os.environ:
    with open(os.environ["KEPT"], "w") as file:
        json.dump(dict(os.environ) | {"PWD": os.getcwd()}, file)
with open(os.environ["SAID"], "a") as file:
    print(*sys.argv[1:], sep=" ", file=file)
print(os.environ.get("LISTED", ""))
if sys.argv[1] == os.environ.get("FAIL"):
    sys.exit(1)
if sys.argv[1:3] == ["server", "start"]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            print("a warning", file=sys.stderr, flush=True)

    server = HTTPServer((sys.argv[4], int(sys.argv[6])), Health)
    threading.Timer(60, os._exit, [0]).start()
    server.serve_forever()
"""
# What the modules of flows import first that are run as programs.
CALLED = {"client/orchestration.py": "recover", "server/database.py": "silence"}
NOTE = """
import os
with open(os.environ["SAID"], "a") as file:
    print({name!r}, file=file)
raise SystemExit(os.environ.get("FAIL") == {name!r})
"""


def make_prefect(folder: Path) -> None:
    """Write the package ``prefect`` into ``folder``, which goes on PYTHONPATH; it notes into the
    file SAID.
    """
    package = folder / "prefect"
    for place in (package, package / "client", package / "server"):
        place.mkdir()
        (place / "__init__.py").touch()
    (package / "__main__.py").write_text(MAIN)
    for name, called in CALLED.items():
        (package / name).write_text(NOTE.format(name=called))
