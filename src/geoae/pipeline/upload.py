"""Copy a finished output to a store."""

from pathlib import Path

import rasterio.shutil

from geoae.catalog.s3 import (
    abort_uploads,
    delete_object,
    hold_upload,
    is_s3,
    list_objects,
    write_object,
)
from geoae.errors import InputError, OutputError
from geoae.raster.dataset import DAMAGED, forget_cached, one_line
from geoae.raster.sidecars import aux_of, sidecars_of

__all__ = ["refuse_store", "upload"]


def refuse_store(target: str) -> None:
    """Refuse a target in S3 to which nothing can be written, before the work rather than after it.

    Args:
        target: the output.

    Raises:
        OutputError: the store does not answer, or has no such bucket.

    """
    if not is_s3(target):
        return
    try:
        next(list_objects(target), None)
    except InputError as error:
        raise OutputError(str(error)) from error


def upload(local: Path, target: str) -> None:
    """Copy a finished file and its ``.aux.xml`` to a store.

    What an upload of several parts has sent shows under its name only at its end.

    Args:
        local: the finished file.
        target: its name in the store.

    Raises:
        OutputError: the store does not take it.

    """
    try:
        if is_s3(target):
            _upload_to_s3(local, target)
            return
        if sidecars_of(target):
            rasterio.shutil.delete(target)  # them too; GDAL cannot remove them alone
        rasterio.shutil.copyfiles(str(local), target)
    except (*DAMAGED, InputError) as error:
        raise OutputError(
            f"{target}: could not be uploaded ({one_line(error)}); the result is in {local}"
        ) from error


def _upload_to_s3(local: Path, target: str) -> None:
    """Replace an object, which stays where that fails: GDAL would delete it, also one that another
    machine has uploaded meanwhile.

    The raster says that all is done, so it gets its name last, as in a folder. What may take long
    is over by then: a failure before leaves the older sidecars too.
    """
    stale = set(sidecars_of(target))
    abort_uploads(target)
    with hold_upload(str(local), target):
        if (aux := aux_of(local)).exists():
            name = str(aux_of(Path(target)))
            write_object(name, aux.read_bytes())
            stale.discard(name)
        for name in stale:
            delete_object(name)
    forget_cached(target)
