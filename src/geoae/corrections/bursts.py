"""Lines that are noisier than those around them: predict them, and weigh what they hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoae.corrections.correction import Clean, Strips
from geoae.corrections.filling import REACH, fill_lines, sum_along
from geoae.corrections.lines import Axis, orient
from geoae.corrections.lost_lines import find_predictors
from geoae.corrections.model import Block, least_step
from geoae.corrections.noisy.sums import Covariances
from geoae.system.wording import count, name_bands, name_range
from geoae.tiling.window import Window
from geoae.types import Floats, Mask, Pixels

__all__ = ["Bursts", "plan_bursts"]

AXES: tuple[Axis, Axis] = ("row", "column")

# Share of a band's lines beyond which noise that changes from line to line is no burst.
MOST = 0.2
# Lines beside a noisy one whose prediction tells how good that of the noisy one is.
PROBES = (-2, 2)


@dataclass(frozen=True, eq=False, slots=True)
class Bursts:
    """The noise that single lines have beyond that of the scene.

    A noisy line becomes the mean of what it holds and of what other bands and the lines around
    predict, each weighted by the inverse of its error variance. That of the prediction is seen in
    lines beside it that are not noisy.
    """

    axis: Axis
    """Direction of the lines."""
    sigma: Floats
    """Standard deviation of the additional noise in DN, ``(band, line)``; mostly 0."""
    others: tuple[tuple[int, ...], ...]
    """Bands from which each band is predicted."""
    least: Floats
    """Least variance of a difference of each band in DN squared, ``(band,)``."""

    @property
    def halo(self) -> int:
        """Distance that matters: one reach for the prediction, one for its error."""
        return 2 * REACH

    def apply(self, pixels: Pixels, mask: Mask | None, window: Window) -> Pixels:
        """Weigh noisy lines with their prediction; see ``Correction.apply``."""
        column = self.axis == "column"
        first, number = (window.col, window.width) if column else (window.row, window.height)
        if not self.sigma[:, first : first + number].any():
            return pixels
        values = orient(self.axis, pixels).transpose(0, 2, 1)
        valid = np.ones(values.shape, bool)
        if mask is not None:
            valid = orient(self.axis, mask).transpose(0, 2, 1)
        lines = [np.flatnonzero(band) - first for band in self.sigma]
        corrected = self._weigh(values, valid, lines, self.sigma[:, first : first + number])
        back = orient(self.axis, corrected.transpose(0, 2, 1))
        return np.where(back == 0, pixels, (pixels + back).astype(pixels.dtype))

    def _weigh(
        self, values: Pixels, valid: Mask, lines: list[NDArray[np.intp]], sigma: Floats
    ) -> Floats:
        """Return what is added to ``values`` (band, line, along), 0 where nothing is."""
        gone = [set(some.tolist()) for some in lines]
        good = valid & (sigma == 0)[:, :, None]
        filled = np.where(good, values.astype(np.float64), 0.0)
        for band, others in enumerate(self.others):
            fill_lines(filled, good, band, gone, others, self.least)
        added = np.zeros(values.shape)
        for band in np.flatnonzero(sigma.any(axis=1)).tolist():
            noisy = np.flatnonzero(sigma[band])
            error = self._predict_error(filled, good, band, gone)[noisy]
            share = np.square(sigma[band, noisy])[:, None]
            share = share / (share + error)
            known = valid[band, noisy] & good[band, noisy]
            step = filled[band, noisy] - values[band, noisy]
            added[band, noisy] = np.where(known, share * step, 0.0)
        return added

    def _predict_error(self, filled: Floats, good: Mask, band: int, gone: list[set[int]]) -> Floats:
        """Return the local error variance of the prediction of noisy lines, ``(line, along)``.

        Infinite where no line beside a noisy one tells.
        """
        noisy = gone[band]
        probes: set[int] = set()
        for line in sorted(noisy):
            for probe in (line + step for step in PROBES):
                if not ({probe - 1, probe, probe + 1} & noisy or {probe - 1, probe + 1} & probes):
                    probes.add(probe)
        inside = [line for line in sorted(probes) if 0 < line < filled.shape[1] - 1]
        trial, known = filled.copy(), good.copy()
        known[band, inside] = False
        beside = [*gone[:band], noisy | probes, *gone[band + 1 :]]
        fill_lines(trial, known, band, beside, self.others[band], self.least)
        error, number = np.zeros((2, *filled.shape[1:]))
        for line in inside:
            usable = good[band, line] & known[band, line]
            squared = np.where(usable, np.square(trial[band, line] - filled[band, line]), 0.0)
            for noisy_line in (line - step for step in PROBES):
                if noisy_line in noisy and 0 <= noisy_line < len(error):
                    error[noisy_line] += sum_along(squared, filled.shape[2])
                    number[noisy_line] += sum_along(usable.astype(float), filled.shape[2])
        return np.where(number > 0, error / np.maximum(number, 1), np.inf)

    def describe(self, bands: Sequence[int]) -> str:
        """Say in one line what was found; see ``Correction.describe``."""
        noisy = self.sigma > 0
        some = name_bands([bands[index] for index in np.flatnonzero(noisy.any(axis=1)).tolist()])
        sources = "other bands and neighbours" if any(self.others) else "neighbours"
        return (
            f"bursts of noise in {count(int(noisy.sum()), self.axis)} of {some},"
            f" {name_range(self.sigma[noisy])} DN more than around:"
            f" weighted with what {sources} predict"
        )


def plan_bursts(
    strips: Strips,
    block: Block,
    height: int,
    width: int,
    clean: Clean,
) -> tuple[Bursts, ...]:
    """Look for noisy lines in one pass over a scene.

    Args are those of ``plan_stripes``.

    Returns:
        What was found: at most one for rows and one for columns.

    """
    values, inside = block.values, block.inside
    sums = [Covariances(axis, len(values), height, width) for axis in AXES]
    for strip in strips():
        pixels = clean(strip)
        for some in sums:
            some.add(strip, pixels)
    steps = np.array([least_step(np.diff(one.astype(np.float64))) for one in values])
    found = []
    for some in sums:
        sigma = some.find(steps)
        sigma = sigma * ((sigma > 0).mean(axis=1, keepdims=True) <= MOST)
        if sigma.any():
            first = block.row if some.axis == "row" else block.col
            noisy = sigma[:, None, first : first + orient(some.axis, values).shape[2]] > 0
            kept = orient(some.axis, inside) & ~noisy
            predictors = find_predictors(orient(some.axis, values), kept)
            found.append(Bursts(some.axis, sigma, *predictors))
    return tuple(found)
