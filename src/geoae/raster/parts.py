"""Part files: finished slabs on disk, from which a run that was killed continues."""

import errno
import json
import shutil
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from geoae.errors import BusyError, OutputError
from geoae.system.files import flush, rename
from geoae.system.locks import hold_folder, lock_files
from geoae.system.warnings import SILENCE
from geoae.tiling.plan import Slab
from geoae.tiling.window import Window

__all__ = ["Part", "PartStore", "PartWriter", "limit_block"]

# Raised whenever parts are kept in a way that another version would read wrongly.
FORMAT = 3
NOTE, LOCK = "order.json", "lock"
CHUNK = 1 << 20
# Side of the blocks of a part in pixels.
SIDE = 256
# Bytes of a block over all bands: 512 x 512 pixels of 200 bands would fill the memory, and GDAL
# reads blocks again that its cache does not hold.
LARGEST_BLOCK = 32 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A finished slab on disk: full-width rows of the scene, restored bands only."""

    path: Path
    """Its file."""
    row: int
    """First row in the scene."""
    height: int
    """Number of rows."""


@dataclass(frozen=True, slots=True)
class PartWriter:
    """Writes windows of one slab."""

    slab: Slab
    """The slab."""
    dataset: rasterio.io.DatasetWriter
    """The open file."""
    written: list[tuple[RasterWindow, int]] = field(default_factory=list)
    """Place and checksum of each window that was written."""

    def write(self, window: Window, pixels: NDArray[Any]) -> None:
        """Write finished pixels.

        Args:
            window: their place in scene coordinates.
            pixels: ``(band, height, width)`` in the source's dtype.

        """
        area = RasterWindow(
            window.col, window.row - self.slab.window.row, window.width, window.height
        )
        self.dataset.write(pixels, window=area)
        self.written.append((area, _checksum(pixels)))

    def is_intact(self, draft: Path) -> bool:
        """Whether the closed file holds all that was written: on a full disk GDAL reports
        nothing.
        """
        with SILENCE, rasterio.open(draft) as dataset:
            return all(
                _checksum(dataset.read(window=area)) == checksum for area, checksum in self.written
            )


@dataclass(frozen=True, slots=True)
class PartStore:
    """A folder of slabs of one job. A part under its final name is complete.

    The name ends in a checksum of the part's bytes, its slab and its job (``seed``), so a part that
    was damaged, exchanged or made for another job does not count as finished.
    """

    folder: Path
    """The folder."""
    bands: int
    """Number of restored bands."""
    dtype: str
    """Type of their pixels."""
    seed: int
    """Checksum of the note that identifies the job."""

    @classmethod
    @contextmanager
    def open(
        cls, folder: Path, order: dict[str, object], *, bands: int, dtype: str, fresh: bool
    ) -> Iterator[Self]:
        """Open a folder of parts, held for this process while the block runs.

        Parts of another job, and parts that are damaged, are removed.

        Args:
            folder: the folder, made where it is missing.
            order: facts that identify the job.
            bands: number of restored bands.
            dtype: type of their pixels.
            fresh: whether to remove all parts.

        Yields:
            The store.

        Raises:
            BusyError: another run holds the folder.
            OutputError: the folder cannot be made or written.

        """
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise OutputError(
                f"{folder}: is in the way of the folder that keeps finished parts; remove it"
            )
        try:
            with hold_folder(folder, LOCK):
                store = cls._load(folder, order, bands=bands, dtype=dtype, fresh=fresh)
                try:
                    yield store
                finally:
                    if not store.finished_parts():  # nothing to go on from
                        store.remove()
        except OSError as error:
            cure = "free space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "allow it"
            # What is renamed last, onto the target, has two names.
            place = error.filename2 or folder.parent.absolute()
            raise OutputError(
                f"{place}: cannot be written to ({error.strerror or error}); {cure} or choose"
                " another -o"
            ) from error

    @classmethod
    def _load(
        cls, folder: Path, order: dict[str, object], *, bands: int, dtype: str, fresh: bool
    ) -> Self:
        """Return the store in ``folder``, which is held, after removing parts that are of no
        use.
        """
        note, text = folder / NOTE, _text(order)
        store = cls(folder, bands, dtype, zlib.crc32(text.encode()))
        store._tidy(keep=not fresh and _reads(note, text))
        if not note.exists():
            note.write_text(text)
        return store

    @staticmethod
    def sweep(folder: Path, order: dict[str, object]) -> None:
        """Remove what a run left that was killed after it had published its output.

        Args:
            folder: folder of the parts.
            order: facts that identify the job; parts of another job stay.

        """
        if folder.is_dir() and (
            not (folder / NOTE).exists() or _reads(folder / NOTE, _text(order))
        ):
            with suppress(OSError, BusyError), hold_folder(folder, LOCK):
                shutil.rmtree(folder, ignore_errors=True)

    def _tidy(self, keep: bool) -> None:
        """Remove drafts and, unless ``keep``, also whole parts."""
        kept = lock_files(self.folder / LOCK)
        if keep:
            kept |= {self.folder / NOTE} | {
                path for index, path in self._iterate_parts() if self._is_whole(index, path)
            }
        for path in set(self.folder.iterdir()) - kept:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def _is_whole(self, index: int, path: Path) -> bool:
        with suppress(OSError):  # one that will not read is not whole
            return path.is_file() and not path.is_symlink() and path.name == self._name(index, path)
        return False

    def _iterate_parts(self) -> Iterator[tuple[int, Path]]:
        for path in self.folder.glob("slab-*.*.tif"):
            index = path.name.removeprefix("slab-").partition(".")[0]
            if index.isdecimal():
                yield int(index), path

    def finished_parts(self) -> dict[int, Path]:
        """Return finished parts by the index of their slab."""
        return dict(self._iterate_parts())

    def parts(self, slabs: Sequence[Slab]) -> list[Part]:
        """Return ``slabs``, all of them finished, as parts for the writer."""
        paths = self.finished_parts()
        return [Part(paths[slab.index], slab.window.row, slab.window.height) for slab in slabs]

    def _name(self, index: int, written: Path) -> str:
        """Return the final name of slab ``index``, whose part is ``written``."""
        checksum = zlib.crc32(f"{index}".encode(), self.seed)
        with written.open("rb") as file:
            while chunk := file.read(CHUNK):
                checksum = zlib.crc32(chunk, checksum)
        return f"slab-{index:05d}.{checksum:08x}.tif"

    @contextmanager
    def writer(self, slab: Slab) -> Iterator[PartWriter]:
        """Open a part, which takes its final name only when the block ends without an error."""
        # A name of its own: a worker of a cluster that was given up may still be writing the same
        # slab.
        draft = self.folder / f"slab-{slab.index:05d}.{uuid.uuid4().hex}.tmp"
        window = slab.window
        side = limit_block(self.bands * np.dtype(self.dtype).itemsize, SIDE)
        try:
            with (
                SILENCE,
                rasterio.open(
                    draft,
                    "w",
                    driver="GTiff",
                    dtype=self.dtype,
                    count=self.bands,
                    height=window.height,
                    width=window.width,
                    tiled=True,
                    blockxsize=side,
                    blockysize=side,
                    bigtiff="IF_NEEDED",
                    interleave="band",
                ) as dataset,
            ):
                part = PartWriter(slab, dataset)
                yield part
            if not part.is_intact(draft):
                raise OutputError(
                    f"{draft}: cannot be written in full; free disk space and run again"
                )
            flush(draft)
            rename(draft, self.folder / self._name(slab.index, draft))
        except RasterioError as error:
            raise OutputError(
                f"{draft}: cannot be written ({error}); free disk space or choose another -o"
            ) from error
        finally:
            draft.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder with everything in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def limit_block(pixel: int, side: int) -> int:
    """Return the side of the blocks of a file, smaller where there are many bands.

    Args:
        pixel: bytes of a pixel of all bands.
        side: usual side in pixels, a power of 2.

    """
    while side > 64 and side * side * pixel > LARGEST_BLOCK:
        side //= 2
    return side


def _checksum(pixels: NDArray[Any]) -> int:
    # GDAL forgets the sign of -0.0 in a block of zeros.
    return zlib.crc32(np.ascontiguousarray(pixels + 0 if pixels.dtype.kind == "f" else pixels).data)


def _text(order: dict[str, object]) -> str:
    return json.dumps(order | {"parts": FORMAT}, indent=1, sort_keys=True)


def _reads(note: Path, text: str) -> bool:
    """Whether ``note`` exists and holds exactly ``text``."""
    try:
        return note.read_text() == text
    except (OSError, UnicodeDecodeError):
        return False
