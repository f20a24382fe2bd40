"""Files that are safely on disk before they take their name, on storage of any kind."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "file_name",
    "find_bytes",
    "flush",
    "flush_folder",
    "is_local",
    "rename",
    "to_absolute",
    "to_gdal_name",
]

# Errors by which network shares and FUSE say that they cannot flush.
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
# rasterio's names of places, and GDAL's.
SCHEMES = {"file://": "", "s3://": "/vsis3/", "gs://": "/vsigs/", "az://": "/vsiaz/"}


def find_bytes(file: BinaryIO, word: bytes) -> int | None:
    """Find the first occurrence of a word in a file.

    It reads the file, since many network file systems cannot map it into memory.

    Args:
        file: an open file, at the place where the search begins.
        word: bytes to find.

    Returns:
        Position of the word; None where it does not occur.

    """
    before, rest = 0, b""
    while chunk := file.read(CHUNK):
        found = (rest + chunk).find(word)
        if found >= 0:
            return before - len(rest) + found
        before, rest = before + len(chunk), (rest + chunk)[1 - len(word) :]
    return None


def flush(path: Path) -> None:
    """Write the bytes of ``path`` to disk, as far as its file system allows; raise ``OSError``."""
    with path.open("r+b") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in NO_FLUSH:
                raise


def flush_folder(folder: Path) -> None:
    """Write the names in ``folder`` to disk, where its file system allows."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def rename(draft: Path, final: Path) -> None:
    """Rename a file, and replace the file that has the name.

    Args:
        draft: file to rename.
        final: its new name.

    Raises:
        OSError: the file cannot be renamed.

    """
    there = draft.stat()
    try:
        draft.replace(final)
    except FileNotFoundError:
        # NFS repeats a request whose answer was lost, and then finds nothing left to rename.
        if not (final.exists() and os.path.samestat(final.stat(), there)):
            raise


def is_local(name: str) -> bool:
    """Whether ``name`` is a path of this machine rather than a name that only GDAL can open."""
    return not name.startswith("/vsi") and "://" not in name


def to_absolute(name: str) -> str:
    """Name a local file so that a process in another folder finds it; any other name stays."""
    return str(Path(name).absolute()) if is_local(name) and os.path.lexists(name) else name


def to_gdal_name(name: str) -> str:
    """Translate a URL of a place that GDAL writes to, such as ``s3://``, to GDAL's own name."""
    for scheme, prefix in SCHEMES.items():
        if name.startswith(scheme):
            return prefix + name.removeprefix(scheme)
    return name


def file_name(name: str) -> str:
    """Return the last part of a path or URL. Folders and signatures of a URL are private."""
    return name.split("?")[0].rstrip("/").replace("\\", "/").split("/")[-1]
