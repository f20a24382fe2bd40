"""The card of a model, and the folders in which models are found."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from geoae.errors import ModelError
from geoae.resources import shipped
from geoae.system.config import explain

__all__ = ["CARD", "WEIGHTS", "Card", "is_known", "model_folder", "shipped_models"]

WEIGHTS = "weights.safetensors"
CARD = "card.json"


class Card(BaseModel):
    """Description of a model, kept as ``card.json`` beside its weights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    architecture: str
    network: dict[str, Any] = Field(description="arguments of the network")
    channels: int = Field(gt=0, description="components the network takes at once")
    shares_gain: bool = Field(
        True, description="whether these components have one gain; otherwise each has its own"
    )
    multiple: int = Field(gt=0, description="total down-sampling; tiles keep to this grid")
    halo: int = Field(ge=0, description="measured, in pixels; see networks/halo.py")
    field: int = Field(ge=0, description="theoretical half receptive field in pixels")
    tile: int = Field(gt=0, description="largest tile side by default")
    parameters: int
    kflop_per_pixel: float = Field(description="of one group of components; 1 MAC = 2 FLOP")
    digest: str = Field(description="sha256 of the weights file")
    start: str = Field("", description="model whose weights it began with; empty for none")
    trained_on: list[str] = Field(
        default_factory=list, description="patterns of the training scenes, below their folder"
    )
    figures: dict[str, Any] = Field(
        default_factory=dict, description="what was measured, where and how"
    )
    limits: list[str] = Field(default_factory=list, description="when not to use it")
    verified: dict[str, Any] = Field(
        default_factory=dict, description="written by geoae verify --into-card"
    )
    licence: str = "Apache-2.0"

    def kflop(self, bands: int) -> float:
        """Thousands of operations (FLOP) per pixel and band of a scene of ``bands`` bands."""
        if not self.shares_gain:  # components that a scene lacks are not computed
            return self.kflop_per_pixel / self.channels
        groups = -(-bands // self.channels)
        return groups * self.kflop_per_pixel / bands

    @property
    def is_verified(self) -> bool:
        """Whether ``geoae verify`` has passed every check with these very weights."""
        return self.verified.get("digest") == self.digest

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the card in ``folder``; raise ``ModelError`` where there is none or it is wrong."""
        try:
            return cls.model_validate_json((folder / CARD).read_text())
        except OSError as error:
            raise ModelError(
                f"{folder}: has no {CARD}; a model is a folder with {CARD} and {WEIGHTS}"
            ) from error
        except UnicodeDecodeError as error:
            raise ModelError(
                f"{folder / CARD}: is not text; copy the model folder again"
            ) from error
        except ValidationError as error:
            raise ModelError(f"{folder / CARD}: {explain(error, cls)}") from error


def shipped_models() -> list[Card]:
    """Read the cards of the models that geoae ships."""
    return [Card.read(path.parent) for path in sorted(shipped("models").glob(f"*/{CARD}"))]


def is_known(name: str) -> bool:
    """Whether a name is that of a model that geoae has, which goes before a path."""
    return name == "identity" or _is_shipped(name)


def _is_shipped(name: str) -> bool:
    return (shipped("models") / name / CARD).exists()


def model_folder(name: str) -> Path:
    """Find the folder of a shipped model by its name, or of a path; raise ``ModelError``."""
    if _is_shipped(name):
        return shipped("models") / name
    if Path(name).is_dir():
        return Path(name)
    names = ", ".join([card.name for card in shipped_models()] + ["identity"])
    if (shipped("tiles") / f"{name}.toml").exists():
        raise ModelError(f"{name}: is a recipe and no model; give recipe {name} (--recipe {name})")
    raise ModelError(
        f"{name}: no such model; shipped are {names}, or give the path of a model folder"
    )
