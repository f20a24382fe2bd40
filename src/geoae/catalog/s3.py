"""Objects in stores with an S3 API: list, read and write them, drop what a killed upload left.

GDAL reads and writes scenes by itself; its settings of S3 hold here too.
"""

import mimetypes
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoae.errors import InputError
from geoae.resources import require_extra

__all__ = [
    "S3",
    "VSIS3",
    "StoredObject",
    "abort_uploads",
    "delete_object",
    "find_object",
    "hold_upload",
    "is_s3",
    "list_objects",
    "list_with_sidecars",
    "read_object",
    "s3_settings",
    "to_url",
    "write_object",
]

# A store's name in fsspec, and in GDAL.
S3, VSIS3 = "s3://", "/vsis3/"
# Of an upload: the most parts, and the sizes in MiB that a store takes.
MOST_PARTS, PART_SIZES = 10_000, (5, 5120)
PIECE = 1 << 20  # bytes of a file that are read at once


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a store says of an object."""

    name: str
    """The object, as GDAL opens it."""
    size: int
    """Size in bytes."""
    changed: float
    """Time of change in seconds since 1970."""
    stamp: str
    """A text that differs once the object has changed."""


def is_s3(name: str) -> bool:
    """Whether ``name`` is in a store with an S3 API."""
    return name.startswith((S3, VSIS3))


def to_url(name: str) -> str:
    """Translate a name of GDAL's to a URL, ``s3://BUCKET/KEY``."""
    return S3 + name.removeprefix(VSIS3) if name.startswith(VSIS3) else name


def list_objects(where: str) -> Iterator[StoredObject]:
    """List the objects whose names begin with ``where``, a page of 1,000 at a time.

    Raises:
        InputError: the store does not answer, has no such bucket, or asks for other credentials.

    """
    bucket, prefix = _split(where)
    page: dict[str, Any] = {"NextContinuationToken": None}
    while "NextContinuationToken" in page:
        token = page["NextContinuationToken"]
        more = {"ContinuationToken": token} if token else {}
        with _told_of(where):
            page = _connect().call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
        for one in page.get("Contents", ()):
            yield _describe(bucket, one["Key"], one["Size"], one)


def list_with_sidecars(
    folder: str, suffixes: Sequence[str], name_sidecars: Callable[[str], Sequence[str]]
) -> list[tuple[str, StoredObject]]:
    """List the rasters in a folder of a store and in its subfolders.

    Args:
        folder: the folder, with a ``/`` at its end.
        suffixes: ends of the names of rasters, in lower case.
        name_sidecars: returns the names of the files that GDAL reads with a raster.

    Returns:
        The name of each below the folder, and the object, whose stamp covers its sidecars.

    Raises:
        InputError: as ``list_objects``.

    """
    start = len(to_url(folder))
    stored = {to_url(one.name)[start:]: one for one in list_objects(folder)}
    rasters = [name for name in stored if name.lower().endswith(tuple(suffixes))]

    def join_stamps(name: str) -> str:
        names = (name, *name_sidecars(name))
        return "+".join(stored[one].stamp for one in names if one in stored)

    return [(name, replace(stored[name], stamp=join_stamps(name))) for name in rasters]


def find_object(name: str) -> StoredObject | None:
    """Describe an object; None where there is none.

    Raises:
        InputError: as ``list_objects``.

    """
    bucket, key = _split(name)
    with _told_of(name):
        try:
            found = _connect().call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
    return _describe(bucket, key, found["ContentLength"], found)


def read_object(name: str) -> bytes:
    """Read a small object; raise ``InputError`` where it cannot be read."""
    with _told_of(name):
        return bytes(_connect().cat_file(to_url(name)))


def write_object(name: str, content: bytes) -> None:
    """Write a small object at once.

    Args:
        name: the object's name, ``s3://BUCKET/KEY``.
        content: what it is to hold.

    Raises:
        InputError: it cannot be written.

    """
    with _told_of(name):
        _connect().pipe_file(to_url(name), content)


