"""Decide whether a band is a measurement, from its metadata and, where needed, its values.

GDAL tags the fourth band of any 8-bit file of four bands as alpha unless it is told otherwise, so
near infrared often has this tag. So tags and names are claims rather than facts, and the user's
choice has priority over them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from geoae.radiometry.band_names import CLASSES, NOTHING, Meaning, interpret_name
from geoae.radiometry.classes import FEW_LEVELS, count_levels, is_classes

__all__ = ["BY_VALUES", "Claims", "Verdict", "is_alpha", "judge"]

BY_VALUES = "flags or classes, by its values"

TRANSPARENCY = re.compile(r"\b(alpha|opacity|transparency)\b")
INFRARED = re.compile(
    r"\b(v?nir\d?|(near |short ?wave )?infra ?red|red ?edge|swir\d?|[ml]wir|tir\d?|thermal)\b"
)
# Shares of opaque pixels among those that are not transparent. Of 327 measured bands all were below
# 0.01, and below 0.29 when stretched until a tenth of the pixels saturates on either side.
MOSTLY, PARTLY, LEAST = 0.65, 0.35, 0.1
# Values this close to 0 or to the largest, as a share of it, are transparent or opaque: lossy
# codecs move them.
NEAR = 0.02
# Second differences of neighbours between the two, as a share of the spread of values there, the
# most for half or for nine tenths of them. Nine tenths were below 0.007 in feathered borders, below
# 0.013 in lossy ones, and above 0.015 in 326 measured bands; half of them were below 0.013 in a
# hand-made mask.
SMOOTH, RAMP, RAGGED = 2 / 255, 3.5 / 255, 3.5 / 255
# Least share of transparent pixels beside borders that are wide or ragged.
TRANSPARENT = 0.2

Values = Sequence[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a file states about a band."""

    colour: ColorInterp
    """Colour interpretation."""
    name: str = ""
    """Description."""
    bits: str | None = None
    """Bits of each pixel, where the file states them (``NBITS``)."""
    restored: bool = False
    """Whether geoae has restored the band before, as a measurement."""
    file: Meaning = NOTHING
    """What the name of the file means."""
    classified: bool = False
    """Whether the file gives names to the values, or states that they are flags."""

    @property
    def words(self) -> str:
        """The name in lower case, without underscores."""
        return self.name.lower().replace("_", " ")

    @property
    def kind(self) -> str | None:
        """What the band is by these claims, other than a measurement; None where it is one."""
        if self.colour is ColorInterp.palette:
            return "palette"
        if self.colour is ColorInterp.alpha:
            return "alpha"
        if self.bits == "1":
            return "1-bit mask"
        if self.classified:
            return CLASSES
        return next((said.kind for said in self._meanings if said.sure and said.kind), None)

    @property
    def hint(self) -> str | None:
        """What the band may be by its name, if its values do not say otherwise."""
        return next((said.kind for said in self._meanings if said.kind), None)

    @property
    def _meanings(self) -> tuple[Meaning, Meaning]:
        return interpret_name(self.name), self.file


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on a band."""

    kind: str | None
    """What the band is, other than a measurement; None where it is one."""
    against: str | None = None
    """The claim that was wrong, or that the user has overruled."""


def judge(claims: Claims, values: Values = (), *, asked: bool = False) -> Verdict:
    """Decide what a band is.

    Args:
        claims: what its file states.
        values: windows ``(row, col)`` of it in DN, without invalid pixels if these are known;
            needed only where ``claims.kind`` is "alpha" or None.
        asked: whether the user has named the band to be restored, which has priority.

    Returns:
        The decision.

    """
    kind = claims.kind
    if asked:
        return Verdict(None, kind or claims.hint)
    if kind == "alpha" and not TRANSPARENCY.search(claims.words):
        return _judge_alpha(claims, values)
    if kind or claims.restored:
        return Verdict(kind)
    if is_classes(values):
        return Verdict(claims.hint or BY_VALUES)
    if claims.hint and count_levels(values) <= FEW_LEVELS:
        return Verdict(claims.hint)
    return Verdict(None, interpret_name(claims.name).kind)


def _judge_alpha(claims: Claims, values: Values) -> Verdict:
    """Hold the tag alpha against name and values."""
    if named := interpret_name(claims.name).kind:
        return Verdict(named)
    if claims.restored or not is_alpha(values, infrared=bool(INFRARED.search(claims.words))):
        return Verdict(None, "alpha")
    return Verdict("alpha")


def is_alpha(values: Values, infrared: bool = False) -> bool:
    """Whether values are those of an alpha band.

    An alpha band has two values at most, or is mostly opaque where it is not transparent, or has
    ramps between the two.

    Args:
        values: windows ``(row, col)`` of a band in DN.
        infrared: whether its name is that of a measurement; then only two values at most count.

    """
    windows = [np.asarray(window, np.float64) for window in values]
    every = (
        np.concatenate([window[np.isfinite(window)] for window in windows])
        if windows
        else np.zeros(0)
    )
    if len(np.unique(every)) <= 2:
        return True
    if infrared or every.min() < 0:
        return False
    top = np.percentile(every[every > 0], 99.9)  # a few hot pixels are brighter than all others
    low, high = NEAR * top, (1 - NEAR) * top
    transparent = (every <= low).mean()
    bright = every[every >= high]
    visible = (1 - transparent) * every.size
    opaque = bright.size / visible
    # Of one value, or nearly so: a measurement may lie in a narrow range far from 0.
    flat = np.unique(bright, return_counts=True)[1].max() / visible
    typical, steep = _bends(windows, low, high)
    feathered = (steep <= RAMP and flat >= LEAST) or (
        steep <= SMOOTH and transparent >= TRANSPARENT
    )
    ragged = typical <= RAGGED and flat >= PARTLY and transparent >= TRANSPARENT
    return bool((opaque >= MOSTLY and flat >= PARTLY) or feathered or ragged)


def _bends(windows: Sequence[NDArray[np.float64]], low: float, high: float) -> tuple[float, float]:
    """Measure second differences along rows of values between ``low`` and ``high``.

    Returns:
        Their median and 90th percentile, as shares of the spread of these values; infinity where
        there are none.

    """
    bends, levels = [], []
    for window in windows:
        between = (window > low) & (window < high)
        inside = between[:, 2:] & between[:, 1:-1] & between[:, :-2]
        bends.append(np.abs(window[:, 2:] - 2 * window[:, 1:-1] + window[:, :-2])[inside])
        levels.append(window[between])
    bent, level = np.concatenate(bends), np.concatenate(levels)
    if not bent.size:
        return np.inf, np.inf
    spread = np.subtract(*np.percentile(level, [95, 5]))
    # of steps of one height: flat
    typical, steep = np.percentile(bent, [50, 90]) / (spread or np.inf)
    return float(typical), float(steep)
