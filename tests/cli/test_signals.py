import signal
import subprocess
import sys

import pytest

from tests.support.commands import run_python

RESUMES = "; what is finished is kept, run the same command again to go on"


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")]
)
@pytest.mark.parametrize(("word", "more"), [("restore", RESUMES), ("inspect", "")])
def test_a_signal_while_the_command_is_imported_is_one_line(tmp_path, number, said, word, more):
    (tmp_path / "click.py").write_text(f"import os; os.kill(os.getpid(), {int(number)})")
    program = [sys.executable, "-m", "geoae", word, "s.tif"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        128 + number,
        "",
        f"geoae: {said}{more}\n",
    )


PROGRAM = """
import atexit, os, signal, sys
from geoae.cli.signals import exit_on_signal, install_handlers
atexit.register(lambda: print("finished", flush=True))
"""


def ended(tmp_path, *lines: str) -> subprocess.CompletedProcess[str]:
    """A program that hears signals, named ``restore``."""
    code = PROGRAM + "\n".join(lines)
    return run_python("-c", code, "restore", cwd=tmp_path)


@pytest.mark.parametrize(("at_once", "out"), [(True, ""), (False, "finished\n")])
def test_a_process_ends_at_once_or_after_its_exit_functions(tmp_path, at_once, out):
    """A Python without the private function that runs them fails here."""
    done = ended(tmp_path, f"exit_on_signal([signal.SIGTERM], {at_once})")
    assert (done.returncode, done.stdout, done.stderr) == (
        143,
        out,
        f"geoae: terminated{RESUMES}\n",
    )


def test_the_first_signal_unwinds_and_the_second_ends_it(tmp_path):
    lines = (
        "heard = install_handlers()",
        "try: os.kill(os.getpid(), signal.SIGTERM)",
        "except KeyboardInterrupt: print('unwinds', *map(int, heard), flush=True)",
        "try: os.kill(os.getpid(), signal.SIGINT)",
        "except KeyboardInterrupt: print('unwinds again')",
    )
    done = ended(tmp_path, *lines)
    assert (done.returncode, done.stdout) == (143, f"unwinds {int(signal.SIGTERM)}\n")
    assert done.stderr == f"geoae: terminated{RESUMES}\n", "that of the first"


def test_a_signal_that_a_script_ignores_stays_ignored(tmp_path):
    lines = (
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)",
        "install_handlers()",
        "os.kill(os.getpid(), signal.SIGHUP)",
        "print('goes on')",
    )
    done = ended(tmp_path, *lines)
    assert (done.returncode, done.stdout, done.stderr) == (0, "goes on\nfinished\n", "")


def test_an_interruption_that_a_callback_cannot_raise_ends_it(tmp_path):
    lines = (
        "class Left:",
        "    def __del__(self): raise KeyboardInterrupt",
        "install_handlers()",
        "Left()",
        "print('never')",
    )
    done = ended(tmp_path, *lines)
    assert (done.returncode, done.stdout, done.stderr) == (
        130,
        "",
        f"geoae: interrupted{RESUMES}\n",
    )


def test_other_errors_are_told_as_python_does(tmp_path):
    done = ended(tmp_path, "install_handlers()", "1 / 0")
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
