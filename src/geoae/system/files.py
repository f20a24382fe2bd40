"""Files that are on the disk before they take their name, on storage of any kind."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["file_name", "find_bytes", "flush", "flush_folder", "is_local", "rename"]

# How shares and FUSE say that they flush nothing.
NO_FLUSH = {
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.EBADF,
    errno.EACCES,
    errno.EPERM,
}
CHUNK = 1 << 20  # bytes


def find_bytes(file: BinaryIO, word: bytes) -> int | None:
    """Find where ``word`` begins in ``file`` for the first time; None where it is not there.

    Reads instead of mapping the file into memory, which many network file systems cannot.
    """
    before, rest = 0, b""
    while chunk := file.read(CHUNK):
        found = (rest + chunk).find(word)
        if found >= 0:
            return before - len(rest) + found
        before, rest = before + len(chunk), (rest + chunk)[1 - len(word) :]
    return None


def flush(path: Path) -> None:
    """Bring the bytes of ``path`` to the disk, as far as its file system can be asked to. Raises
    ``OSError``.
    """
    with path.open("r+b") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in NO_FLUSH:
                raise


def flush_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk, where its file system can be asked to."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def rename(draft: Path, final: Path) -> None:
    """Let ``draft`` take the name ``final``, replacing what has it. Raises ``OSError``."""
    there = draft.stat()
    try:
        draft.replace(final)
    except FileNotFoundError:
        # NFS asks again where an answer was lost, and then finds nothing to rename.
        if not (final.exists() and os.path.samestat(final.stat(), there)):
            raise


def is_local(name: str) -> bool:
    """Whether ``name`` is a path of this machine rather than something only GDAL knows to open."""
    return not name.startswith("/vsi") and "://" not in name


def file_name(name: str) -> str:
    """The last part of a path or address: folders and signatures of a URL are nobody's business."""
    return name.split("?")[0].rstrip("/").replace("\\", "/").split("/")[-1]
