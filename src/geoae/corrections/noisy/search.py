"""Search for noisy lines in covariances of differences between lines."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geoae.types import Array, Floats, Mask

__all__ = ["find_levels"]

# By what second differences along a line multiply the variance of its white noise.
GAIN = 6.0
# Differences to either side of one with which it is compared, and how many are compared together.
AROUND, TOGETHER = 8, 2000
# A noisy line exceeds those around it by so many robust deviations of such excesses, and in
# variance by this factor at least, as a logarithm; by more where one of its sides tells nothing.
FAR, FACTOR, ALONE = 5.0, 0.85, 2.0
# Lines at a border at which the lines around are few.
BORDER = 2
# Where other bands exceed those around by this, too, the scene does.
COMMON = 0.45
# A line needs so many segments.
FEWEST = 4
# Variances below this part of the middle one, or of the error of rounding, count as this.
FLOOR, ROUNDING = 1e-3, 1 / 12
# A part of the variances is added to them, so that what hardly varies has no say.
RIDGE = 1e-3
# Detail of so many times the middle variance has half the weight.
EDGE = 9.0
# Times that are looked for more noisy lines, once the noisiest are known.
ROUNDS = 8
# Steps in which a variance is made exact.
STEPS = 4
# Share of normal numbers below the mean less one deviation.
LOW = 0.16


def find_levels(covariances: Array, steps: Floats) -> Floats:
    """Find the noise that single lines have beyond those around them.

    Noise of a line shows in its differences to both of its neighbours; an edge between two lines
    shows in one. What a band shares with other bands is the scene's, so what these predict is
    taken away, but a band that is noisy there itself predicts nothing: the noisiest lines are
    found first, and the others without them.

    Args:
        covariances: of differences between each line and the next, ``(segment, difference, band,
            band)`` in DN squared; NaN where unknown.
        steps: step of quantised values of each band in DN, ``(band,)``.

    Returns:
        Standard deviation of the additional noise in DN, ``(band, line)``; 0 where there is none.

    """
    search = _Search(covariances, steps)
    noisy = np.zeros((covariances.shape[2], covariances.shape[1] + 1), bool)
    for _ in range(ROUNDS):
        new = _stands_out(search.evidence(noisy))
        if not new.any():
            break
        noisy |= new
    return np.stack([search.level(band, noisy) for band in range(len(noisy))])


def _stands_out(evidence: Floats) -> Mask:
    """Return the lines that stand out most among the bands and the lines beside them."""
    known = np.where(np.isnan(evidence), -np.inf, evidence)
    beside = np.pad(known, ((0, 0), (1, 1)), constant_values=-np.inf)
    highest = (known >= beside[:, :-2]) & (known >= beside[:, 2:]) & (known >= known.max(axis=0))
    return (known > 1) & highest


class _Search:
    """Residual variances of the bands in the differences of lines."""

    def __init__(self, covariances: Array, steps: Floats) -> None:
        self.covariances = covariances
        variance = np.einsum("sjbb->bsj", covariances)
        known = ~np.isnan(variance[0])
        filled = np.where(known, variance, 0)
        middle = [float(np.median(some[known])) if known.any() else 0.0 for some in variance]
        mean = filled.sum(axis=(1, 2)) / max(known.sum(), 1)
        usual = np.where(np.array(middle) > 0, middle, mean)
        self.floor = np.maximum(FLOOR * usual, 2 * GAIN * ROUNDING * np.square(steps)) + 1e-30
        scaled = (filled / np.maximum(usual, 1e-30)[:, None, None]).mean(axis=0)
        weight = known / (1 + np.square(scaled) / EDGE)
        total = np.where(known[..., None, None], covariances, 0)
        self.pooled = np.tensordot(weight, total, 2) / max(weight.sum(), 1e-30)

    @cached_property
    def alone(self) -> Floats:
        """Excess of the lines of each band as it is, ``(band, line)``."""
        return np.stack([self._exceed_alone(band) for band in range(len(self.floor))])

    def evidence(self, noisy: Mask) -> Floats:
        """Return the excess of lines beside what is needed, ``(band, line)``; NaN where unknown.

        Args:
            noisy: lines that are known to be noisy, ``(band, line)``.

        """
        found, needed = np.stack(
            [self._exceed_others(band, noisy) for band in range(len(noisy))], axis=1
        )
        # What other bands exceed those around by only takes away.
        if not (found > needed).any():
            return found / needed
        shared = np.stack([self._shared(band) for band in range(len(noisy))])
        return np.where(shared > COMMON, np.nan, (found - shared) / needed)

    def _exceed_others(self, band: int, noisy: Mask) -> tuple[Floats, Floats]:
        """Return the excess of the lines of a band that other bands do not predict, and what is
        needed, ``(line,)`` each; NaN where unknown.
        """
        mean = np.full(noisy.shape[1] - 1, np.nan)
        for differences, variance, usual in self._residuals(band, noisy):
            mean[differences] = _mean_ratio(variance, usual)
        # A difference to a noisy line tells nothing, and at a border one is missing.
        one = np.append(np.nan, np.where(noisy[band, :-1], np.nan, mean))
        other = np.append(np.where(noisy[band, 1:], np.nan, mean), np.nan)
        excess = np.fmin(one, other)
        excess[noisy[band]] = excess[[0, -1]] = np.nan
        some = excess[np.isfinite(excess)]
        if some.size < 2 * AROUND:
            return np.full_like(excess, np.nan), np.ones_like(excess)
        # Noise that is not found yet lies above the middle.
        low, middle = np.quantile(some, [LOW, 0.5])
        weak = np.isnan(one) | np.isnan(other)
        weak[:BORDER] = weak[-BORDER:] = True
        needed = np.where(weak, ALONE, 1.0) * max(FAR * (middle - low), FACTOR)
        return excess - middle - _slope(mean - middle), needed

    def _exceed_alone(self, band: int) -> Floats:
        """Return the excess of lines of a band as it is, ``(line,)``."""
        none = np.zeros(0, np.intp)
        every = np.arange(self.covariances.shape[1])
        mean = _mean_ratio(*self._compare(band, none, every, np.zeros(len(every), bool)))
        excess = np.fmin(np.append(np.nan, mean), np.append(mean, np.nan))
        known = excess[np.isfinite(excess)]
        return excess - (np.median(known) if known.size else 0.0)

    def _shared(self, band: int) -> Floats:
        """Return what lines exceed others by in the other bands, too: that is the scene's."""
        others = np.sort(np.delete(self.alone, band, axis=0), axis=0)
        if not len(others):
            return np.zeros(self.alone.shape[1])
        found: Floats = others[len(others) // 2 if len(others) > 2 else 0]
        around = np.pad(np.clip(np.nan_to_num(found), 0, None), 1)
        return np.maximum(np.maximum(around[:-2], around[2:]), around[1:-1])

    def level(self, band: int, noisy: Mask) -> Floats:
        """Return the deviation of the additional noise of the noisy lines in DN, ``(line,)``.

        A difference has the noise of two lines: that of lines side by side is solved together, and
        a line between two noisy ones that has too little of its own is none.
        """
        level = np.zeros(noisy.shape[1])
        if not noisy[band].any():
            return level
        from scipy.optimize import nnls  # takes long to load

        added, usual = np.full((2, noisy.shape[1] - 1), np.nan)
        for differences, variance, expected in self._residuals(band, noisy):
            for place in np.flatnonzero(noisy[band, differences] | noisy[band, differences + 1]):
                known = np.isfinite(variance[:, place]) & np.isfinite(expected[:, place])
                pair = variance[known, place], expected[known, place]
                added[differences[place]] = _fit_variance(*pair)
                usual[differences[place]] = (
                    np.exp(np.log(pair[1]).mean()) if known.any() else np.nan
                )
        edges = np.flatnonzero(np.diff(np.concatenate([[False], noisy[band], [False]])))
        for start, stop in edges.reshape(-1, 2):
            seen = np.arange(max(start - 1, 0), min(stop, noisy.shape[1] - 1))
            # A difference to lines without valid pixels tells nothing.
            seen = seen[np.isfinite(added[seen]) & np.isfinite(usual[seen])]
            lines = np.arange(start, stop)
            belongs = (seen[:, None] == lines) | (seen[:, None] + 1 == lines)
            weight = 1 / (added[seen] + usual[seen])
            found, _ = nnls(belongs * weight[:, None], added[seen] * weight)
            least = (np.exp(FACTOR) - 1) * usual[seen].max(initial=0)
            level[lines] = np.where(found > least, np.sqrt(found / GAIN), 0)
        return level

    def _residuals(
        self, band: int, noisy: Mask
    ) -> Iterator[tuple[NDArray[np.intp], Floats, Floats]]:
        """Compute the variances that other bands leave.

        Yields:
            Numbers of the differences whose predictors are the same, their variances, and the
            medians of those around each, ``(segment, difference)``.

        """
        bad = noisy[:, 1:] | noisy[:, :-1]
        others = np.delete(np.arange(len(noisy)), band)
        if not bad.any():
            every = np.arange(bad.shape[1])
            yield every, *self._compare(band, others, every, bad[band])
            return
        patterns, which = np.unique(bad[others], axis=1, return_inverse=True)
        for number, pattern in enumerate(patterns.T):
            differences = np.flatnonzero(which.ravel() == number)
            chosen = others[~pattern]
            blocked = bad[band] | bad[chosen].any(axis=0)
            yield differences, *self._compare(band, chosen, differences, blocked)

    def _compare(
        self, band: int, chosen: NDArray[np.intp], differences: NDArray[np.intp], blocked: Mask
    ) -> tuple[Floats, Floats]:
        """Return variances that the chosen bands leave, and their medians around."""
        parts = np.array_split(differences, max(-(-len(differences) // TOGETHER), 1))
        some = [self._compare_some(band, chosen, part, blocked) for part in parts]
        variance, usual = (np.concatenate(values, axis=1) for values in zip(*some, strict=True))
        return variance, usual

    def _compare_some(
        self, band: int, chosen: NDArray[np.intp], differences: NDArray[np.intp], blocked: Mask
    ) -> tuple[Floats, Floats]:
        """Return the result of ``_compare`` for few differences."""
        around = differences[:, None] + np.arange(-AROUND, AROUND + 1)
        counts = (around >= 0) & (around < len(blocked))
        around = np.clip(around, 0, len(blocked) - 1)
        seen = np.zeros(len(blocked), bool)
        seen[around] = True
        needed, place = np.flatnonzero(seen), (np.cumsum(seen) - 1)[around]
        variance = self._predict(band, chosen, needed)
        usual = _median(np.where(counts & ~blocked[around], variance[:, place], np.nan))
        return variance[:, place[:, AROUND]], usual

    def _predict(
        self, band: int, chosen: NDArray[np.intp], differences: NDArray[np.intp]
    ) -> Floats:
        """Return the variance of a band that others leave, ``(segment, difference)``."""
        weights = np.zeros(len(self.floor))
        weights[band] = 1
        chosen = chosen[self.pooled[chosen, chosen] > 0]
        power = self.pooled[np.ix_(chosen, chosen)]
        power = power + np.diag(RIDGE * np.diag(power))
        weights[chosen] = -np.linalg.solve(power, self.pooled[chosen, band])
        part = self.covariances[:, differences]
        squares = np.outer(weights, weights).ravel().astype(part.dtype)
        variance = (part.reshape(-1, squares.size) @ squares).reshape(part.shape[:2])
        return np.maximum(variance, self.floor[band]).astype(np.float64)


def _slope(mean: Floats) -> Floats:
    """Return by what both of the nearest differences beside a line exceed others, ``(line,)``.

    Resampled scenes have lines where the scene is sharper, which comes and goes over some lines.
    """
    padded = np.pad(np.clip(mean, 0, None), 2, constant_values=np.nan)
    above, below = padded[:-3], padded[3:]
    found: Floats = np.nan_to_num(np.fmin(above, below))
    return found


def _mean_ratio(variance: Floats, usual: Floats) -> Floats:
    """Return the mean logarithm of variances beside the usual ones over segments; NaN for few.

    The median where it is less: a bright object in one segment is no noise of the line.
    """
    ratio = np.log(variance) - np.log(usual)
    known = np.isfinite(ratio)
    number = known.sum(axis=0)
    total = np.where(known, ratio, 0).sum(axis=0)
    middle = _median(np.where(known, ratio, np.nan).T)
    mean = np.fmin(total / np.maximum(number, 1), middle)
    return np.where(number >= FEWEST, mean, np.nan)


def _median(values: Floats) -> Floats:
    """Return the lower median along the last axis of what is known; NaN where nothing is."""
    ordered = np.sort(values, axis=-1)
    middle = np.maximum(np.isfinite(ordered).sum(axis=-1) - 1, 0) // 2
    found: Floats = np.take_along_axis(ordered, middle[..., None], axis=-1)[..., 0]
    return found


def _fit_variance(seen: Floats, usual: Floats) -> float:
    """Return the variance that, added to the usual ones, explains best what is seen."""
    found = float(np.median(np.maximum(seen - usual, 0))) if seen.size else 0.0
    for _ in range(STEPS if seen.size else 0):
        weight = 1 / np.square(usual + found)
        found = max(float((weight * (seen - usual)).sum() / weight.sum()), 0.0)
    return found