@contextmanager
def hold_upload(path: str, name: str) -> Iterator[None]:
    """Send a file to a store, and give it its name when the block ends.

    In the block all of it is in the store already. Whatever fails, also there, an older object of
    this name stays.

    Args:
        path: the file.
        name: name of the object.

    Raises:
        InputError: the store does not take it.
        OSError: the file cannot be read.

    """
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    part = max(_read_part_size(), -(-Path(path).stat().st_size // MOST_PARTS))
    with _told_of(name):
        store = _connect()
        sent = store.open(to_url(name), "wb", block_size=part, autocommit=False, ContentType=kind)
    try:
        with Path(path).open("rb") as file:
            while piece := file.read(PIECE):
                with _told_of(name):
                    sent.write(piece)
        with _told_of(name):
            sent.close()  # sends the rest
        yield
        with _told_of(name):
            sent.commit()
    except BaseException:
        sent.forced = True  # or its end would send the rest
        with suppress(InputError), _told_of(name):  # what failed first is said
            sent.discard()
        raise


def delete_object(name: str) -> None:
    """Delete an object, which may be gone already; raise ``InputError`` where that fails."""
    bucket, key = _split(name)
    with _told_of(name):
        _connect().call_s3("delete_object", Bucket=bucket, Key=key)


def abort_uploads(name: str) -> int:
    """Abort the multipart uploads of an object that were begun and never completed.

    Args:
        name: the object. Uploads of other objects are left alone.

    Returns:
        How many there were.

    Raises:
        InputError: as ``list_objects``.

    """
    bucket, key = _split(name)
    with _told_of(name):
        store = _connect()
        found = store.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=key)
        begun = [one["UploadId"] for one in found.get("Uploads", ()) if one["Key"] == key]
        for upload in begun:
            store.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)
    return len(begun)


def s3_settings() -> dict[str, Any]:
    """Translate GDAL's settings of S3 to s3fs. Each finds keys by itself.

    Raises:
        InputError: a setting is no such value.

    """
    endpoint = os.environ.get("AWS_S3_ENDPOINT")
    settings: dict[str, Any] = {
        "anon": _read_flag("AWS_NO_SIGN_REQUEST", default=False),
        "default_block_size": _read_part_size(),
    }
    if region := os.environ.get("AWS_REGION"):  # botocore looks at AWS_DEFAULT_REGION alone
        settings["client_kwargs"] = {"region_name": region}
    if endpoint:
        scheme = "https" if _read_flag("AWS_HTTPS", default=True) else "http"
        settings["endpoint_url"] = endpoint if "://" in endpoint else f"{scheme}://{endpoint}"
        _refuse_endpoint(settings["endpoint_url"])
    if not _read_flag("AWS_VIRTUAL_HOSTING", default=True):
        settings["config_kwargs"] = {"s3": {"addressing_style": "path"}}
    return settings


def _read_flag(name: str, *, default: bool) -> bool:
    """Read a variable as GDAL does, for which all but its words for no is yes; an empty one counts
    as unset, where GDAL takes it for yes.
    """
    said = os.environ.get(name, "").upper()
    return said not in ("NO", "FALSE", "OFF", "0") if said else default


def _read_part_size() -> int:
    """Read the size of a part of an upload, in bytes."""
    said = os.environ.get("VSIS3_CHUNK_SIZE") or "50"  # GDAL's default
    size = int(said) if said.isascii() and said.isdigit() else 0
    if not PART_SIZES[0] <= size <= PART_SIZES[1]:
        least, most = PART_SIZES
        raise InputError(
            f"VSIS3_CHUNK_SIZE={said}: is no size of a part of an upload; give a whole number of"
            f" MiB from {least} to {most}, or unset it"
        )
    return size << 20


def _refuse_endpoint(url: str) -> None:
    from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url

    with suppress(ValueError):
        if is_valid_endpoint_url(url) or is_valid_ipv6_endpoint_url(url):
            return
    raise InputError(f"AWS_S3_ENDPOINT: {url} is no address; give HOST, HOST:PORT or a URL")


def _connect() -> Any:
    from s3fs import S3FileSystem

    return S3FileSystem(**s3_settings(), use_listings_cache=False)


def _split(name: str) -> tuple[str, str]:
    bucket, _, key = to_url(name).removeprefix(S3).partition("/")
    return bucket, key


def _describe(bucket: str, key: str, size: int, facts: dict[str, Any]) -> StoredObject:
    changed = facts["LastModified"].timestamp()
    return StoredObject(
        f"{VSIS3}{bucket}/{key}", size, changed, f"{size}-{facts['ETag'].strip(chr(34))}"
    )


@contextmanager
def _told_of(name: str) -> Iterator[None]:
    """Raise ``InputError`` for whatever the store, the network or the search for keys raises."""
    require_extra("s3", "s3fs")
    from botocore.exceptions import BotoCoreError

    try:
        yield
    except (OSError, BotoCoreError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(
            f"{to_url(name)}: the store refuses this ({reason}); check bucket, credentials and"
            " AWS_S3_ENDPOINT"
        ) from error
