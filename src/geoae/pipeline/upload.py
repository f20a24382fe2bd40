"""Copy a finished output to a store."""

from collections.abc import Iterator
from contextlib import contextmanager
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
from geoae.raster.dataset import DAMAGED, forget_cached, one_line, open_source
from geoae.raster.sidecars import aux_of, name_own_sidecars, sidecars_of
from geoae.system.files import is_local

__all__ = ["refuse_store", "upload"]


def refuse_store(source: str, target: str) -> None:
    """Refuse a target in a store that cannot be written or replaced, before the work rather than
    after it.

    Args:
        source: the scene, whose own files stay.
        target: the output.

    Raises:
        OutputError: the store does not answer or has no such bucket, or an output cannot be
            replaced alone.
        InputError: the source cannot be opened.

    """
    if is_s3(target):
        try:
            next(list_objects(target), None)
        except InputError as error:
            raise OutputError(str(error)) from error
    elif not is_local(target) and (removed := sidecars_of(target)):
        own = {str(path) for path in name_own_sidecars(Path(target))} - _list_files(source)
        for name in removed:
            if name not in own:
                raise OutputError(
                    f"{target}: GDAL would remove {name} with it, which other rasters share; choose"
                    " another -o"
                )


def upload(local: Path, source: str, target: str) -> None:
    """Copy a finished file and its ``.aux.xml`` to a store.

    What an upload of several parts has sent shows under its name only at its end.

    Args:
        local: the finished file.
        source: the scene, whose own files stay.
        target: name of the output in the store.

    Raises:
        OutputError: the store does not take it, or the finished file cannot be read.
        InputError: the source cannot be opened.

    """
    if is_s3(target):
        with _told_of(local, target):
            stale = _find_sidecars(target)
        if stale:
            stale -= _list_files(source)
        with _told_of(local, target):
            _upload_to_s3(local, stale, target)
        return
    with _told_of(local, target):
        if sidecars_of(target):
            rasterio.shutil.delete(target)  # them too; GDAL cannot remove them alone
        rasterio.shutil.copyfiles(str(local), target)


@contextmanager
def _told_of(local: Path, target: str) -> Iterator[None]:
    """Raise ``OutputError`` for what the store, or the disk of the finished file, refuses."""
    try:
        yield
    except (*DAMAGED, InputError) as error:
        raise OutputError(
            f"{target}: could not be uploaded ({one_line(error)}); the result is in {local}"
        ) from error
    except OSError as error:
        raise OutputError(
            f"{error.filename or local}: cannot be read to be uploaded ({error.strerror or error});"
            " run the same command again"
        ) from error


def _upload_to_s3(local: Path, stale: set[str], target: str) -> None:
    """Replace an object, which stays where that fails: GDAL would delete it, also one that another
    machine has uploaded meanwhile.

    The raster says that all is done, so it gets its name last, as in a folder. What may take long
    is over by then: a failure before leaves the older sidecars too.
    """
    aux, name = aux_of(local), str(aux_of(Path(target)))
    facts = aux.read_bytes() if aux.exists() else None
    abort_uploads(target)
    with hold_upload(str(local), target):
        if facts is not None:
            write_object(name, facts)
        for old in stale if facts is None else stale - {name}:
            delete_object(old)
    forget_cached(target)


def _find_sidecars(target: str) -> set[str]:
    """Find the objects that GDAL would read with ``target`` alone, also where that is no more."""
    path = Path(target)
    there = {one.name for one in list_objects(f"{path.with_suffix('')}.")}
    return {str(one) for one in name_own_sidecars(path)} & (there | set(sidecars_of(target)))


def _list_files(source: str) -> set[str]:
    """List what GDAL reads with the scene, which may lie beside the output and be named alike."""
    with open_source(source) as dataset:
        return set(dataset.files)
