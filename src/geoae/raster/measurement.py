"""Decide whether a band is a measurement, from its metadata and, where needed, its values.

GDAL tags the fourth band of any 8-bit file of four bands as alpha unless it is told otherwise, so
near infrared often has this tag. So tags and names are claims rather than facts, and the user's
choice has priority over them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from geoae.errors import InputError, ReadError
from geoae.radiometry.band_names import (
    ANCILLARY,
    ANGLES,
    CLASSES,
    NOTHING,
    Meaning,
    interpret_file_name,
    interpret_name,
)
from geoae.radiometry.validity.alpha import is_alpha
from geoae.radiometry.validity.classes import FEW_LEVELS, count_levels, gather_values, is_classes
from geoae.raster.checks.band_reader import BandReader
from geoae.raster.checks.validate import MOST_BANDS
from geoae.tiling.window import FEW, grids, windows

__all__ = [
    "BY_VALUES",
    "Claims",
    "Verdict",
    "describe_verdicts",
    "give_copy_reasons",
    "judge",
    "judge_bands",
    "masks_others",
]

BY_VALUES = "flags or classes, by its values"

TRANSPARENCY = re.compile(r"\b(alpha|opacity|transparency)\b")
INFRARED = re.compile(
    r"\b(v?nir\d?|(near |short ?wave )?infra ?red|red ?edge|swir\d?|[ml]wir|tir\d?|thermal)\b"
)
# What a file may say of a band that is none the less restored.
CLAIMS = {
    "palette": "has a palette",
    "alpha": "is tagged as alpha",
    "1-bit mask": "has one bit a pixel",
    CLASSES: "is named as flags or classes",
    ANGLES: "is named as angles",
    ANCILLARY: "is named as dates, counts or uncertainties",
}
# Attributes by which CF says that a variable holds flags.
CF_FLAGS = {"flag_values", "flag_masks", "flag_meanings"}

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


def judge_bands(
    source: str, dataset: DatasetReader, only: tuple[int, ...] | None
) -> dict[int, Verdict]:
    """Decide what each band of a raster is.

    Args:
        source: name of the raster.
        dataset: the same, open.
        only: bands that the user names, which are measurements whatever the file states; None where
            the user names none.

    Returns:
        The decision on each band, 1-based.

    Raises:
        InputError: ``only`` names a band that is not there.
        ReadError: values that decide cannot be read.

    """
    missing = sorted(set(only or ()) - set(dataset.indexes))
    if missing:
        raise InputError(
            f"{dataset.name}: has bands 1 to {dataset.count}, not {missing[0]}; correct --bands"
        )
    # Each of these lists is made anew whenever it is asked for.
    bands = zip(
        dataset.indexes,
        dataset.colorinterp,
        dataset.descriptions,
        strict=True,
    )
    restored = dataset.tags(ns="GEOAE").get("BANDS", "").split(",")
    file = interpret_file_name(source)
    few = dataset.count <= MOST_BANDS  # more are refused, whatever their values are
    if dataset.count > 1:  # what is true of one band need not be true of all
        file = Meaning(file.kind, sure=False)
    claims, needed = {}, []
    for band, colour, name in bands:
        bits = dataset.get_tag_item("NBITS", "IMAGE_STRUCTURE", bidx=band)
        flags = bool(CF_FLAGS & {key.rpartition("#")[2] for key in dataset.tags(band)})
        told = Claims(colour, name or "", bits, str(band) in restored, file, flags)
        claims[band] = told
        if few and band not in (only or ()) and (only is None or told.kind == "alpha"):
            needed.append(band)
    reader = BandReader(source, dataset, needed)
    return {
        band: judge(
            told,
            _values(reader, band, told) if band in needed else (),
            asked=band in (only or ()),
        )
        for band, told in claims.items()
    }


def _values(reader: BandReader, band: int, claims: Claims) -> list[NDArray[np.float64]]:
    """Read windows of a band in DN, NaN in place of nodata, if its claims require them."""
    height, width, read = reader.dataset.height, reader.dataset.width, partial(reader.read, band)
    if claims.kind is None and not claims.restored:
        with suppress(ReadError):  # restoring will say where the damage is
            return gather_values(read, height, width)
    found: list[NDArray[np.float64]] = []
    for grid in grids() if claims.kind == "alpha" else ():
        found = [read(window) for window in windows(height, width, *grid)]
        if sum(np.count_nonzero(np.nan_to_num(pixels)) for pixels in found) >= FEW:
            break
    return found


def give_copy_reasons(
    verdicts: Mapping[int, Verdict], only: tuple[int, ...] | None
) -> dict[int, str]:
    """Return the bands that are not restored, 1-based, each with the reason.

    Args:
        verdicts: the decision on each band.
        only: bands that the user names, or None.

    """
    others = {} if only is None else dict.fromkeys(set(verdicts) - set(only), "not among --bands")
    kinds = {band: verdict.kind for band, verdict in verdicts.items() if verdict.kind}
    return dict(sorted((others | kinds).items()))


def masks_others(dataset: DatasetReader) -> bool:
    """Whether GDAL uses an alpha band as mask of the others: it must be the last of two or four."""
    return any(MaskFlags.alpha in flags for flags in dataset.mask_flag_enums)


def describe_verdicts(
    source: str,
    dataset: DatasetReader,
    verdicts: Mapping[int, Verdict],
    only: tuple[int, ...] | None,
) -> Iterator[str]:
    """Yield one line for each band about which the file is wrong, or only its name tells.

    Args:
        source: name of the raster.
        dataset: the same, open.
        verdicts: the decision on each band.
        only: bands that the user names, or None.

    """
    named = interpret_file_name(source).kind
    for band, verdict in verdicts.items():
        if (
            named
            and verdict.kind == named
            and not interpret_name(dataset.descriptions[band - 1] or "").kind
        ):
            yield (
                f"{source}: band {band} is copied, since the file's name says {named}; to"
                " restore it, name it in --bands"
            )
        if verdict.kind == BY_VALUES:
            yield (
                f"{source}: band {band} is copied, since its values look like flags or classes; to"
                " restore it, name it in --bands"
            )
        if verdict.against is None:
            continue
        claim = f"{source}: band {band} {CLAIMS[verdict.against]}"
        if band in (only or ()):
            yield f"{claim}, but is restored since --bands names it"
        elif only is None:
            yield (
                f"{claim}, but holds a measurement, so it is restored; to copy it, name the others"
                " in --bands"
            )
        elif masks_others(dataset):
            yield f"{claim}, but holds a measurement, so it does not say which pixels are valid"
