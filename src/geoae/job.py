"""Carrying out an order: compute what is missing, publish it whole, report it."""

import hashlib
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
import rasterio.shutil

from geoae.diagnose import Facts, sample
from geoae.engine import restore_slabs
from geoae.errors import InputError, OutputError
from geoae.order import ALGORITHM, Job, Prepared, is_local, prepare
from geoae.plan import Slab
from geoae.provenance import file_name, noted, with_history
from geoae.report import RestoreReport
from geoae.scene import Scene
from geoae.sidecars import sidecars_of
from geoae.soundness import FEW_BLOCKS, reads_whole
from geoae.spread import active_client, restore_spread
from geoae.tilestore import PartStore, publish
from geoae.writer import assemble, refuse_target

__all__ = ["Job", "Progress", "run"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: ``done`` of ``total`` tiles, ``resumed`` of them from an earlier run."""

    done: int
    total: int
    resumed: int


def run(
    job: Job,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_warning: Callable[[str], None] = lambda warning: None,
) -> RestoreReport:
    """Restore one scene as ``job`` says.

    The target appears under its name only when complete. A run that was killed goes on from its
    finished slabs. A target that already is this very result is left alone. ``on_warning`` hears
    before the work begins of what the report will warn of. Raises a ``GeoaeError``.
    """
    started = time.monotonic()
    prepared = prepare(job)
    target = prepared.target
    refuse_target(job.source, target)
    for warning in prepared.warnings:
        on_warning(warning)
    if _is_done(prepared):
        PartStore.sweep(*_place(prepared))
        return _report(prepared, started, status="skipped", after=_facts_after(prepared, target))
    _refuse_without_room(prepared)
    with _parts(prepared) as store:
        done: list[Slab] = []
        # Another run may have ended since.
        if skipped := _is_done(prepared):
            counts, after = None, _facts_after(prepared, target)
        else:
            whole = store.finished()
            done = [slab for slab in prepared.work.plan.slabs() if slab.index in whole] if prepared.scene.bands else []
            counts = _compute(prepared, store, done, on_progress)
            after = _publish(prepared, store)
        store.remove()
    status: Literal["restored", "skipped"] = "skipped" if skipped else "restored"
    return _report(prepared, started, status=status, resumed=len(done), counts=counts, after=after)


def _is_done(prepared: Prepared) -> bool:
    """Whether the target already is this very result; raises ``OutputError`` where it must not be replaced."""
    job, target = prepared.job, prepared.target
    finished = _fingerprint_of(target)
    same = finished == prepared.fingerprint
    # An output of geoae that does not read whole is no result: it is made again, whatever the options.
    if finished and (same or not job.overwrite) and not reads_whole(target, None if is_local(target) else FEW_BLOCKS):
        return False
    if finished is not None and not job.overwrite and (job.fresh or not same):
        what = "is this very result" if same else "is not this result"
        raise OutputError(f"{target}: exists and {what}; give --overwrite or another -o")
    return same and not job.fresh


def _fingerprint_of(target: str) -> str | None:
    """The fingerprint in ``target``; empty where it has none, None where nothing is there."""
    if is_local(target) and not Path(target).exists():
        return None
    tags = noted(target)
    if tags is None and not is_local(target):
        return None
    return (tags or {}).get("FINGERPRINT", "")


def _refuse_without_room(prepared: Prepared) -> None:
    """Raise ``OutputError`` where the parts alone, which are not compressed, would fill the disk."""
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
            f"{folder.parent}: restoring {scene.height} x {scene.width} px takes {_gib(size - there)} there for a while, "
            f"but {_gib(disk.free)} are free; free disk space or choose another -o"
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"


def _folder(target: str) -> Path:
    """Where the parts of ``target`` are: beside it, or in a work folder of this machine for a remote one."""
    if is_local(target):
        return Path(target).with_name(f".{Path(target).name}.geoae")
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise OutputError(f"{target}: no folder for temporary files can be written to; let TMPDIR name one") from error
    return folder / f"geoae-{hashlib.sha256(target.encode()).hexdigest()[:16]}"


def _place(prepared: Prepared) -> tuple[Path, dict[str, object]]:
    """The folder of parts, and the order whose parts they are."""
    setting, state = prepared.work.restorer.setting, prepared.scene.state
    order: dict[str, object] = {"fingerprint": prepared.fingerprint, "setting": setting, "source": state}
    return _folder(prepared.target), order


@contextmanager
def _parts(prepared: Prepared) -> Iterator[PartStore]:
    """The part store of this order, held for this process."""
    folder, order = _place(prepared)
    if not folder.parent.is_dir():
        raise OutputError(f"{folder.parent}: no such folder; create it or choose another -o")
    scene = prepared.scene
    with PartStore.opened(folder, order, bands=len(scene.bands), dtype=scene.dtype, fresh=prepared.job.fresh) as store:
        yield store


def _compute(
    prepared: Prepared, store: PartStore, done: Sequence[Slab], on_progress: Callable[[Progress], None]
) -> dict[bool, int]:
    """Restore the slabs that are not ``done``; how many tiles were computed and how many empty."""
    counts = {True: 0, False: 0}
    if not prepared.scene.bands:
        return counts
    plan, finished = prepared.work.plan, {slab.index for slab in done}
    resumed = sum(slab.stop - slab.first for slab in done) * plan.cols.count

    def count(computed: bool) -> None:
        counts[computed] += 1
        on_progress(Progress(resumed + sum(counts.values()), plan.tiles, resumed))

    runs = [list(slabs) for missing, slabs in groupby(plan.slabs(), lambda slab: slab.index not in finished) if missing]
    client = active_client()
    if client is not None:
        restore_spread(client, prepared, store, runs, count)
        return counts
    for slabs in runs:
        with prepared.scene.reader() as reader:
            restore_slabs(prepared.work, reader.read, slabs, store.writer, count)
    return counts


def _publish(prepared: Prepared, store: PartStore) -> Facts:
    """Assemble the parts, measure the result, and let it appear under the target's name."""
    scene, target = prepared.scene, prepared.target
    local = Path(target) if is_local(target) else store.folder / Path(target).name
    # Among the parts: what a killed run leaves of it goes with them.
    draft = store.folder / f"{local.name}.{uuid.uuid4().hex[:8]}.part"
    parts = store.parts(list(prepared.work.plan.slabs())) if scene.bands else []
    try:
        assemble(scene.source, parts, scene.bands, draft, profile=str(prepared.options.profile), tags=_tags(prepared))
        after = _facts_after(prepared, str(draft))
        if scene.changed():
            raise InputError(f"{scene.source}: has changed while it was restored; run again once it stays as it is")
        publish(draft, local, scene.files)
    finally:
        with suppress(OSError):  # it goes with its folder
            draft.unlink(missing_ok=True)
    if not is_local(target):
        try:
            if sidecars_of(target):
                rasterio.shutil.delete(target)  # them too; GDAL cannot remove them alone
            rasterio.shutil.copyfiles(str(local), target)
        except rasterio.errors.RasterioError as error:
            raise OutputError(f"{target}: could not be uploaded ({error}); the result is in {local}") from error
    return after


def _facts_after(prepared: Prepared, written: str) -> Facts:
    """The same estimate, on the same windows, of what was written."""
    scene = Scene.open(written, prepared.scene.bands, prepared.scene.fill)
    if not scene.bands:
        return Facts.none()
    with scene.reader() as reader:
        return Facts.of(sample(reader.read, scene.height, scene.width))


def _tags(prepared: Prepared) -> dict[str, str]:
    """Provenance, kept in the output's metadata domain GEOAE."""
    restorer = prepared.work.restorer
    options = prepared.options.model_dump_json(exclude={"description", "model"}, exclude_none=True)
    tags = {
        "FINGERPRINT": prepared.fingerprint,
        "ORDER": prepared.order,
        "VERSION": version("geoae"),
        "ALGORITHM": str(ALGORITHM),
        "MODEL": restorer.name,
        "MODEL_DIGEST": restorer.digest,
        "SETTING": restorer.setting,
        "SOURCE": file_name(prepared.job.source),
        "SOURCE_IDENTITY": prepared.scene.identity,
        "RECIPE": file_name(prepared.job.recipe or "none"),
        "OPTIONS": options,
        "BANDS": ",".join(map(str, prepared.scene.bands)),
        "SIGMA": ",".join(f"{sigma:.6g}" for sigma in prepared.facts.sigma),
        "SLOPE": ",".join(f"{slope:.6g}" for slope in prepared.facts.slope),
    }
    return with_history(tags, prepared.history)


def _report(
    prepared: Prepared, started: float, *, status: Literal["restored", "skipped"], resumed: int = 0,
    counts: dict[bool, int] | None = None, after: Facts | None = None,
) -> RestoreReport:  # fmt: skip
    scene, plan, restorer = prepared.scene, prepared.work.plan, prepared.work.restorer
    seconds = time.monotonic() - started
    counts = counts or {True: 0, False: 0}
    # Of what this run did, not of what an earlier one had done.
    megapixels = scene.height * scene.width / 1e6 * sum(counts.values()) / plan.tiles
    return RestoreReport(
        status=status, source=prepared.job.source, target=prepared.target, model=restorer.name, digest=restorer.digest,
        setting=restorer.setting, fingerprint=prepared.fingerprint, height=scene.height, width=scene.width,
        bands=list(scene.bands), copied=scene.copied, tile=(plan.rows.tile, plan.cols.tile), overlap=plan.rows.overlap,
        tiles=plan.tiles, tiles_computed=counts[True], tiles_empty=counts[False], slabs_resumed=resumed, seconds=seconds,
        megapixels_per_second=megapixels / seconds, sigma_before=prepared.facts.sigma.tolist(),
        slope=prepared.facts.slope.tolist(), sigma_after=after.sigma.tolist() if after else [], warnings=prepared.warnings,
    )  # fmt: skip
