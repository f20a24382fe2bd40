"""The configuration of a training run, as TOML."""

from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from geoae.errors import RecipeError, TrainingError
from geoae.networks import ARCHITECTURES
from geoae.simulation import DEGRADATIONS, Degradation, build
from geoae.simulation.parameters import PerBand
from geoae.system.config import read_toml
from geoae.training.losses import LOSSES

__all__ = ["Leaves", "RandomDegradation", "SceneGroup", "TrainConfig"]

# Share of the samples in which a parameter varies from band to band, and by which factor
# (log-normal).
VARIED = 0.3
VARIATION = 0.3


class SceneGroup(BaseModel):
    """A group of scenes with a common sampling weight, so that no sensor or landscape dominates."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    files: list[str] = Field(description="glob patterns below the scenes folder")
    weight: float = Field(
        1.0, gt=0, description="share of the samples, relative to the other groups"
    )
    halve: bool = Field(False, description="also offer each scene in means of 2 x 2 pixels")


class Leaves(BaseModel):
    """Synthetic scenes without noise of their own, in addition to the real ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(0, ge=0, description="number of scenes")
    bands: int = Field(4, gt=0)
    side: int = Field(448, gt=0, description="side of a scene in pixels")
    weight: float = Field(1.0, gt=0, description="share of the samples, relative to the groups")


class RandomDegradation(BaseModel):
    """A degradation with random parameters: its ``kind``, and a value or a range of each parameter.

    Parameters are in 255ths of a band's 0.5..99.5 percentile range, as if the scene were 8-bit. A
    pair of numbers is a range from which each sample draws.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    probability: float = Field(1.0, gt=0, le=1, description="that a sample gets it")

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        try:
            for end in (0.0, 1.0):
                build(self.kind, self._at(dict.fromkeys(self._parameters, end)))
        except RecipeError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def _parameters(self) -> dict[str, Any]:
        return self.model_extra or {}

    def _at(self, shares: dict[str, float]) -> dict[str, Any]:
        """Return each parameter at its share of its range; counts are rounded."""
        drawn = {name: _between(value, shares[name]) for name, value in self._parameters.items()}
        kinds = _types_of(self.kind) if self.kind in DEGRADATIONS else {}
        return {
            name: round(v) if kinds.get(name) == (int | None) and _is_number(v) else v
            for name, v in drawn.items()
        }

    def draw(self, rng: np.random.Generator, bands: int) -> Degradation | None:
        """Draw the degradation of one sample.

        Args:
            rng: source of random numbers.
            bands: number of bands of the sample.

        Returns:
            The degradation, or None where this sample has none.

        """
        if rng.random() >= self.probability:
            return None
        drawn = self._at({name: rng.random() for name in self._parameters})
        if bands > 1 and rng.random() < VARIED:
            # In the order of the config: that of a set differs from process to process.
            for name, value in self._parameters.items():
                if _types_of(self.kind)[name] is not PerBand or not _is_range(value):
                    continue
                low, high = value
                varied = drawn[name] * np.exp(rng.normal(0.0, VARIATION, bands))
                drawn[name] = tuple(np.clip(varied, low, high).tolist())
        # Both ends of each range were checked, so what lies between them is valid.
        return DEGRADATIONS[self.kind](**drawn)


@lru_cache
def _types_of(kind: str) -> dict[str, Any]:
    """Return the type of each parameter of a kind of degradation."""
    return {f.name: f.type for f in fields(DEGRADATIONS[kind])}  # type: ignore[arg-type]


def _is_range(value: Any) -> bool:
    return isinstance(value, list)


def _between(value: Any, share: float) -> Any:
    """Return a value of a range, or a single value as it is.

    Raises:
        RecipeError: a list that is not a range.

    """
    if not _is_range(value):
        return value
    if [_is_number(end) for end in value] != [True, True] or not value[0] <= value[1]:
        raise RecipeError(f"{value}: a range is two numbers, the lower first")
    return value[0] + share * (value[1] - value[0])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class TrainConfig(BaseModel):
    """A training run. The same config and the same seed give the same model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    architecture: str = "res_cae"
    network: dict[str, Any] = Field(default_factory=dict, description="arguments of the network")
    start: str | None = Field(
        None, description="model the weights begin with: a shipped name, or a model folder"
    )
    seed: int = Field(0, ge=0)
    chip: int = Field(96, gt=0, description="side of a chip in pixels")
    batch_size: int = Field(16, gt=0)
    cycles: list[PositiveInt] = Field(
        min_length=1, description="steps of each cycle of the learning rate"
    )
    schedule: Literal["linear", "cosine"] = Field(
        "linear", description="how a cycle's rate falls to zero"
    )
    warmup: int = Field(500, gt=0)
    learning_rate: float = Field(1e-3, gt=0)
    loss: str = "relative"
    clip: float = Field(0.5, gt=0, description="largest norm of a gradient")
    ema: float = Field(0.999, gt=0, lt=1, description="decay of the averaged weights")
    precision: str = Field("bf16-mixed", description="Lightning's name of a precision")
    validate_every: int = Field(1000, gt=0, description="steps between validations and checkpoints")
    patience: int | None = Field(
        None, gt=0, description="validations without gain before an early stop"
    )
    tile: int = Field(1536, gt=0, description="largest tile side by default, for the card")
    limits: list[str] = Field(
        default_factory=list, description="when not to use the model, for the card"
    )
    validation: list[str] = Field(
        min_length=1, description="files kept out of training, below the scenes folder"
    )
    exclude: list[str] = Field(
        default_factory=list, description="files of the same ground as validation's"
    )
    groups: list[SceneGroup] = Field(min_length=1)
    leaves: Leaves = Leaves()
    degradations: list[RandomDegradation] = Field(
        default_factory=lambda: [
            RandomDegradation.model_validate({"kind": "gaussian", "sigma": [0, 60]})
        ],
        description="applied to each chip, in this order",
    )

    @field_validator("architecture")
    @classmethod
    def _architecture(cls, value: str) -> str:
        return _one_of(value, ARCHITECTURES)

    @field_validator("loss")
    @classmethod
    def _loss(cls, value: str) -> str:
        return _one_of(value, LOSSES)

    @property
    def channels(self) -> int:
        """Components the network takes at once."""
        return int(self.network.get("channels", 1))

    @property
    def shares_gain(self) -> bool:
        """Whether these components have one gain."""
        return bool(getattr(ARCHITECTURES[self.architecture], "shares_gain", True))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file; raise ``TrainingError`` with the first error in it."""
        return read_toml(path, cls, TrainingError)


def _one_of(value: str, known: dict[str, Any]) -> str:
    if value not in known:
        raise ValueError(f"not among {', '.join(known)}")
    return value
