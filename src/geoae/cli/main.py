"""Run the command ``geoae``: every error becomes one line and an exit code."""

import io
import logging
import os
import sys
import threading
from typing import NoReturn

import click

from geoae.cli.app import cli
from geoae.cli.process import tune_process
from geoae.cli.signals import exit_on_signal, install_handlers
from geoae.errors import GeoaeError
from geoae.system.memory import is_out_of_memory

__all__ = ["main", "usage_error"]


def main() -> None:
    """Run the command: exit 0 done, 1 an error in one line, 130 interrupted, 143 terminated."""
    tune_process()
    # Python would print GDAL's messages in addition to the one line of the error.
    logging.getLogger("rasterio").addHandler(logging.NullHandler())
    heard = install_handlers()
    if sys.stdout is None:  # the parent process closed it
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not of UTF-8 shows other characters than ASCII by their codes.
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() != "utf-8":
            stream.reconfigure(encoding="ascii", errors="backslashreplace")
    try:
        cli.main(prog_name="geoae", standalone_mode=False)
        sys.stdout.flush()
    except GeoaeError as error:
        _stop(f"geoae: {error}")
    except click.ClickException as error:
        _stop(f"geoae: {usage_error(error)}")
    except BrokenPipeError:  # the reader of the pipe has ended
        _silence()
        sys.exit(1)
    except OSError as error:  # of standard output, unless it names a file
        if error.filename is not None:
            _stop(
                f"geoae: {error.filename}: cannot be used ({error.strerror}); allow it, or choose"
                " another"
            )
        _silence()
        _stop(
            f"geoae: what it says cannot be written ({error.strerror or error}); outputs that it"
            " names are complete"
        )
    except ImportError as error:
        if "failed to map" not in str(error):
            raise
        _stop(
            "geoae: out of memory while its libraries load; raise the limit (ulimit -v), they take"
            " some 10 GiB of addresses"
        )
    except (KeyboardInterrupt, click.Abort):
        # Python would wait for GDAL's copy, whose file has been removed already.
        exit_on_signal(
            heard, at_once="geoae-copy" in {thread.name for thread in threading.enumerate()}
        )
    except (MemoryError, RuntimeError) as error:  # click.Abort is one, too
        if not is_out_of_memory(error):
            raise
        _stop("geoae: out of memory; give a smaller --tile, fewer --bands, or a machine with more")
    finally:
        sys.excepthook = sys.__excepthook__


def _silence() -> None:
    """Redirect standard output to /dev/null, so that Python's flush at exit cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop(message: str) -> NoReturn:
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(1)


def usage_error(error: click.ClickException) -> str:
    """Describe a wrong use of the command, with the most similar right word or where to look."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "geoae"
    near = getattr(error, "possibilities", None)
    what = error.message if near else error.format_message()
    cure = f"did you mean {near[0]}?" if near else f"see {path} --help"
    command = " ".join([*path.split()[1:], ""]).replace(" ", ": ")
    return f"{command}{what[:1].lower()}{what[1:].rstrip('.')}; {cure}"
