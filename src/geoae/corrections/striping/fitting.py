"""Stripes of one direction, fitted to the sums of its lines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.lines import Direction, orient
from geoae.corrections.striping.offsets import fold_offsets, line_offsets, phases
from geoae.corrections.striping.profiles import Profiles, shared_energy
from geoae.corrections.striping.significance import (
    Score,
    score_bands,
    score_lines,
    score_periods,
)
from geoae.corrections.striping.sums import LineSums
from geoae.corrections.striping.tilt import candidate_periods
from geoae.system.wording import name_bands, name_range
from geoae.tiling.window import Window
from geoae.types import Floats, Mask, Pixels

__all__ = ["Stripes", "explained", "fit_lines", "fit_stripes"]

# Evidence that makes stripes, in sampling errors, of all lines and of the lesser half of them.
LINES = (5.0, 2.5)
PERIODS = (6.0, 3.0)
TILTED = (8.0, 3.5)
# A band has stripes of its own from this evidence on.
BAND = 2.5
# Weaker stripes, in deviations of what neighbours along lines differ by, cannot be seen.
WEAKEST = 0.05
# Tilted ones that do not repeat: roads and fields run at any tilt.
WEAKEST_TILTED = 0.1
# A pattern leaves at most this part of what the parts of lines share: rows of fields or houses
# are no pattern, although they have harmonics.
LEFT = 0.97
# Harmonics of a pattern count beyond so many times their power at other periods, so many cycles
# over all lines away.
AGREE, BESIDE = 2.0, (-5.0, -4.0, -3.0, -2.0, 2.0, 3.0, 4.0, 5.0)
# A shorter period is preferred where it explains this part of what the best one does.
COMPARABLE = 0.85


@dataclass(frozen=True, eq=False, slots=True)
class Stripes:
    """An offset for each line, subtracted from all of its pixels."""

    direction: Direction
    """Course of the lines."""
    first: int
    """Minus the number of the first line."""
    offsets: Floats
    """Offsets in DN, ``(band, line)`` or ``(band, detector)``."""
    gains: Floats
    """Relative gains less one, of the same shape."""
    level: Floats
    """Signal of each band in DN at which a gain makes no difference, ``(band,)``."""
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
        removed = orient(axis, self.offsets.astype(pixels.dtype)[:, lines])
        if self.gains.any():
            gains = orient(axis, self.gains.astype(pixels.dtype)[:, lines])
            level = self.level.astype(pixels.dtype)[:, None, None]
            removed = (removed + gains * (pixels - level)) / (1 + gains)
        corrected: Pixels = pixels - removed
        return corrected if mask is None else np.where(mask, corrected, pixels)

    def describe(self, bands: Sequence[int]) -> str:
        """Say in one line what is subtracted and why; see ``Correction.describe``."""
        direction, deviation = self.direction, self.offsets.std(axis=1)
        course = f"along {direction.axis}s"
        if direction.slope:
            angle = np.degrees(np.arctan(direction.slope))
            course = f"tilted by {angle:.2f} degrees against {direction.axis}s"
        pattern = "" if self.period is None else f", every {self.period:.4g} lines"
        striped = np.flatnonzero(deviation > 0).tolist()
        where = name_bands([bands[index] for index in striped])
        gains = ""
        if self.gains.any():
            gains = f", and gains of {100 * self.gains.std(axis=1).max():.2g} %"
        return (
            f"stripes {course}{pattern}: offsets of {name_range(deviation[striped])} DN"
            f" (standard deviation){gains} removed in {where}; they"
            f" are {self.score.whole:.0f} times what chance gives, at least"
            f" {_needed(direction, self.period is not None)[0]:g} required"
        )


def explained(option: tuple[LineSums, tuple[Stripes, ...]]) -> float:
    """Return by how much stripes reduce the weighted squares of the differences of lines."""
    sums, planned = option
    lines = np.arange(sums.count.shape[1])
    offsets = np.zeros(sums.count.shape)
    for some in planned:
        period = some.period
        where = lines if period is None else phases(lines, period, some.offsets.shape[1])
        offsets += some.offsets[:, where]
    step = sums.model.rotation @ np.diff(offsets, axis=1)
    total, weight = sums.total.sum(axis=0)[:, :-1], sums.weight.sum(axis=0)[:, :-1]
    return float((2 * total * step - weight * np.square(step)).sum())


def fit_stripes(sums: LineSums) -> tuple[Stripes, ...]:
    """Plan the stripes of one direction: a repeating pattern, and what is left of single lines."""
    repeating = _fit_period(sums)
    rest = sums
    if repeating is not None and repeating.period is not None:
        rest = _subtract(sums, repeating.period, repeating.offsets)
    single = fit_lines(rest)
    return tuple(some for some in (repeating, single) if some is not None)


def _needed(direction: Direction, repeats: bool) -> tuple[float, float]:
    """Return the evidence that makes stripes, of all lines and of the lesser half of them."""
    if direction.slope:
        return TILTED
    return PERIODS if repeats else LINES


def _is_enough(score: Score, needed: tuple[float, float]) -> bool:
    return score.whole >= needed[0] and score.least >= needed[1]


def _fit_period(sums: LineSums) -> Stripes | None:
    profiles = Profiles.of(sums.total, sums.weight)
    slope = sums.direction.slope
    needed, lines = _needed(sums.direction, repeats=True), int(profiles.usable.sum())
    candidates = candidate_periods(slope, lines)
    scores = score_periods(profiles, [period for period, _ in candidates])
    divided = {
        detectors
        for (_, detectors), score in zip(candidates, scores, strict=True)
        if _is_enough(score, needed)
    }
    if candidates != (more := candidate_periods(slope, lines, divided=divided)):
        candidates, scores = more, score_periods(profiles, [period for period, _ in more])
    fitted = []
    for (period, detectors), score in zip(candidates, scores, strict=True):
        if _is_enough(score, needed):
            offsets = _shrink(sums, period, detectors)
            fitted.append((_remainder(sums, period, offsets), period, detectors, score, offsets))
    least = min((left for left, *_ in fitted), default=1.0)
    if least > LEFT:
        return None
    # Multiples of a period explain as much, and what the scene has at their other harmonics: the
    # shortest that explains comparably much, or leaves nothing significant, is the one.
    periods = [some[1] for some in fitted]
    _, period, detectors, score, offsets = next(
        some
        for some in fitted
        if (
            1 - some[0] >= COMPARABLE * (1 - least)
            and not _is_divisor(sums, some[1], some[4], periods)
        )
        or some[0] == least
        or (some[0] <= LEFT and not _leaves_pattern(sums, some[1], some[4], periods))
    )
    # Only now, or a weak pattern could count by what the scene brings to a multiple of its period.
    offsets *= (offsets.std(axis=1) >= WEAKEST * sums.model.detail)[:, None]
    if _remainder(sums, period, offsets) > LEFT:
        return None
    where = phases(np.arange(sums.count.shape[1]), period, detectors)
    offsets -= _mean_offset(offsets[:, where], sums.count) * (offsets != 0).any(axis=1)[:, None]
    return _make(sums, offsets, period, score)


def _leaves_pattern(
    sums: LineSums, period: float, offsets: Floats, others: Sequence[float]
) -> bool:
    """Whether a pattern leaves enough evidence of other periods."""
    rest = _subtract(sums, period, offsets)
    scores = score_periods(Profiles.of(rest.total, rest.weight), others)
    needed = TILTED if sums.direction.slope else PERIODS
    return any(_is_enough(score, needed) for score in scores)


def _is_divisor(sums: LineSums, period: float, offsets: Floats, others: Sequence[float]) -> bool:
    """Whether a pattern leaves evidence of a multiple of its period, but none of its own."""
    times = [other / period for other in others]
    multiples = [
        other
        for other, by in zip(others, times, strict=True)
        if by > 1 and np.isclose(by, round(by))
    ]
    if not multiples:
        return False
    rest = _subtract(sums, period, offsets)
    own, *more = score_periods(Profiles.of(rest.total, rest.weight), [period, *multiples])
    needed = TILTED if sums.direction.slope else PERIODS
    return not _is_enough(own, needed) and any(_is_enough(score, needed) for score in more)


def _remainder(sums: LineSums, period: float, offsets: Floats) -> float:
    """Return the part of what the parts of lines share that a pattern leaves."""
    scale, rest = (sums.total, sums.weight), _subtract(sums, period, offsets)
    whole = shared_energy(*scale, scale)
    # Less than nothing is chance, which grows with the detectors.
    return max(shared_energy(rest.total, rest.weight, scale) / whole, 0.0) if whole > 0 else 1.0


def _make(sums: LineSums, offsets: Floats, period: float | None, score: Score) -> Stripes:
    first, none = sums.direction.first(sums.length), np.zeros_like(offsets)
    return Stripes(sums.direction, first, offsets, none, np.zeros(len(offsets)), period, score)


def _shrink(sums: LineSums, period: float, detectors: int) -> Floats:
    """Estimate the offsets of a pattern, and shrink each harmonic by what the scene brings.

    Differences of lines tell little of slow changes, which the scene has as well: at periods
    beside that of the pattern there is nothing but the scene.
    """
    beside = [1 / (1 / period + cycles / sums.count.shape[1]) for cycles in BESIDE]
    whole, *scene = np.fft.rfft(fold_offsets(sums, [period, *beside], detectors))
    error = np.square(np.abs(scene)).mean(axis=0)
    share = 1 - AGREE * error / np.maximum(np.square(np.abs(whole)), 1e-30)
    return np.fft.irfft(whole * np.clip(share, 0, 1), detectors)


def _replace_sums(sums: LineSums, total: Floats, weight: Floats) -> LineSums:
    """Return sums with other totals and weights."""
    other = replace(sums)
    other.total, other.weight, other.count = total, weight, sums.count
    return other


def _subtract(sums: LineSums, period: float, offsets: Floats) -> LineSums:
    """Return the sums that a scene would have without a pattern."""
    lines = phases(np.arange(sums.count.shape[1]), period, offsets.shape[1])
    step = np.diff(offsets[:, lines], axis=1, append=0)
    step[:, -1] = 0
    total = sums.total - sums.weight * (sums.model.rotation @ step)
    return _replace_sums(sums, total, sums.weight)


def fit_lines(sums: LineSums) -> Stripes | None:
    """Fit an offset to each line; None where the evidence is too little."""
    profiles = Profiles.of(sums.total, sums.weight)
    reach = sums.direction.reach
    score = score_lines(profiles, sums.model.back, reach=reach)
    if not _is_enough(score, _needed(sums.direction, repeats=False)):
        return None
    offsets, deviation = line_offsets(sums)
    striped = score_bands(profiles, sums.model.back, reach) >= BAND
    weakest = WEAKEST_TILTED if sums.direction.slope else WEAKEST
    strength = offsets.std(axis=1) if sums.direction.slope else deviation
    striped &= strength >= weakest * sums.model.detail
    if not striped.any():
        return None
    offsets = (offsets - _mean_offset(offsets, sums.count)) * striped[:, None]
    return _make(sums, offsets, None, score)


def _mean_offset(offsets: Floats, count: NDArray[np.int64]) -> Floats:
    """Return what subtracting offsets would change the mean of each band by, ``(band, 1)``."""
    pixels = np.maximum(count.sum(axis=1), 1)
    mean: Floats = ((offsets * count).sum(axis=1) / pixels)[:, None]
    return mean
