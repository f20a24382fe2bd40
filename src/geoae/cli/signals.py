"""Signals that end a command, reported in one line. Imports nothing that takes time."""

import os
import signal
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn

__all__ = ["exit_on_signal", "install_handlers"]

# Commands that keep finished work, and the message about it.
RESUMABLE = {"batch", "restore", "train"}
RESUME = "; what is finished is kept, run the same command again to go on"


def install_handlers() -> list[signal.Signals]:
    """Install handlers for the signals that end a process, and return the list of those received.

    The first signal unwinds the work in progress; a second one exits at once. Files on disk are
    consistent at any time.
    """
    heard: list[signal.Signals] = []

    def handle_signal(number: int, frame: object) -> None:
        heard.append(signal.Signals(number))
        if len(heard) > 1:
            exit_on_signal(heard)
        raise KeyboardInterrupt

    def handle_unraisable(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """Handle what a callback of GDAL cannot raise: an interruption, or text that is not
        UTF-8.
        """
        if issubclass(kind, KeyboardInterrupt):
            exit_on_signal(heard)
        last = trace
        while last and last.tb_next:
            last = last.tb_next
        where = last.tb_frame.f_code.co_filename if last else "rasterio"
        if not (issubclass(kind, UnicodeDecodeError) and "rasterio" in where):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = handle_unraisable
    sys.unraisablehook = lambda said: handle_unraisable(
        said.exc_type, said.exc_value or said.exc_type(), said.exc_traceback
    )
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # ignored under nohup, or in a background job of a script
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, handle_signal)
    return heard


def exit_on_signal(heard: Sequence[signal.Signals], at_once: bool = True) -> NoReturn:
    """Report that the process ends and how to continue, and end it.

    Args:
        heard: signals received.
        at_once: whether to skip Python's exit functions.

    """
    number = heard[0] if heard else signal.SIGINT
    why = "interrupted" if number is signal.SIGINT else "terminated"
    resumable = len(sys.argv) > 1 and sys.argv[1] in RESUMABLE
    sys.stdout.flush()
    os.write(sys.stderr.fileno(), f"geoae: {why}{RESUME if resumable else ''}\n".encode())
    if not at_once:
        import atexit

        atexit._run_exitfuncs()
    # Not sys.exit: where an import was interrupted, Python would still die of SIGINT.
    os._exit(128 + number)
