"""What the plan of the corrections says of a scene, as findings of a diagnosis."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.bursts import Bursts
from geoae.corrections.chain import Corrections
from geoae.corrections.lost_lines import LostLines
from geoae.corrections.stripes import Stripes
from geoae.diagnosis.finding import Finding
from geoae.system.wording import name_first, name_range

__all__ = ["find_corrections", "find_steps"]

# Line numbers that are named one by one.
SHOWN = 8
# Evidence in sampling errors from which confidence is nearly 1; half of it is confidence 1/2.
SURE = 10.0


def find_corrections(corrections: Corrections, bands: Sequence[int]) -> list[Finding]:
    """List lost lines and pixels, stripes and bursts: one finding for each band that has them.

    Args:
        corrections: the plan of a scene.
        bands: numbers of its bands, from 1 on.

    """
    found: list[Finding] = []
    for step in corrections.steps:
        if isinstance(step, LostLines):
            found += _lost(step, bands)
        if isinstance(step, Stripes):
            found += _striped(step, bands)
        if isinstance(step, Bursts):
            found += _noisy(step, bands)
    return found


def find_steps(corrections: Corrections) -> set[str]:
    """Return the names of the steps that have something to correct."""
    found: set[str] = set()
    for step in corrections.steps:
        if isinstance(step, LostLines):
            lost = {"lines": (*step.rows, *step.cols), "pixels": step.dead}
            found.update(name for name, what in lost.items() if any(map(_is_some, what)))
        if isinstance(step, Stripes):
            found.add("stripes")
        if isinstance(step, Bursts):
            found.add("bursts")
    return found


def _is_some(lost: object) -> bool:
    return bool(len(lost)) if isinstance(lost, np.ndarray) else lost is not None


def _lost(step: LostLines, bands: Sequence[int]) -> Iterator[Finding]:
    for index, band in enumerate(bands):
        source = "the best other bands" if step.others[index] else "neighbouring lines"
        for name, lines in (("rows", step.rows[index]), ("columns", step.cols[index])):
            if len(lines):
                yield Finding(
                    kind="lost lines",
                    band=band,
                    strength=float(len(lines)),
                    unit=name,
                    place=f"{name} {_some(lines)}",
                    evidence="one value, or a copy of the line before, over 90 % of the line, which"
                    " the lines around do not have",
                    confidence=0.95,
                    action=f"filled from {source} by the step lines",
                )
        dead = step.dead[index]
        if dead is not None:
            yield Finding(
                kind="dead pixels",
                band=band,
                strength=dead.value,
                unit="DN",
                place="scattered single pixels",
                evidence=f"single pixels of {dead.value:g} DN far from all of their neighbours",
                confidence=0.9,
                action=f"filled from {source} by the step pixels",
            )


def _striped(step: Stripes, bands: Sequence[int]) -> Iterator[Finding]:
    direction = step.direction
    course = f"along {direction.axis}s"
    if direction.slope:
        course = f"{np.degrees(np.arctan(direction.slope)):.2f} degrees from {direction.axis}s"
    period = "no period" if step.period is None else f"period {step.period:.4g} lines"
    detectors = "" if step.period is None else f", {step.offsets.shape[1]} detectors"
    for band, offsets, gains in zip(bands, step.offsets, step.gains, strict=True):
        if not offsets.any():
            continue
        pays = f", gains {100 * gains.std():.2g} %" if gains.any() else ""
        yield Finding(
            kind="stripes",
            band=band,
            strength=float(offsets.std()),
            unit="DN",
            place=f"{course}, {period}{detectors}{pays}",
            evidence=f"{step.score.whole:.0f} times what chance gives in all lines,"
            f" {step.score.least:.1f} times in the lesser half",
            confidence=_sure(step.score.whole),
            action="offsets and gains are subtracted by the step stripes",
        )


def _noisy(burst: Bursts, bands: Sequence[int]) -> Iterator[Finding]:
    for band, sigma in zip(bands, burst.sigma, strict=True):
        lines = np.flatnonzero(sigma)
        if lines.size:
            yield Finding(
                kind="bursts",
                band=band,
                strength=float(sigma.max()),
                unit="DN",
                place=f"{burst.axis}s {_some(lines)}",
                evidence=f"{name_range(sigma[lines])} DN more noise than in the lines around",
                confidence=0.9,
                action="weighted by the step bursts with what other bands and neighbours predict",
            )


def _sure(evidence: float) -> float:
    return float(np.clip(1 - 0.5 ** (2 * evidence / SURE), 0, 1))


def _some(lines: NDArray[np.intp]) -> str:
    return name_first([str(int(line)) for line in lines], SHOWN)
