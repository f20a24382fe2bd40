"""Stripes: offsets of detectors, along columns or rows or tilted, repeating or not."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.correction import Strip, Strips
from geoae.corrections.lines import Direction, LineSums, orient
from geoae.corrections.model import Block, fit_model
from geoae.corrections.offsets import fold_offsets, line_offsets, phases
from geoae.corrections.significance import (
    Profiles,
    Score,
    score_bands,
    score_lines,
    score_periods,
)
from geoae.corrections.tilt import candidate_periods, find_tilts
from geoae.tiling.window import Window
from geoae.types import Array, Floats, Mask, Pixels

__all__ = ["Stripes", "plan_stripes"]

# Evidence that makes stripes, in sampling errors, of all lines and of the lesser half of them.
LINES = (5.0, 2.5)
PERIODS = (6.0, 3.0)
TILTED = (8.0, 3.5)
# A band has stripes of its own from this evidence on.
BAND = 2.5
# Weaker stripes, in deviations of what neighbours along lines differ by, cannot be seen.
WEAKEST = 0.05


@dataclass(frozen=True, eq=False, slots=True)
class Stripes:
    """An offset for each line, subtracted from all of its pixels."""

    direction: Direction
    """Course of the lines."""
    first: int
    """Minus the number of the first line."""
    offsets: Floats
    """Offsets in DN, ``(band, line)`` or ``(band, detector)``."""
    period: float | None
    """Lines after which the detectors repeat; None where each line has its own."""
    score: Score
    """The evidence."""

    @property
    def halo(self) -> int:
        """Pixels of other places that are needed: none."""
        return 0

    def apply(self, pixels: Pixels, mask: Mask | None, window: Window) -> Pixels:
        """Subtract the offsets; see ``Correction.apply``."""
        axis = self.direction.axis
        rows = np.arange(window.row, window.stop_row)
        cols = np.arange(window.col, window.stop_col)
        along, across = (rows, cols) if axis == "column" else (cols, rows)
        if self.direction.slope == 0:
            along = along[:1]
        lines = across - self.direction.shift(along)[:, None] + self.first
        if self.period is not None:
            lines = phases(lines, self.period, self.offsets.shape[1])
        offsets = self.offsets.astype(pixels.dtype)[:, lines]
        corrected: Pixels = pixels - orient(axis, offsets)
        return corrected if mask is None else np.where(mask, corrected, pixels)

    def describe(self) -> str:
        """Say in one line what is subtracted and why."""
        direction, deviation = self.direction, self.offsets.std(axis=1)
        course = f"along {direction.axis}s"
        if direction.slope:
            angle = np.degrees(np.arctan(direction.slope))
            course = f"tilted by {angle:.2f} degrees against {direction.axis}s"
        pattern = "" if self.period is None else f", every {self.period:.4g} lines"
        bands = np.flatnonzero(deviation > 0)
        return (
            f"stripes {course}{pattern}: offsets of {deviation[bands].min():.3g} to"
            f" {deviation[bands].max():.3g} DN (standard deviation) subtracted in {len(bands)} of"
            f" {len(deviation)} bands; evidence {self.score.whole:.0f} sampling errors, at least 5"
            " required"
        )


def plan_stripes(
    strips: Strips,
    block: Block,
    height: int,
    width: int,
    clean: Callable[[Strip], tuple[Array, Mask]],
) -> tuple[Stripes, ...]:
    """Look for stripes in one pass over a scene and estimate them.

    Args:
        strips: starts the pass.
        block: the middle of the scene, its lost lines filled.
        height: rows of the scene.
        width: columns of the scene.
        clean: returns the finite pixels of a strip, lost lines filled, and which of them count.

    Returns:
        What to subtract: nothing where no stripes are significant.

    """
    sums: list[LineSums] = []
    for axis in ("column", "row"):
        model = fit_model(block.values, block.inside, axis)
        tilted = find_tilts(block.values, block.inside, axis, model)
        for direction in (Direction(axis), *tilted):
            sums.append(LineSums(direction, model, height, width))
    for strip in strips():
        pixels, valid = clean(strip)
        for one in sums:
            one.add(strip, pixels, valid)
    found: list[Stripes] = []
    for axis in ("column", "row"):
        options = [_plan(one) for one in sums if one.direction.axis == axis]
        # The same stripes may show at two angles.
        best = max(options, key=lambda some: max((s.score.whole for s in some), default=0.0))
        found.extend(best)
    return tuple(found)


def _plan(sums: LineSums) -> tuple[Stripes, ...]:
    """Plan the stripes of one direction: a repeating pattern, and what is left of single lines."""
    repeating = _plan_period(sums)
    rest = sums if repeating is None else _subtract(sums, repeating)
    single = _plan_lines(rest)
    return tuple(some for some in (repeating, single) if some is not None)


def _is_enough(score: Score, needed: tuple[float, float]) -> bool:
    return score.whole >= needed[0] and score.least >= needed[1]


def _plan_period(sums: LineSums) -> Stripes | None:
    profiles = Profiles.of(sums.total, sums.weight)
    slope = sums.direction.slope
    candidates = candidate_periods(slope, int(profiles.usable.sum()))
    scores = score_periods(profiles, [period for period, _ in candidates])
    needed = TILTED if slope else PERIODS
    ranked = [
        (score.whole, period, detectors, score)
        for (period, detectors), score in zip(candidates, scores, strict=True)
        if _is_enough(score, needed)
    ]
    if not ranked:
        return None
    _, period, detectors, score = max(ranked, key=lambda some: some[0])
    offsets = _shrink(sums, period, detectors)
    offsets *= (offsets.std(axis=1) >= WEAKEST * sums.model.detail)[:, None]
    if not offsets.any():
        return None
    lines = phases(np.arange(sums.count.shape[1]), period, detectors)
    offsets -= _mean_offset(offsets[:, lines], sums.count) * (offsets != 0).any(axis=1)[:, None]
    return Stripes(sums.direction, sums.direction.first(sums.length), offsets, period, score)


def _shrink(sums: LineSums, period: float, detectors: int) -> Floats:
    """Estimate the offsets of a pattern, and shrink those of each band to what two parts of the
    lines agree on.
    """
    parts = []
    for groups in (slice(0, None, 2), slice(1, None, 2)):
        part = replace_sums(sums, sums.total[groups], sums.weight[groups])
        parts.append(fold_offsets(part, period, detectors))
    whole = fold_offsets(sums, period, detectors)
    agreement = (parts[0] * parts[1]).sum(axis=1)
    share = agreement / np.maximum(np.square(whole).sum(axis=1), 1e-30)
    kept = np.where(share > 0.3, np.minimum(share, 1.0), 0.0)
    return whole * kept[:, None]


def replace_sums(sums: LineSums, total: Floats, weight: Floats) -> LineSums:
    """Return sums with other totals and weights."""
    other = replace(sums)
    other.total, other.weight, other.count = total, weight, sums.count
    return other


def _subtract(sums: LineSums, stripes: Stripes) -> LineSums:
    """Return the sums that a scene would have without some stripes."""
    assert stripes.period is not None
    lines = phases(np.arange(sums.count.shape[1]), stripes.period, stripes.offsets.shape[1])
    step = np.diff(stripes.offsets[:, lines], axis=1, append=0)
    step[:, -1] = 0
    total = sums.total - sums.weight * (sums.model.rotation @ step)
    return replace_sums(sums, total, sums.weight)


def _plan_lines(sums: LineSums) -> Stripes | None:
    profiles = Profiles.of(sums.total, sums.weight)
    score = score_lines(profiles, sums.model.back)
    if not _is_enough(score, TILTED if sums.direction.slope else LINES):
        return None
    offsets, deviation = line_offsets(sums)
    striped = score_bands(profiles, sums.model.back) >= BAND
    striped &= deviation >= WEAKEST * sums.model.detail
    if not striped.any():
        return None
    offsets = (offsets - _mean_offset(offsets, sums.count)) * striped[:, None]
    return Stripes(sums.direction, sums.direction.first(sums.length), offsets, None, score)


def _mean_offset(offsets: Floats, count: NDArray[np.int64]) -> Floats:
    """Return what subtracting offsets would change the mean of each band by, ``(band, 1)``."""
    pixels = np.maximum(count.sum(axis=1), 1)
    mean: Floats = ((offsets * count).sum(axis=1) / pixels)[:, None]
    return mean
