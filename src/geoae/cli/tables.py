"""Results of commands as tables."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from geoae.cli.console import say
from geoae.cli.words import duration, otherwise, size
from geoae.diagnosis.grouping import tabulate
from geoae.pipeline.inspection import Inspection
from geoae.system.wording import count

if TYPE_CHECKING:
    from geoae.models.card import Card
    from geoae.pipeline.diagnose import Diagnosis
    from geoae.verification.run import VerifyReport

__all__ = ["show_diagnosis", "show_inspection", "show_models", "show_verification"]


def show_inspection(found: Inspection, as_json: bool) -> None:
    """Print a scene, its bands and its plan.

    Args:
        found: the result of ``geoae inspect``.
        as_json: whether to print JSON instead.

    """
    if as_json:
        say(found.model_dump_json(indent=2))
        return
    say(
        f"{found.source}: {found.driver}, {size(found.height, found.width, found.count)}"
        f" {found.dtype}, CRS {found.crs}, {found.valid_percent:.1f} % valid"
    )
    noise = f"noise {found.unit}", "variance/DN" if found.unit == "DN" else "variance/unit"
    table = Table("band", "name", "nodata", "mean", "spread", *noise, "SNR", "treatment")
    for band in found.bands:
        figures = (
            f"{value:.4g}" if value is not None else ""
            for value in (band.mean, band.spread, band.sigma, band.slope, band.snr)
        )
        table.add_row(
            str(band.index),
            band.name,
            "" if band.nodata is None else f"{float(band.nodata):g}",
            *figures,
            band.treatment,
        )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    for note in found.notes:
        say(note)
    for band in found.bands:
        kind, _, reason = band.treatment.partition(": ")
        if kind == "copied" and (cure := otherwise(reason)):
            say(f"band {band.index} will be {band.treatment}{cure}")
    for line in found.steps:
        say(line)
    plan = found.plan
    say(
        f"plan: {count(plan.tiles, 'tile')} of {plan.tile[0]} x {plan.tile[1]} px, overlap"
        f" {plan.overlap}, {count(plan.slabs, 'slab')}, about {plan.memory_mib} MiB of memory,"
        f" {plan.disk_mib} MiB of disk while running, {duration(plan.seconds)} with model"
        f" {plan.model} on {plan.setting}"
    )
    steps = [*found.restored_before, found.restored_with] if found.restored_with else []
    for number, step in enumerate(steps, start=1):
        _show_step(step, f" (step {number} of {len(steps)})" if len(steps) > 1 else "")


def show_diagnosis(found: "Diagnosis", as_json: bool) -> None:
    """Print findings, and what restoring would do.

    Args:
        found: the result of ``geoae diagnose``.
        as_json: whether to print JSON instead.

    """
    if as_json:
        say(found.model_dump_json(indent=2))
        return
    say(
        f"{found.source}: {size(found.height, found.width, len(found.bands))},"
        f" {found.valid_percent:.1f} % valid"
    )
    table = Table("finding", "band", "strength", "where", "evidence", "sure", "what to do")
    for row in tabulate(found.findings):
        table.add_row(*row.cells)
    if found.findings:
        Console(width=None if sys.stdout.isatty() else 160).print(table)
    else:
        say("nothing found")
    for note in found.notes:
        say(note)
    if found.steps:
        say("geoae restore would do this, with faint faults that the table leaves out:")
    for step in found.steps:
        say(f"  {step}")
    say(f"looked at in {duration(found.seconds)}")


def _show_step(step: Mapping[str, str], place: str) -> None:
    """Print one restoration that made an output."""
    say(
        f"already restored by geoae {step.get('VERSION', '?')} with model"
        f" {step.get('MODEL', '?')}{place}"
    )
    unit = step.get("UNIT", "DN")
    facts = {
        "model digest": step.get("MODEL_DIGEST"),
        "computed on": step.get("SETTING"),
        "source": step.get("SOURCE"),
        "source identity": step.get("SOURCE_IDENTITY"),
        "recipe": step.get("RECIPE"),
        "options": step.get("OPTIONS"),
        "bands": step.get("BANDS", "").replace(",", ", "),
        f"noise, {unit}": step.get("SIGMA", "").replace(",", ", "),
        f"its variance/{'DN' if unit == 'DN' else 'unit'}": step.get("SLOPE", "").replace(
            ",", ", "
        ),
        "fingerprint": step.get("FINGERPRINT"),
    }
    for name, fact in facts.items():
        say(f"  {name:<16} {fact or 'none'}")


def show_verification(report: "VerifyReport") -> None:
    """Print every check with its figure and limit, and its note."""
    table = Table("check", "what is measured", "figure", "limit", "unit", "result")
    for name, check in report.checks.items():
        figures = (f"{value:.3g}" for value in (check.figure, check.limit))
        table.add_row(
            name, check.measured, *figures, check.unit, "passed" if check.passed else "FAILED"
        )
    for name, reason in report.skipped.items():
        table.add_row(name, reason, "", "", "", "skipped")
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    for name, check in report.checks.items():
        if check.note:
            say(f"{name}: {check.note}")
    passed = len(report.checks) - len(report.failed)
    say(
        f"{report.model}: {passed} of {len(report.checks)} checks passed, {report.seconds:.0f} s,"
        f" {report.setting}, {report.scene} scene of"
        f" {size(report.height, report.width, report.bands)}"
    )


def show_models(cards: Sequence["Card"]) -> None:
    """Print the shipped models, and ``identity``."""
    table = Table("name", "what it is", "halo px", "kFLOP/px·band", "parameters", "verified")
    for card in cards:
        figures = (str(card.halo), f"{card.kflop(card.channels):.0f}", f"{card.parameters:,}")
        table.add_row(card.name, card.description, *figures, "yes" if card.is_verified else "no")
    table.add_row(
        "identity", "changes nothing, bit for bit; for trying the pipeline", "8", "0", "0", ""
    )
    Console(width=None if sys.stdout.isatty() else 120).print(table)
