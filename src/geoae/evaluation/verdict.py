"""Decide whether a new model is better than the one in use."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from geoae.evaluation.measure import Row

__all__ = ["Verdict", "judge"]

# dB that a new model may lose on any one scene and noise, and percent of a band's span its means
# may move.
LARGEST_LOSS = 0.3
LARGEST_BIAS = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on a new model."""

    better: bool
    """Whether it takes the place of the model in use."""
    gain: float
    """Mean gain in PSNR over the model in use, in dB."""
    reason: str
    """Why, in words."""


def judge(rows: Sequence[Row], new: str, current: str, least_gain: float) -> Verdict:
    """Compare a new model with the one in use, on all scenes and noise levels of the new one.

    The new model must gain enough on average, must not lose much on any scene, and must not move
    the means of bands.

    Args:
        rows: figures of both models on the same scenes and noise levels.
        new: name of the new model in ``rows``.
        current: name of the model in use in ``rows``.
        least_gain: mean gain in dB that the new model must reach.

    Returns:
        The decision.

    """
    measured = {(row.scene, row.sigma, row.contender): row for row in rows}
    places = sorted({(row.scene, row.sigma) for row in rows if row.contender == new})
    gains = {
        place: measured[(*place, new)].psnr - measured[(*place, current)].psnr for place in places
    }
    finite = {place: gain for place, gain in gains.items() if math.isfinite(gain)}
    if not finite:
        return Verdict(False, 0.0, "nothing was measured")
    gain, worst = fmean(finite.values()), min(finite, key=lambda place: finite[place])
    bias = max(measured[(*place, new)].bias for place in places)
    allowed = max(LARGEST_BIAS, *(measured[(*place, current)].bias for place in places))
    if gain < least_gain:
        return Verdict(
            False, gain, f"{gain:+.2f} dB on average; {least_gain:+.2f} dB are asked for"
        )
    if finite[worst] < -LARGEST_LOSS:
        return Verdict(
            False,
            gain,
            f"{gain:+.2f} dB on average, but {finite[worst]:+.2f} dB on {worst[0]} at noise"
            f" {worst[1]:g}",
        )
    if bias > allowed:
        return Verdict(
            False,
            gain,
            f"{gain:+.2f} dB on average, but moves a band's mean by {bias:.2f} % of its span",
        )
    return Verdict(
        True, gain, f"{gain:+.2f} dB on average, at worst {finite[worst]:+.2f} dB on {worst[0]}"
    )
