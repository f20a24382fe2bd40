"""The command in processes of its own, at the price of a fork: with limits, and with what it used.

Run as a program, it loads geoae once and forks a child for every order on its standard input.
"""

import importlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIGHT = (
    "geoae.archive.batch",
    "geoae.cli.app",
    "geoae.cli.console",
    "geoae.pipeline.inspection",
    "geoae.pipeline.run",
)
STDOUT, STDERR = "stdout.txt", "stderr.txt"


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def run_python(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a new Python in ``cwd``."""
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit ``code`` (negative: by that signal), what it said, what it took."""

    code: int
    out: list[str]
    err: list[str]
    seconds: float
    mebibytes: float


@dataclass(frozen=True)
class Forks:
    """``geoae`` by words."""

    process: subprocess.Popen[str]
    logs: Path

    def __call__(
        self, *words: str, cwd: Path, seconds: float = 60, mebibytes: int | None = None
    ) -> Ended:
        """``geoae WORDS`` in ``cwd``, killed after ``seconds``, with that much address space."""
        order = {
            "words": words,
            "cwd": str(cwd),
            "logs": str(self.logs),
            "seconds": seconds,
            "mebibytes": mebibytes,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        out, err = (
            (self.logs / name).read_text(errors="backslashreplace").splitlines()
            for name in (STDOUT, STDERR)
        )
        return Ended(out=out, err=err, **answer)


@contextmanager
def forks(logs: Path, *modules: str) -> Iterator[Forks]:
    """A program that has loaded ``modules`` and forks; it writes what its children say into
    ``logs``.
    """
    command = [sys.executable, "-m", "tests.support.commands", *LIGHT, *modules]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Forks(process, logs)
        finally:
            process.kill()


def _serve() -> None:
    for module in sys.argv[1:]:
        importlib.import_module(module)
    for line in sys.stdin:
        order = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(**order)
        code, usage = _waited(child, began + order["seconds"])
        seconds = time.monotonic() - began
        print(
            json.dumps({"code": code, "seconds": seconds, "mebibytes": usage.ru_maxrss / 1024}),
            flush=True,
        )


def _waited(child: int, until: float) -> tuple[int, resource.struct_rusage]:
    while time.monotonic() < until:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), usage


def _become(
    words: Sequence[str], cwd: str, logs: str, seconds: float, mebibytes: int | None
) -> None:
    """The command, to its end."""
    from geoae.cli.main import main

    os.chdir(cwd)
    for name, number in ((os.devnull, 0), (Path(logs) / STDOUT, 1), (Path(logs) / STDERR, 2)):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, number)
    if mebibytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))
    sys.argv = ["geoae", *words]
    code = 70
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:  # what the interpreter would do
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
