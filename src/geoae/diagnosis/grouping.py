"""Findings as few rows for people: bands with like findings together, the strongest first."""

import math
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from geoae.diagnosis.finding import Finding
from geoae.system.wording import count, name_bands, name_numbers, name_range

__all__ = ["Row", "summarise", "tabulate"]

# Rows of one kind of finding at most, so that a table of hundreds of bands stays readable.
MOST = 4
FIGURES = re.compile(r"\d[\d.,e+-]*")


@dataclass(frozen=True, slots=True)
class Row:
    """Findings of one kind in bands that are alike."""

    findings: tuple[Finding, ...]
    """The findings, the strongest first."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Kind, bands, strength, place, evidence, confidence and action in words.

        Words that differ between the bands are those of the band with the strongest finding, and
        begin with its number.
        """
        first = self.findings[0]
        bands = sorted(one.band for one in self.findings if one.band is not None)
        spec = ".4g" if len(self.findings) == 1 else ".3g"
        return (
            first.kind,
            name_numbers(bands) if bands else "all",
            f"{name_range((one.strength for one in self.findings), spec)} {first.unit}",
            self._share("place"),
            self._share("evidence"),
            f"{100 * min(one.confidence for one in self.findings):.0f} %",
            self._share("action"),
        )

    def _share(self, field: str) -> str:
        texts = [str(getattr(one, field)) for one in self.findings]
        band = self.findings[0].band
        whose = "for example" if band is None else f"band {band}"
        return texts[0] if len(set(texts)) == 1 else f"{whose}: {texts[0]}"


def _words(finding: Finding) -> str:
    """What is to be done, without figures, and the first word of the evidence: together they tell
    white noise from correlated noise, for instance.
    """
    return f"{finding.evidence.partition(' ')[0]} {FIGURES.sub('', finding.action)}"


# What findings of one row have in common beside kind and unit: much of it first, then less and
# less, until the rows are few enough.
ALIKE: tuple[Callable[[Finding], Hashable], ...] = (
    lambda one: (one.place, _words(one), f"{one.strength:.2g}"),
    lambda one: (one.place, _words(one), f"{one.strength:.1g}"),
    # Powers of 4, and of 16.
    lambda one: (one.place, _words(one), math.frexp(one.strength)[1] // 2),
    lambda one: (one.place, _words(one), math.frexp(one.strength)[1] // 4),
    lambda one: (one.place, _words(one)),
    lambda one: _words(one),
    lambda one: None,
)


def tabulate(findings: Sequence[Finding], most: int = MOST) -> list[Row]:
    """Gather findings in rows.

    Args:
        findings: any findings; their kinds keep their order.
        most: rows of one kind and unit at most, 1 or more.

    Returns:
        The rows; within a kind the strongest first.

    """
    rows: list[Row] = []
    for same in _split(findings, lambda one: (one.kind, one.unit, one.band is None)):
        ordered = sorted(same, key=attrgetter("strength"), reverse=True)
        for alike in ALIKE:
            groups = _split(ordered, alike)
            if len(groups) <= most:
                break
        rows += [Row(tuple(group)) for group in groups]
    return rows


def summarise(findings: Sequence[Finding]) -> list[str]:
    """Say of each kind of finding in how many bands it is, and how strong: one line each."""
    lines = []
    for same in _split(findings, lambda one: (one.kind, one.unit, one.band is None)):
        strengths = [one.strength for one in same]
        level = f"{name_range(strengths)} {same[0].unit}"
        bands = sorted({one.band for one in same if one.band is not None})
        where = "all bands together"
        if bands:
            strongest = max(same, key=attrgetter("strength")).band
            where = name_bands(bands) if len(bands) == 1 else count(len(bands), "band")
            where += f", highest in band {strongest}" if len(set(strengths)) > 1 else ""
        lines.append(f"{same[0].kind}: {level} in {where}")
    return lines


def _split(
    findings: Iterable[Finding], alike: Callable[[Finding], Hashable]
) -> list[list[Finding]]:
    """Split findings into groups that have something in common, in the order of the first ones."""
    groups: dict[Hashable, list[Finding]] = {}
    for one in findings:
        groups.setdefault(alike(one), []).append(one)
    return list(groups.values())
