"""A newer model from recent scenes: how it is trained, when it is better, and how it takes its place."""

import math
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from geoae.catalog.sources import Found
from geoae.errors import OutputError, TrainingError
from geoae.evaluation.measure import Row, scenes_below
from geoae.models.folder import Card
from geoae.resources import shipped
from geoae.training.config import SceneGroup, TrainConfig

__all__ = ["CURRENT", "Verdict", "current_model", "gathered", "install", "judge", "renewed", "training_config"]

# The link in a folder of models that names the one in use.
CURRENT = "current"
# dB that a new model may lose on any one scene and noise, and percent of a band's span its means may move.
LARGEST_LOSS = 0.3
LARGEST_BIAS = 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model takes another's place; mean ``gain`` in dB, and why."""

    better: bool
    gain: float
    reason: str


def current_model(models: Path, config: TrainConfig) -> str:
    """The model in use: ``models/current``, or the shipped one of the config's name."""
    link = models / CURRENT
    return str(link) if link.exists() else config.name


def gathered(recent: Sequence[Found], fixed: Path, folder: Path) -> list[str]:
    """Link ``recent`` scenes and the ``fixed`` set into ``folder``; the names of the fixed set below it.

    A folder that is there already is left as it is, so that a run goes on with the scenes it began with.
    A recent scene that is one of the fixed set is left out. Raises ``TrainingError``, ``InputError``.
    """
    kept = scenes_below([fixed])
    if not folder.exists():
        known = {path.resolve() for _, path in kept}
        chosen = [one for one in recent if Path(one.source).resolve() not in known]
        if not chosen:
            raise TrainingError(
                f"{fixed}: no recent scene to train on lies outside it; give more days or another source"
            )
        draft = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(draft, ignore_errors=True)
        for name, path in [("recent/" + one.name, Path(one.source)) for one in chosen] + [("fixed/" + name, path) for name, path in kept]:  # fmt: skip
            link = draft / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
        draft.rename(folder)
    return [f"fixed/{name}" for name, _ in kept]


def renewed(base: TrainConfig, name: str, start: str, validation: list[str], steps: int | None) -> TrainConfig:
    """``base`` on the scenes that ``gathered`` linked, beginning with the weights of ``start``."""
    changed = {
        "name": name, "start": start, "validation": validation, "exclude": [],
        "groups": [SceneGroup(files=["recent/**/*.*"], halve=True)],
        "cycles": base.cycles if steps is None else [steps],
        "validate_every": min(base.validate_every, sum(base.cycles) if steps is None else steps),
    }  # fmt: skip
    return TrainConfig.model_validate(base.model_dump() | changed)


def judge(rows: Sequence[Row], new: str, current: str, least_gain: float) -> Verdict:
    """Hold ``new`` against ``current`` on all scenes and noises that both were measured on."""
    measured = {(row.scene, row.sigma, row.contender): row for row in rows}
    places = sorted({(row.scene, row.sigma) for row in rows if row.contender == new})
    gains = {place: measured[(*place, new)].psnr - measured[(*place, current)].psnr for place in places}
    finite = {place: gain for place, gain in gains.items() if math.isfinite(gain)}
    if not finite:
        return Verdict(False, 0.0, "nothing was measured")
    gain, worst = fmean(finite.values()), min(finite, key=lambda place: finite[place])
    bias = max(measured[(*place, new)].bias for place in places)
    allowed = max(LARGEST_BIAS, *(measured[(*place, current)].bias for place in places))
    if gain < least_gain:
        return Verdict(False, gain, f"{gain:+.2f} dB on average; {least_gain:+.2f} dB are asked for")
    if finite[worst] < -LARGEST_LOSS:
        return Verdict(False, gain, f"{gain:+.2f} dB on average, but {finite[worst]:+.2f} dB on {worst[0]} at noise {worst[1]:g}")  # fmt: skip
    if bias > allowed:
        return Verdict(False, gain, f"{gain:+.2f} dB on average, but moves a band's mean by {bias:.2f} % of its span")
    return Verdict(True, gain, f"{gain:+.2f} dB on average, at worst {finite[worst]:+.2f} dB on {worst[0]}")


def install(new: Path, models: Path) -> Path:
    """Copy the model folder ``new`` into ``models`` and let ``current`` name it; its folder there.

    The model before stays, under its own name. The link changes at once: whoever opens ``current`` gets the
    one model or the other. Raises ``OutputError``.
    """
    card = Card.read(new)
    folder, link = models / f"{card.name}-{card.digest[:8]}", models / CURRENT
    if link.exists() and not link.is_symlink():
        raise OutputError(f"{link}: is a folder and no link; rename it, and link {CURRENT} to it")
    draft = models / f".{uuid.uuid4().hex}"
    try:
        models.mkdir(parents=True, exist_ok=True)
        if not folder.exists():
            shutil.copytree(new, draft)
            draft.rename(folder)
        draft.symlink_to(folder.name)
        draft.replace(link)
    except OSError as error:
        raise OutputError(
            f"{models}: cannot be written ({error.strerror}); allow it or choose another folder"
        ) from error
    return folder


def training_config(name: str) -> TrainConfig:
    """The config of a shipped model's name or of a TOML file; raises ``TrainingError``."""
    inside = shipped("models") / name / "train.toml"
    return TrainConfig.read(inside if inside.exists() else Path(name))
