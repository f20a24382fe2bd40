"""Whether a new model is better than the one in use."""

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
    """Whether a model takes another's place; mean ``gain`` in dB, and why."""

    better: bool
    gain: float
    reason: str


def judge(rows: Sequence[Row], new: str, current: str, least_gain: float) -> Verdict:
    """Hold ``new`` against ``current`` on all scenes and noises that both were measured on."""
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
