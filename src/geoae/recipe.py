"""How scenes of a kind are tiled and restored, as TOML; what a recipe leaves out, the card decides."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from geoae.errors import GeoaeError, RecipeError
from geoae.explain import explain
from geoae.resources import shipped

__all__ = ["Recipe", "read_toml"]

M = TypeVar("M", bound=BaseModel)


class Recipe(BaseModel):
    """Options shared by scenes of one kind. A flag beats a recipe, a recipe beats the card."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    model: str | None = Field(None, description="shipped model's name, or path of a model folder")
    sigma: Annotated[float, Field(ge=0, allow_inf_nan=False)] | Literal["auto"] | None = Field(
        None, description="noise in DN, or auto"
    )
    tile: int | None = Field(None, gt=0, description="largest side of a tile in pixels")
    overlap: int | None = Field(None, gt=0, description="least overlap of tiles in pixels")
    bands: list[PositiveInt] | None = Field(
        None, min_length=1, description="1-based bands to restore; others are copied"
    )
    tta: bool | None = Field(
        None, description="self-ensemble: the mean over eight turns and flips, eight times as slow"
    )
    profile: Literal["cog", "gtiff"] | None = Field(None, description="kind of file written")
    ramp: Literal["linear", "smooth"] | None = Field(None, description="shape of the blend between tiles")

    @property
    def known_sigma(self) -> float | None:
        """Noise in DN where it was given, None where it is to be estimated."""
        return self.sigma if isinstance(self.sigma, float) else None

    @classmethod
    def read(cls, name: str) -> Self:
        """The recipe of a shipped name or of a TOML file; raises ``RecipeError``."""
        inside = shipped("tiles") / f"{name}.toml"
        path = inside if inside.exists() else Path(name)
        if not path.exists():
            names = ", ".join(sorted(file.stem for file in shipped("tiles").glob("*.toml")))
            raise RecipeError(f"{name}: no such recipe; shipped are {names}, or give the path of a TOML file")
        return read_toml(path, cls, RecipeError)


def read_toml(path: Path, model: type[M], failure: type[GeoaeError]) -> M:
    """The ``model`` that the TOML file ``path`` describes; raises ``failure`` with the first thing wrong."""
    try:
        return model.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise failure(f"{path}: cannot be read ({error.strerror}); name a TOML file") from error
    except ValidationError as error:
        raise failure(f"{path}: {explain(error, model)}") from error
    except (ValueError, RecursionError) as error:  # no text, no TOML, numbers of thousands of digits
        raise failure(f"{path}: not TOML: {error}") from error
