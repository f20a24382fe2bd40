"""Part files: finished slabs on disk, from which a killed run goes on."""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow

from geoae.errors import BusyError, OutputError
from geoae.plan import Slab
from geoae.window import Window
from geoae.writer import Part

__all__ = ["PartStore", "PartWriter"]


@dataclass(frozen=True, slots=True)
class PartWriter:
    """Takes windows of one slab, in scene coordinates."""

    slab: Slab
    dataset: rasterio.io.DatasetWriter

    def write(self, window: Window, pixels: NDArray[Any]) -> None:
        """``pixels`` (band, height, width) in the source's dtype."""
        area = RasterWindow(window.col, window.row - self.slab.window.row, window.width, window.height)
        self.dataset.write(pixels, window=area)


@dataclass(frozen=True, slots=True)
class PartStore:
    """A folder of slabs of one order. A part under its final name is complete."""

    folder: Path
    bands: int
    dtype: str

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, order: dict[str, object], *, bands: int, dtype: str, fresh: bool) -> Iterator[Self]:
        """Hold ``folder`` for this process; parts of another ``order`` (or all, if ``fresh``) go.

        Raises ``BusyError`` while another run holds it, ``OutputError`` where it cannot be made.
        """
        note = folder / "order.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / "lock")
            with lock.acquire(timeout=0):
                for path in folder.glob("*.tmp"):
                    path.unlink()  # a killed run's
                text = json.dumps(order, indent=1, sort_keys=True)
                if fresh or not note.exists() or note.read_text() != text:
                    for path in folder.glob("slab-*"):
                        path.unlink()
                    note.write_text(text)
                try:
                    yield cls(folder, bands, dtype)
                finally:
                    if not any(folder.glob("slab-*.tif")):  # nothing to go on from
                        shutil.rmtree(folder, ignore_errors=True)
        except Timeout as error:
            raise BusyError(f"{folder}: another run is writing this target; wait for it or stop it") from error
        except OSError as error:
            cure = "free space" if error.errno == errno.ENOSPC else "allow it"
            raise OutputError(
                f"{folder.parent}: cannot be written to ({error.strerror}); {cure} or choose another -o"
            ) from error

    def path(self, slab: Slab) -> Path:
        """Where ``slab`` is, once finished."""
        return self.folder / f"slab-{slab.index:05d}.tif"

    def finished(self, slab: Slab) -> bool:
        """Whether ``slab`` is done."""
        return self.path(slab).exists()

    def part(self, slab: Slab) -> Part:
        """``slab`` as the writer wants it."""
        return Part(self.path(slab), slab.window.row, slab.window.height)

    @contextmanager
    def writer(self, slab: Slab) -> Iterator[PartWriter]:
        """A part that takes its name only when the block ends without an error."""
        # A name of its own: a worker of a cluster that was given up may still be writing the same slab.
        final, draft = self.path(slab), self.path(slab).with_suffix(f".{uuid.uuid4().hex}.tmp")
        window = slab.window
        size = window.height * window.width * self.bands * np.dtype(self.dtype).itemsize
        try:
            with rasterio.open(
                draft, "w", driver="GTiff", dtype=self.dtype, count=self.bands, height=window.height,
                width=window.width, tiled=True, blockxsize=256, blockysize=256, bigtiff="IF_NEEDED",
            ) as dataset:  # fmt: skip
                yield PartWriter(slab, dataset)
            # GDAL may swallow a failed flush at close; a part that is short must not count.
            if draft.stat().st_size < size:
                raise OutputError(
                    f"{draft}: only {draft.stat().st_size} of {size} bytes could be written; free disk space and run again"
                )
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(final)
        except RasterioError as error:
            raise OutputError(f"{draft}: cannot be written ({error}); free disk space or choose another -o") from error
        finally:
            draft.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder with everything in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
