"""What a training run is told, as TOML."""

import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from geoae.errors import TrainingError

__all__ = ["Leaves", "SceneGroup", "TrainConfig"]


class SceneGroup(BaseModel):
    """Scenes that share a share of the samples, so that no sensor or landscape dominates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: list[str] = Field(description="glob patterns below the scenes folder")
    weight: float = Field(1.0, gt=0, description="share of the samples, relative to the other groups")
    halve: bool = Field(False, description="also offer each scene in means of 2 x 2 pixels")


class Leaves(BaseModel):
    """Synthetic scenes without noise of their own, beside the real ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(0, ge=0, description="number of scenes")
    bands: int = Field(4, gt=0)
    side: int = Field(448, gt=0, description="side of a scene in pixels")
    weight: float = Field(1.0, gt=0, description="share of the samples, relative to the groups")


class TrainConfig(BaseModel):
    """A training run. Same config, same seed, same model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    architecture: str = "res_cae"
    network: dict[str, Any] = Field(default_factory=dict, description="arguments of the network")
    start: str | None = Field(None, description="model the weights begin with: a shipped name, or a model folder")
    seed: int = 0
    chip: int = Field(96, gt=0, description="side of a chip in pixels")
    batch_size: int = Field(16, gt=0)
    cycles: list[PositiveInt] = Field(min_length=1, description="steps of each cycle of the learning rate")
    warmup: int = Field(500, gt=0)
    learning_rate: float = Field(1e-3, gt=0)
    ema: float = Field(0.999, gt=0, lt=1, description="decay of the averaged weights")
    precision: str = Field("bf16-mixed", description="Lightning's name of a precision")
    tile: int = Field(1536, gt=0, description="largest tile side by default, for the card")
    limits: list[str] = Field(default_factory=list, description="when not to use the model, for the card")
    validation: list[str] = Field(description="files kept out of training, below the scenes folder")
    exclude: list[str] = Field(default_factory=list, description="files of the same ground as validation's")
    groups: list[SceneGroup]
    leaves: Leaves = Leaves()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read ``path``; raises ``TrainingError`` with the first thing that is wrong."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except OSError as error:
            raise TrainingError(f"{path}: cannot be read ({error.strerror}); name a training config") from error
        except tomllib.TOMLDecodeError as error:
            raise TrainingError(f"{path}: not TOML: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise TrainingError(f"{path}: {where}: {first['msg'].lower()}") from error
