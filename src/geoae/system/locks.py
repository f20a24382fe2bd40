"""Locks that keep two runs apart, on file systems without locks too."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from geoae.errors import BusyError

__all__ = ["hold", "hold_folder", "lock_files"]

# How NFS without its lock daemon, Lustre, 9p, CIFS and FUSE say that they lock nothing.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


def lock_files(path: Path) -> set[Path]:
    """The files by which the lock ``path`` may be held."""
    return {path, _soft(path)}


def _soft(path: Path) -> Path:
    return path.with_name(f"{path.name}.held")


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` for this process while the block runs.

    Where the file system locks nothing, a file beside it that names this process is the lock. A run
    on the same machine sees whether that process has ended; one on another machine cannot.

    Raises:
        BusyError: another process holds the lock.
        OSError: the lock file cannot be made.

    """
    try:
        lock = _acquired(path)
    except Timeout as error:
        soft = _soft(path)
        cure = f", or remove {soft} if it was killed on another machine" if soft.exists() else ""
        raise BusyError(
            f"{path.parent}: another run is writing here; wait for it or stop it{cure}"
        ) from error
    try:
        yield
    finally:
        # What the block did stands, and the lock ends with the process at the latest.
        with suppress(OSError):
            lock.release()


def _acquired(path: Path) -> FileLock | SoftFileLock:
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
    """Hold ``folder``, which is made where it is missing, by the lock file ``name`` in it; as
    ``hold``.

    A folder in which the block leaves nothing but the lock is removed.
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
        if empty:  # CIFS and NFS remove no file that is open, and a lock is
            shutil.rmtree(folder, ignore_errors=True)


def _is_empty(folder: Path, name: str) -> bool:
    """Whether nothing but the lock is in ``folder``, perhaps under the name that NFS gives to a
    removed open file.
    """
    with suppress(OSError):
        return all(
            path in lock_files(folder / name) or path.name.startswith(".nfs")
            for path in folder.iterdir()
        )
    return False
