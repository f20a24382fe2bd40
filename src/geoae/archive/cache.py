"""Remember which scenes of an archive are done, so that nobody opens all outputs to see it."""

import hashlib
import os
import sqlite3
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from geoae.catalog.s3 import find_object, is_s3, list_objects
from geoae.catalog.sources import SceneRef
from geoae.errors import InputError
from geoae.system.files import is_local, to_gdal_name

__all__ = ["DoneCache"]

# The number is that of the table's form: another one begins an empty cache.
NAME = ".geoae-done-1.sqlite"
TABLE = """
CREATE TABLE IF NOT EXISTS done (
    name TEXT PRIMARY KEY, source TEXT, source_stamp TEXT, target_stamp TEXT, key TEXT
) WITHOUT ROWID
"""
FIND = "SELECT source, source_stamp, target_stamp, key FROM done WHERE name = ?"
ADD = "INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?)"
# Entries of one transaction: short ones keep no other process waiting.
AT_ONCE = 500
# Seconds that another process may hold the file.
WAIT = 5.0


class DoneCache:
    """A file of SQLite beside the outputs of an archive. Open it with ``with``.

    For outputs in S3 it is in the folder for temporary files, and the store is asked for the list
    of its objects once.

    The outputs decide, by their fingerprints; an entry only repeats what was read there. It counts
    while size and time of change of source, of its sidecars, and of the output are those that it
    names. So the file may be deleted at any time, and where it cannot be read or written, each
    output is opened.
    """

    def __init__(self, target: str, key: str) -> None:
        """Describe the cache of one archive.

        Args:
            target: folder of the outputs.
            key: digest of model, options and version with which scenes are done.

        """
        self._target = f"{to_gdal_name(target).rstrip('/')}/"
        self._key = key
        self._stored: dict[str, str] | None = None
        self._base: sqlite3.Connection | None = None
        self._new: list[tuple[str, str, str, str, str]] = []

    def __enter__(self) -> Self:
        """Open the file, which is made where the folder of outputs exists.

        Raises:
            InputError: the store of the outputs does not answer.

        """
        if is_local(self._target):
            if Path(self._target).is_dir():
                self._base = _open(Path(self._target) / NAME)
        elif is_s3(self._target):
            if self._stored is None:
                start = len(self._target)
                self._stored = {one.name[start:]: one.stamp for one in list_objects(self._target)}
            digest = hashlib.sha256(self._target.encode()).hexdigest()[:16]
            self._base = _open(Path(tempfile.gettempdir()) / f"geoae-{digest}{NAME}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is new, and close the file."""
        self._write()
        if self._base:
            self._base.close()
        self._base = None

    def misses(self, found: SceneRef) -> bool:
        """Whether the output of a scene is certainly not there, which spares opening it."""
        if self._stored is not None:
            return found.name not in self._stored
        return is_local(self._target) and not os.path.lexists(self._target + found.name)

    def holds(self, found: SceneRef) -> bool:
        """Whether the scene is known to be done, and neither it nor its output has changed."""
        if not self._base:
            return False
        try:
            entry = self._base.execute(FIND, (found.name,)).fetchone()
        except sqlite3.Error:
            return False
        if entry is None:
            return False
        now = (found.source, found.stamp, self._stamp_output(found), self._key)
        return bool(entry == now and "" not in now)

    def add(self, found: SceneRef, stamp: str, *, new: bool = False) -> None:
        """Remember that a scene is done.

        Args:
            found: the scene.
            stamp: its ``stamp`` before its output was made or read.
            new: whether its output was made since the cache was opened.

        """
        # What a VRT refers to may change without a sign in the VRT.
        if not self._base or stamp in ("", "gone") or found.source.lower().endswith(".vrt"):
            return
        if new and self._stored is not None:
            self._look_up(found.name)
        self._new.append((found.name, found.source, stamp, self._stamp_output(found), self._key))
        if len(self._new) >= AT_ONCE:
            self._write()

    def _write(self) -> None:
        # A cache that another process holds, or a full disk: the outputs are there nonetheless.
        if self._base:
            with suppress(sqlite3.Error), self._base:
                self._base.executemany(ADD, self._new)
        self._new.clear()

    def _look_up(self, name: str) -> None:
        assert self._stored is not None
        with suppress(InputError):  # without a stamp, the next run opens the output
            one = find_object(self._target + name)
            self._stored[name] = one.stamp if one else ""

    def _stamp_output(self, found: SceneRef) -> str:
        """A text that differs once the output has changed; empty where there is none."""
        if self._stored is not None:
            return self._stored.get(found.name, "")
        try:
            stat = os.stat(self._target + found.name)  # noqa: PTH116 - called for every scene
        except OSError:
            return ""
        return f"{stat.st_size}-{stat.st_mtime_ns}"


def _open(path: Path) -> sqlite3.Connection | None:
    """Open the file, anew where it is no database; None where it cannot be used."""
    with suppress(sqlite3.OperationalError):  # a folder not to be written, or locks that fail
        try:
            return _connect(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            path.unlink(missing_ok=True)
            return _connect(path)
    return None


def _connect(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=WAIT)
    try:
        base.execute(TABLE)
    except sqlite3.Error:
        base.close()
        raise
    return base
