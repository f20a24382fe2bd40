"""Train a newer model from recent scenes: which scenes, and with which config."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from geoae.catalog.sources import SceneRef, scenes_below
from geoae.errors import TrainingError
from geoae.resources import shipped
from geoae.training.config import SceneGroup, TrainConfig

__all__ = ["link_training_scenes", "retraining_config", "training_config"]


def link_training_scenes(recent: Sequence[SceneRef], fixed: Path, folder: Path) -> list[str]:
    """Link the scenes of a training run into a folder.

    A folder that exists is left as it is, so that a run continues with the scenes it began with. A
    recent scene that belongs to the fixed set is left out.

    Args:
        recent: scenes to train on.
        fixed: folder of the scenes that models are measured on.
        folder: folder to make, with ``recent`` and ``fixed`` below it.

    Returns:
        Names of the fixed scenes below ``folder``.

    Raises:
        TrainingError: no recent scene lies outside the fixed set.
        InputError: ``fixed`` holds no scene.

    """
    kept = scenes_below([fixed])
    if not folder.exists():
        known = {path.resolve() for _, path in kept}
        chosen = [one for one in recent if Path(one.source).resolve() not in known]
        if not chosen:
            raise TrainingError(
                f"{fixed}: no recent scene to train on lies outside it; give more days or another"
                " source"
            )
        draft = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(draft, ignore_errors=True)
        for name, path in [("recent/" + one.name, Path(one.source)) for one in chosen] + [
            ("fixed/" + name, path) for name, path in kept
        ]:
            link = draft / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
        draft.rename(folder)
    return [f"fixed/{name}" for name, _ in kept]


def retraining_config(
    base: TrainConfig, name: str, start: str, validation: list[str], steps: int | None
) -> TrainConfig:
    """Adapt a training config to the scenes that ``link_training_scenes`` linked.

    Args:
        base: config to start from.
        name: name of the new model.
        start: model whose weights the training starts with.
        validation: names of the fixed scenes.
        steps: training steps; None keeps the cycles of ``base``.

    Returns:
        The config of the new model.

    """
    changed = {
        "name": name,
        "start": start,
        "validation": validation,
        "exclude": [],
        "groups": [SceneGroup(files=["recent/**/*.*"], halve=True)],
        "cycles": base.cycles if steps is None else [steps],
        "validate_every": min(base.validate_every, sum(base.cycles) if steps is None else steps),
    }
    return TrainConfig.model_validate(base.model_dump() | changed)


def training_config(name: str) -> TrainConfig:
    """Read the training config of a shipped model's name or of a TOML file; raise
    ``TrainingError``.
    """
    inside = shipped("models") / name / "train.toml"
    return TrainConfig.read(inside if inside.exists() else Path(name))
