"""Describe a scene and what restoring it would take, without writing anything."""

import time
from typing import Any, Literal

import numpy as np
import psutil
from pydantic import BaseModel, ConfigDict, Field

from geoae.pipeline.engine import predict
from geoae.pipeline.job import Job
from geoae.pipeline.preparation.prepare import prepare
from geoae.pipeline.preparation.prepared import Prepared
from geoae.pipeline.tiles import Tile, Work
from geoae.radiometry.validity.fill import LOCAL
from geoae.raster.scene import Scene
from geoae.system.memory import CACHE_MIB, peak_rss

__all__ = ["BandFacts", "Inspection", "PlanFacts", "inspect"]

# Copies in DN of a tile that is read ahead, restored, or waits to be written.
COPIES = 5
# Timed passes of a tile, of which the median counts.
PASSES = 3


class BandFacts(BaseModel):
    """One band. Figures are in DN, or in ``unit``, and None where the band is not restored."""

    model_config = ConfigDict(frozen=True)

    index: int
    name: str
    nodata: float | Literal["nan", "inf", "-inf"] | None = Field(
        description="as text where it is no number that JSON has"
    )
    treatment: str
    mean: float | None = None
    spread: float | None = Field(None, description="standard deviation")
    sigma: float | None = Field(None, description="noise")
    slope: float | None = Field(
        None, description="growth of the noise's variance with the signal, 0 where it is constant"
    )
    snr: float | None = Field(None, description="spread over noise")


class PlanFacts(BaseModel):
    """How the scene would be restored."""

    model_config = ConfigDict(frozen=True)

    model: str
    setting: str
    tiles: int
    tile: tuple[int, int]
    overlap: int
    slabs: int
    memory_mib: int = Field(description="peak of this process, were it to restore the scene")
    disk_mib: int
    seconds: float = Field(
        description="estimate: the time of inspecting, and timed passes for the tiles"
    )


class Inspection(BaseModel):
    """Everything that ``geoae inspect`` shows."""

    model_config = ConfigDict(frozen=True)

    source: str
    driver: str
    height: int
    width: int
    count: int
    dtype: str
    crs: str
    pixel_size: tuple[float, float] | None
    valid_percent: float = Field(description="of the sampled pixels")
    bands: list[BandFacts]
    unit: str = Field("DN", description="unit of the figures of bands: DN, dB, or of the logarithm")
    notes: list[str] = Field(description="what to look at before the scene is restored")
    steps: list[str] = Field(description="what restoring would do and why, one line each")
    plan: PlanFacts
    restored_with: dict[str, str] = Field(
        description="provenance, where the scene is an output of geoae"
    )
    restored_before: list[dict[str, str]] = Field(
        description="provenance of the restorations before that one, oldest first"
    )


def inspect(job: Job) -> Inspection:
    """Describe the source of a job as a run would see it; raise a ``GeoaeError``."""
    started = time.monotonic()
    prepared = prepare(job)
    prepared_in = time.monotonic() - started
    scene = prepared.scene
    with scene.reader() as reader:
        names = [name or "" for name in reader.dataset.descriptions]
        nodata = reader.dataset.nodatavals
    *earlier, last = prepared.history or [{}]
    return Inspection(
        source=scene.source,
        driver=scene.driver,
        height=scene.height,
        width=scene.width,
        count=scene.count,
        dtype=scene.dtype,
        crs=scene.crs,
        pixel_size=scene.pixel_size,
        valid_percent=100 * prepared.facts.valid,
        bands=_bands(prepared, names, nodata),
        unit=prepared.unit,
        notes=prepared.notes,
        steps=prepared.steps,
        plan=_plan(prepared, prepared_in),
        restored_with=last,
        restored_before=earlier,
    )


