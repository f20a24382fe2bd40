"""Signals that ask a command to end, told in one line. Of geoae and of others this imports nothing
that takes time.
"""

import os
import signal
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import NoReturn

__all__ = ["leave", "listen"]

# Commands that keep what is finished, and what to say of it.
RESUMABLE = {"restore", "train"}
RESUME = "; what is finished is kept, run the same command again to go on"


def listen() -> list[signal.Signals]:
    """Signals that ask this process to end, as they arrive. The first unwinds what is going on; a
    second ends it at once, for which what is on disk is always fit.
    """
    heard: list[signal.Signals] = []

    def hear(number: int, frame: object) -> None:
        heard.append(signal.Signals(number))
        if len(heard) > 1:
            leave(heard)
        raise KeyboardInterrupt

    def lost(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """What a callback of GDAL could not raise: an interruption, or words of a damaged file that
        are no UTF-8.
        """
        if issubclass(kind, KeyboardInterrupt):
            leave(heard)
        last = trace
        while last and last.tb_next:
            last = last.tb_next
        where = last.tb_frame.f_code.co_filename if last else "rasterio"
        if not (issubclass(kind, UnicodeDecodeError) and "rasterio" in where):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = lost
    sys.unraisablehook = lambda said: lost(
        said.exc_type, said.exc_value or said.exc_type(), said.exc_traceback
    )
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # nohup, or a job in the background of a script
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, hear)
    return heard


def leave(heard: Sequence[signal.Signals], at_once: bool = True) -> NoReturn:
    """Say that the process ends and how to go on, and end it."""
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
