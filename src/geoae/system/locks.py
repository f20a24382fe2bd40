"""Locks that keep two runs apart, also on file systems that cannot lock files."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from geoae.errors import BusyError

__all__ = ["hold", "hold_folder", "lock_files"]

# Errors by which NFS without its lock daemon, Lustre, 9p, CIFS and FUSE say that they cannot lock.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


def lock_files(path: Path) -> set[Path]:
    """Return the files that may hold the lock ``path``."""
    return {path, _soft(path)}


def _soft(path: Path) -> Path:
    return path.with_name(f"{path.name}.held")


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` for this process while the block runs.

    Where the file system cannot lock files, a file beside it that names this process is the lock. A
    run on the same machine notices when that process has ended; a run on another machine cannot.

    Raises:
        BusyError: another process holds the lock.
        OSError: the lock file cannot be made.

    """
    try:
        lock = _acquire(path)
    except Timeout as error:
        soft = _soft(path)
        cure = f", or remove {soft} if it was killed on another machine" if soft.exists() else ""
        raise BusyError(
            f"{path.parent}: another run is writing here; wait for it or stop it{cure}"
        ) from error
    try:
        yield
    finally:
        # The work of the block is done; the lock ends with the process at the latest.
        with suppress(OSError):
            lock.release()


def _acquire(path: Path) -> FileLock | SoftFileLock:
    try:
        lock = FileLock(path, fallback_to_soft=False)
        lock.acquire(timeout=0)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        lock = SoftFileLock(_soft(path))
        lock.acquire(timeout=0)
    return lock


@contextmanager
def hold_folder(folder: Path, name: str) -> Iterator[None]:
    """Hold a folder by a lock file in it while the block runs; see ``hold``.

    The folder is made where it is missing. It is removed if the block leaves nothing but the lock.

    Args:
        folder: folder to hold.
        name: name of the lock file.

    Raises:
        BusyError: another process holds the folder.
        OSError: the folder or the lock file cannot be made.

    """
    folder.mkdir(parents=True, exist_ok=True)
    empty = False
    try:
        with hold(folder / name):
            try:
                yield
            finally:
                empty = _is_empty(folder, name)
    finally:
        if empty:  # not inside: CIFS and NFS do not remove an open file, such as the lock
            shutil.rmtree(folder, ignore_errors=True)


def _is_empty(folder: Path, name: str) -> bool:
    """Whether ``folder`` holds nothing but the lock, or a removed open file, which NFS keeps as
    ``.nfs*``.
    """
    with suppress(OSError):
        return all(
            path in lock_files(folder / name) or path.name.startswith(".nfs")
            for path in folder.iterdir()
        )
    return False