def _bands(
    prepared: Prepared[Scene], names: list[str], nodata: tuple[float | None, ...]
) -> list[BandFacts]:
    scene, facts = prepared.scene, prepared.facts
    found = []
    for index, (name, declared) in enumerate(zip(names, nodata, strict=True), start=1):
        none = _in_json(prepared.options.nodata if declared is None else declared)
        if index in scene.copied:
            found.append(
                BandFacts(
                    index=index, name=name, nodata=none, treatment=f"copied: {scene.copied[index]}"
                )
            )
            continue
        at = scene.bands.index(index)
        spread, sigma = float(np.sqrt(facts.covariance[at, at])), float(facts.sigma[at])
        snr = spread / sigma if sigma else None
        found.append(
            BandFacts(
                index=index,
                name=name,
                nodata=none,
                treatment="restored",
                mean=facts.mean[at],
                spread=spread,
                sigma=sigma,
                slope=facts.slope[at],
                snr=snr,
            )
        )
    return found


def _in_json(nodata: float | None) -> Any:
    """NaN and infinity as text, since JSON has no number for them."""
    return str(float(nodata)) if nodata is not None and not np.isfinite(nodata) else nodata


def _plan(prepared: Prepared[Scene], prepared_in: float) -> PlanFacts:
    scene, work = prepared.scene, prepared.work
    plan, bands = work.plan, len(scene.bands)
    pixel = np.dtype(scene.dtype).itemsize * bands
    held = psutil.Process().memory_info().rss
    seconds = _seconds_of_tiles(prepared)
    return PlanFacts(
        model=work.restorer.name,
        setting=work.restorer.setting,
        tiles=plan.tiles,
        tile=(plan.rows.tile, plan.cols.tile),
        overlap=plan.rows.overlap,
        slabs=len(list(plan.slabs())),
        memory_mib=_peak_bytes(prepared, held) >> 20,
        disk_mib=-(-scene.height * scene.width * pixel // 2**20),
        seconds=prepared_in + seconds,
    )


def _peak_bytes(prepared: Prepared[Scene], held: int) -> int:
    """Estimate the peak memory of this process in bytes, were it to restore the scene.

    It is the peak so far (sample, estimate of the noise, passes through the network), or the memory
    before these passes plus what the loop over the tiles needs, whichever is more.

    Args:
        prepared: the job.
        held: memory of this process in bytes before the passes.

    """
    scene, work = prepared.scene, prepared.work
    plan, bands = work.plan, len(scene.bands)
    pixel = np.dtype(scene.dtype).itemsize * bands
    tile = plan.rows.tile * plan.cols.tile * work.tiles_per_batch
    in_model = 4 * bands * (2 if work.scale.varies else 1)
    waiting = 4 * bands * (plan.rows.overlap - 2 * plan.halo) * plan.cols.size
    scene_bytes = scene.height * scene.width * scene.count * np.dtype(scene.dtype).itemsize
    cache = min(scene_bytes, CACHE_MIB << 20)
    return max(peak_rss(), held + tile * (COPIES * pixel + in_model) + waiting + cache)


def _seconds_of_tiles(prepared: Prepared[Scene]) -> float:
    """Estimate the time of the loop over the tiles, from a few batches of them.

    Components that hold nothing but noise do not reach the network, here as in a run.
    """
    work = prepared.work
    if not prepared.scene.bands:
        return 0.0
    times, count = [], work.tiles_per_batch
    for _ in range(1 + PASSES):
        started = time.monotonic()
        for residual in predict(work, [_make_mean(work) for _ in range(count)]):
            work.restorer.fetch(residual)()  # a device may still be computing
        times.append((time.monotonic() - started) / count)
    # The first pass prepares kernels.
    return float(np.median(times[1:])) * work.plan.tiles


def _make_mean(work: Work) -> Tile:
    """Return a tile of which each band has its mean everywhere."""
    scale, plan = work.scale, work.plan
    margin = LOCAL if scale.varies else 0
    size = len(scale.offset), plan.rows.tile + 2 * margin, plan.cols.tile + 2 * margin
    signal = np.broadcast_to(scale.offset.astype(np.float32)[:, None, None], size)
    return Tile(0, 0, signal, None, empty=False, signal=signal, margin=margin)
