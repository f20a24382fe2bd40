"""Diagnose a scene: what it carries besides its signal, and what can be done about it."""

import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from geoae.audit.page import write_page
from geoae.audit.quicklook import draw_middle
from geoae.corrections.chain import STEPS
from geoae.corrections.findings import find_corrections
from geoae.diagnosis.finding import Finding, Look
from geoae.diagnosis.findings import FINDINGS
from geoae.diagnosis.sampling import sample
from geoae.pipeline.job import Job, resolve_options
from geoae.pipeline.preparation.explain import describe_between, describe_noise, explain_left_out
from geoae.pipeline.preparation.measure import GivenNoise, Measured, measure
from geoae.raster.scene import Scene

__all__ = ["Diagnosis", "diagnose"]


class Diagnosis(BaseModel):
    """Everything that ``geoae diagnose`` finds."""

    model_config = ConfigDict(frozen=True)

    source: str
    height: int
    width: int
    bands: list[int] = Field(description="1-based bands that were looked at")
    valid_percent: float = Field(description="of the sampled pixels")
    findings: list[Finding]
    steps: list[str] = Field(description="what geoae restore would do, one line each")
    notes: list[str] = Field(description="what to look at before the scene is restored")
    seconds: float

    def write_page(self, path: Path) -> None:
        """Write the findings as an HTML page, with a picture; raise ``OutputError``."""
        write_page(
            path,
            Path(self.source).name,
            f"{self.height} rows x {self.width} columns, {len(self.bands)} bands,"
            f" {self.valid_percent:.1f} % valid",
            self.findings,
            self.steps,
            self.notes,
            draw_middle(self.source, tuple(self.bands)) if self.bands else "",
        )


def diagnose(job: Job) -> Diagnosis:
    """Diagnose the source of a job. Nothing is written, and no network runs.

    Lost lines, stripes and bursts are looked for in all of the scene, in strips; everything else in
    the sample from which ``geoae restore`` takes its statistics, after these corrections.

    Args:
        job: the job; its source, bands and nodata count here.

    Returns:
        The findings: first what restoring removes, then what it leaves.

    Raises:
        GeoaeError: the scene cannot be used.

    """
    started = time.monotonic()
    options = resolve_options(job)
    only = None if options.bands is None else tuple(options.bands)
    opened = Scene.open(job.source, only, options.nodata)
    findings: list[Finding] = []
    steps: list[str] = []
    chosen = {} if only else opened.copied  # what the user leaves out needs no word
    left_out = explain_left_out(job.source, chosen)
    scene, notes, valid = opened, [*opened.losses, *opened.notes, *left_out], 0.0
    if opened.bands:
        found = measure(opened, GivenNoise(seeks_spectrum=True), STEPS, is_noise_needed=True)
        scene, valid = found.scene, found.facts.valid
        findings = _find(found)
        steps = [
            *found.corrections.describe(scene.bands),
            *describe_noise(scene.bands, found.facts),
            *describe_between(scene.bands, found.facts.between),
        ]
        fill = [found.fill.note(job.source)] if found.fill else []
        notes += [*fill, *found.unchanged, *([found.unknown] if found.unknown else [])]
    return Diagnosis(
        source=job.source,
        height=scene.height,
        width=scene.width,
        bands=list(scene.bands),
        valid_percent=100 * valid,
        findings=findings,
        steps=steps,
        notes=notes,
        seconds=time.monotonic() - started,
    )


def _find(found: Measured[Scene]) -> list[Finding]:
    """List the findings of a scene that was measured."""
    scene, corrections = found.scene, found.corrections
    if not scene.bands:
        return []
    with scene.reader() as reader:
        read = corrections.wrap(reader.read, scene.height, scene.width)
        samples = sample(read, scene.height, scene.width)
        compression = reader.dataset.compression
    assert found.facts.noise is not None
    look = Look(
        samples,
        scene.bands,
        np.dtype(scene.dtype),
        found.facts.noise,
        "" if compression is None else compression.name.upper(),
    )
    findings = find_corrections(corrections, scene.bands)
    return [*findings, *(one for find in FINDINGS.values() for one in find(look))]
