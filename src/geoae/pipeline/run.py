"""Carry out a job: compute what is missing, publish the whole, report it."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np

from geoae.errors import OutputError, RejectedError
from geoae.models.restorer import Restorer
from geoae.pipeline.distributed import active_client, restore_on_cluster
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.fingerprint import fingerprint_of
from geoae.pipeline.job import Job
from geoae.pipeline.preparation.prepare import prepare
from geoae.pipeline.preparation.prepared import Prepared
from geoae.pipeline.publication import CheckResult, check, publish_result, refuse_unusable
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.report import RestoreReport
from geoae.raster.checks.validate import FEW_BLOCKS, reads_whole
from geoae.raster.parts import PartStore
from geoae.raster.scene import Scene
from geoae.raster.target import make_folder
from geoae.system.files import is_local
from geoae.tiling.plan import Slab

__all__ = ["Progress", "run"]

# Bytes of a name beside which names of parts and drafts still fit into the 255 of a file system.
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    done: int
    """Tiles that are done."""
    total: int
    """All tiles of the scene."""
    resumed: int
    """Tiles of ``done`` that an earlier run has computed."""


def run(
    job: Job,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_warning: Callable[[str], None] = lambda warning: None,
    *,
    options: Recipe | None = None,
    restorer: Restorer | None = None,
) -> RestoreReport:
    """Restore one scene.

    The target gets its name only when it is complete and has been checked against its source. A
    result that fails the check is kept as ``TARGET.rejected``. A run that was killed continues from
    its finished slabs. A target that already is this very result is left as it is.

    Args:
        job: the job.
        on_progress: called after each tile.
        on_warning: called before the work begins, with each warning of the report.
        options: resolved options of the job, where the caller has resolved them before.
        restorer: its model, where the caller has loaded it before.

    Returns:
        What the run did, in figures.

    Raises:
        RejectedError: the result fails its check.
        GeoaeError: the base of this and all other errors of geoae.

    """
    started = time.monotonic()
    if job.target and job.target.endswith("/") and is_local(job.target):
        make_folder(Path(job.target))
    prepared = prepare(job, options, restorer)
    refuse_unusable(prepared)
    for warning in prepared.warnings:
        on_warning(warning)
    if found := _check_existing_target(prepared):
        PartStore.sweep(*_place(prepared))
        return _report(prepared, started, found, status="skipped")
    _refuse_without_room(prepared)
    with _parts(prepared) as store:
        # Another run may have ended since.
        if found := _check_existing_target(prepared):
            store.remove()
            return _report(prepared, started, found, status="skipped")
        whole = store.finished_parts()
        done = (
            [slab for slab in prepared.work.plan.slabs() if slab.index in whole]
            if prepared.scene.bands
            else []
        )
        counts = _compute(prepared, store, done, on_progress)
        found = publish_result(prepared, store)
        store.remove()
    return _report(prepared, started, found, status="restored", resumed=len(done), counts=counts)


def _check_existing_target(prepared: Prepared[Scene]) -> CheckResult | None:
    """Check whether the target already is this very result.

    Returns:
        Its figures; None where it must be computed.

    Raises:
        OutputError: the target is another result and must not be replaced.

    """
    job, target = prepared.job, prepared.target
    finished = fingerprint_of(target)
    if finished is None:
        return None
    same = finished == prepared.fingerprint
    # An output of geoae that does not read whole is no result: it is made again, whatever the
    # options.
    if (
        finished
        and (same or not job.overwrite)
        and not reads_whole(target, None if is_local(target) else FEW_BLOCKS)
    ):
        return None
    what = "is this very result" if same else "is not this result"
    if same and not job.fresh:
        try:
            return check(prepared, target)
        except RejectedError as error:
            reason = str(error).removeprefix(f"{target}: ").partition("; ")[0]
            what = f"no longer passes its check ({reason})"
        except OutputError:
            if not is_local(target):  # storage may be failing for a while
                raise
            return None
    if not job.overwrite:
        raise OutputError(f"{target}: exists and {what}; give --overwrite or another -o")
    return None


def _refuse_without_room(prepared: Prepared[Scene]) -> None:
    """Raise ``OutputError`` where the uncompressed parts would fill the disk."""
    scene, folder = prepared.scene, _folder(prepared.target)
    size = scene.height * scene.width * len(scene.bands) * np.dtype(scene.dtype).itemsize
    if not folder.parent.is_dir():
        return
    try:
        there = sum(part.stat().st_size for part in folder.glob("slab-*.tif"))
        disk = shutil.disk_usage(folder.parent)
    except OSError:  # a file system that does not say, or a run that is removing its parts
        return
    # What is no disk, like /proc, has no size either.
    if disk.total and size - there > disk.free:
        raise OutputError(
            f"{folder.parent}: restoring {scene.height} x {scene.width} px takes"
            f" {_gib(size - there)} there for a while, but {_gib(disk.free)} are free; free disk"
            " space or choose another -o"
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"


def _folder(target: str) -> Path:
    """Return the folder of the parts: beside a local target, else in the folder for temporary
    files.
    """
    if is_local(target):
        name = Path(target).name
        if len(os.fsencode(name)) > LONGEST:
            name = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:32]
        return Path(target).with_name(f".{name}.geoae")
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise OutputError(
            f"{target}: no folder for temporary files can be written to; let TMPDIR name one"
        ) from error
    return folder / f"geoae-{hashlib.sha256(target.encode()).hexdigest()[:16]}"


def _place(prepared: Prepared[Scene]) -> tuple[Path, dict[str, object]]:
    """Return the folder of the parts, and the note that says which job they belong to."""
    setting, state = prepared.work.restorer.setting, prepared.scene.state
    order: dict[str, object] = {
        "fingerprint": prepared.fingerprint,
        "setting": setting,
        "source": state,
    }
    return _folder(prepared.target), order


@contextmanager
def _parts(prepared: Prepared[Scene]) -> Iterator[PartStore]:
    """Open the part store of this job, for this process alone."""
    folder, order = _place(prepared)
    if not folder.parent.is_dir():
        raise OutputError(f"{folder.parent}: no such folder; create it or choose another -o")
    scene = prepared.scene
    with PartStore.open(
        folder, order, bands=len(scene.bands), dtype=scene.dtype, fresh=prepared.job.fresh
    ) as store:
        yield store


def _compute(
    prepared: Prepared[Scene],
    store: PartStore,
    done: Sequence[Slab],
    on_progress: Callable[[Progress], None],
) -> dict[bool, int]:
    """Restore the slabs that are not ``done``; count tiles that were computed and that were
    empty.
    """
    counts = {True: 0, False: 0}
    if not prepared.scene.bands:
        return counts
    plan, finished = prepared.work.plan, {slab.index for slab in done}
    resumed = sum(slab.stop - slab.first for slab in done) * plan.cols.count

    def count(computed: bool) -> None:
        counts[computed] += 1
        on_progress(Progress(resumed + sum(counts.values()), plan.tiles, resumed))

    runs = [
        list(slabs)
        for missing, slabs in groupby(plan.slabs(), lambda slab: slab.index not in finished)
        if missing
    ]
    client = active_client()
    if client is not None:
        restore_on_cluster(client, prepared, store, runs, count)
        return counts
    for slabs in runs:
        with prepared.scene.reader() as reader:
            restore_slabs(prepared.work, reader.read, slabs, store.writer, count)
    return counts


def _report(
    prepared: Prepared[Scene],
    started: float,
    found: CheckResult,
    *,
    status: Literal["restored", "skipped"],
    resumed: int = 0,
    counts: dict[bool, int] | None = None,
) -> RestoreReport:
    scene, plan, restorer = prepared.scene, prepared.work.plan, prepared.work.restorer
    seconds, sharpening = time.monotonic() - started, prepared.work.corrections.sharpening
    counts = counts or {True: 0, False: 0}
    # Of what this run did, not of what an earlier one had done.
    megapixels = scene.height * scene.width / 1e6 * sum(counts.values()) / plan.tiles
    return RestoreReport(
        status=status,
        source=prepared.job.source,
        target=prepared.target,
        model=restorer.name,
        digest=restorer.digest,
        setting=restorer.setting,
        fingerprint=prepared.fingerprint,
        height=scene.height,
        width=scene.width,
        bands=list(scene.bands),
        copied=scene.copied,
        tile=(plan.rows.tile, plan.cols.tile),
        overlap=plan.rows.overlap,
        tiles=plan.tiles,
        tiles_computed=counts[True],
        tiles_empty=counts[False],
        slabs_resumed=resumed,
        seconds=seconds,
        megapixels_per_second=megapixels / seconds,
        unit=prepared.unit,
        sigma_before=prepared.facts.sigma.tolist(),
        slope=prepared.facts.slope.tolist(),
        sigma_after=found.sigma,
        mtf=None if sharpening is None else sharpening.mtf,
        bias=found.bias,
        changes=bool(prepared.steps),
        steps=[*prepared.steps, *prepared.missed],
        warnings=prepared.warnings,
    )
