"""Run the checks, report their figures, and write them into a model's card."""

import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, computed_field

from geoae.errors import ModelError, OutputError
from geoae.verification.bench import Bench
from geoae.verification.candidate import Model, subject_of
from geoae.verification.checks import CHECKS
from geoae.verification.finding import Finding

__all__ = ["VerifyReport", "into_card", "verify"]


class VerifyReport(BaseModel):
    """The figures of one verification; ``--report`` writes it as JSON."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    model: str
    digest: str
    setting: str = Field(description="device type, precision, runtime, batch")
    version: str = Field(description="of geoae")
    scene: str = Field(description="whose middle the model was tried on, or synthetic")
    bands: int
    height: int
    width: int
    checks: dict[str, Finding]
    skipped: dict[str, str] = Field(description="checks that do not apply, with the reason")
    seconds: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.failed

    @property
    def failed(self) -> list[str]:
        """Names of the checks that failed."""
        return [name for name, finding in self.checks.items() if not finding.passed]

    def require(self) -> None:
        """Raise ``ModelError`` with the first check that failed, if there is one."""
        if self.passed:
            return
        first = self.checks[self.failed[0]]
        more = f" and {len(self.failed) - 1} more" if len(self.failed) > 1 else ""
        raise ModelError(
            f"{self.model}: fails {self.failed[0]}{more}: {first.measured} is {first.figure:.3g}"
            f" {first.unit}, {first.limit:.3g} at most; do not trust scenes to it before that is"
            " mended"
        )


def verify(
    model: Model,
    scene: str | Path | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    nodata: float | int | None = None,
    **claims: Any,
) -> VerifyReport:
    """Measure each promise in ``CHECKS`` on a model; see ``geoae.verify``.

    Args:
        model: a shipped name, a model folder, or a callable.
        scene: raster whose middle is used; None for the synthetic scene.
        device: auto, cpu, cuda or cuda:N; of a model of geoae.
        precision: auto, fp32 or bf16; of a model of geoae.
        nodata: value of invalid pixels that the scene does not declare, in DN.
        **claims: fields of ``CallableSpec``, for a callable.

    Returns:
        The figures of all checks.

    Raises:
        GeoaeError: a check could not be run at all.

    """
    started = time.monotonic()
    with subject_of(model, device, precision, claims) as subject:
        bench = Bench.of(subject, None if scene is None else str(scene), nodata)
        found = {name: check(bench) for name, check in CHECKS.items()}
    bands, height, width = bench.pixels.shape
    return VerifyReport(
        model=subject.restorer.name,
        digest=subject.restorer.digest,
        setting=subject.restorer.setting,
        version=version("geoae"),
        scene=bench.scene,
        bands=bands,
        height=height,
        width=width,
        checks={name: finding for name, finding in found.items() if finding},
        skipped={
            name: "a callable is not told the noise"
            for name, finding in found.items()
            if not finding
        },
        seconds=time.monotonic() - started,
    )


def into_card(name: str, report: VerifyReport) -> Path:
    """Write the figures of a verification into the model's card.

    Args:
        name: shipped name or path of the model.
        report: a report in which every check passed.

    Returns:
        Path of the card.

    Raises:
        ModelError: a check failed, the model has no card, or its weights have changed since.
        OutputError: the card cannot be written; it stays as it was.

    """
    from geoae.models.card import CARD, Card, model_folder

    report.require()
    if name == "identity":
        raise ModelError("identity: has no card; name a model of yours, or leave out --into-card")
    folder = model_folder(name)
    card = Card.read(folder)
    if card.digest != report.digest:
        raise ModelError(f"{folder}: its weights changed meanwhile; verify it again")
    checks = {
        check: {
            "figure": float(f"{finding.figure:.3g}"),
            "limit": finding.limit,
            "unit": finding.unit,
        }
        for check, finding in report.checks.items()
    }
    scene = Path(report.scene).name
    verified = {
        "digest": report.digest,
        "geoae": report.version,
        "setting": report.setting,
        "scene": f"{scene}, {report.bands} x {report.height} x {report.width}",
        "checks": checks,
    }
    path, draft = folder / CARD, folder / f"{CARD}.part"
    try:
        draft.write_text(
            card.model_copy(update={"verified": verified}).model_dump_json(indent=2) + "\n"
        )
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); copy the model folder and verify that"
        ) from error
    return path
