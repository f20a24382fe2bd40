"""Options for scenes of one kind, as TOML."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from geoae.corrections.chain import STEPS as CORRECTION_STEPS
from geoae.errors import RecipeError
from geoae.radiometry.backscatter import SpeckleKind
from geoae.radiometry.sharpness import HIGHEST_MTF, LOWEST_MTF
from geoae.radiometry.speckle import SPECKLE
from geoae.resources import shipped
from geoae.system.config import read_toml

__all__ = ["PSD", "SHARPEN", "STEPS", "Bands", "Fill", "Recipe", "Sharpen", "Sigma", "Steps"]


# No raster that GDAL reads has more: a range beyond would only fill memory.
MOST = 65_536


RANGE = re.compile(r"\s*([0-9]{1,6})\s*(?:-\s*([0-9]{1,6})\s*)?")


def _bands(value: Any) -> Any:
    """Parse bands, ``"1-3,7"``, ``7`` or a list with such ranges, into a list of numbers."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    parts = value.split(",") if isinstance(value, str) else [value] if whole else value
    if not isinstance(parts, list):
        return value
    found: list[Any] = []
    for part in parts:
        found += _range(part) if isinstance(part, str) else [part]
    if any(isinstance(band, int) and band < 1 for band in found):
        raise ValueError("bands count from 1")
    return found


def _range(text: str) -> Sequence[int]:
    """Parse the bands of ``"3"`` or ``"1-3"``."""
    match = RANGE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no band; give numbers and ranges like 1-3,7")
    low, high = int(match[1]), int(match[2] or match[1])
    if not low <= high < MOST:
        raise ValueError(
            f"{text!r} is no range of bands; give the lower first, and at most {MOST - 1}"
        )
    return range(low, high + 1)


def _once(bands: list[int]) -> list[int]:
    return list(dict.fromkeys(bands))


def _sigma(value: Any) -> Any:
    """Parse noise: ``"auto"``, ``"12.5"``, or one value for each restored band, ``"3.2,4,5.1"``."""
    if isinstance(value, bool):
        raise ValueError(
            "a yes or no is no noise; give auto, DN like 12.5, or DN of each restored band like"
            " 3.2,4,5.1"
        )
    if not isinstance(value, str) or value == "auto":
        return value
    try:
        levels = [float(part) for part in value.split(",")]
    except ValueError as error:
        raise ValueError(
            f"{value!r} is no noise; give auto, DN like 12.5, or DN of each restored band like"
            " 3.2,4,5.1"
        ) from error
    return levels if "," in value else levels[0]


def _fill(value: Any) -> Any:
    """Parse a nodata value, as an integer where it is one. NaN and infinity give None.

    They are never measurements, so they need not be declared.
    """
    if value is None:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is no nodata value; give a number like 0 or -9999")
    try:
        exact = (
            int(value)
            if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", value)
            else value
        )
        number = exact if isinstance(exact, int) else float(exact)
    except ValueError as error:
        raise ValueError(f"{value!r} is no nodata value; give a number like 0 or -9999") from error
    if not math.isfinite(number):
        return None
    # A larger whole number, like the least float32, is one of floating point.
    return int(number) if -(2**63) <= number < 2**64 and number == int(number) else float(number)


# No DN is louder: see ``BEYOND`` in radiometry/validity/nodata.py.
Level = Annotated[float, Field(ge=0, le=1e30, allow_inf_nan=False)]
Sigma = Annotated[
    Level | Annotated[list[Level], Field(min_length=1)] | Literal["auto"],
    BeforeValidator(_sigma, json_schema_input_type=float | list[float] | str),
]
Bands = Annotated[
    list[PositiveInt],
    Field(min_length=1),
    AfterValidator(_once),
    BeforeValidator(_bands, json_schema_input_type=list[int | str] | int | str),
]


Fill = Annotated[
    float | int | None, BeforeValidator(_fill, json_schema_input_type=float | str | None)
]
FILL = (
    "value of pixels that hold no measurement though the file does not declare it, like 0 or -9999"
)


PSD = (
    "spectrum of the noise: a known product's, like bilinear or cubic-100/30, or a file of its"
    " power spectral density that numpy.save wrote"
)


def _steps(value: Any) -> Any:
    """Parse steps: ``"auto"``, ``"none"``, or names like ``"lines,stripes"``."""
    if value == "auto":
        return None
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        return value
    parts = [str(part).strip() for part in parts]
    names = [] if parts == ["none"] else parts
    for name in names:
        if name not in CORRECTION_STEPS:
            raise ValueError(
                f"{name!r} is no step; give some of {', '.join(CORRECTION_STEPS)}, none, or auto"
            )
    return [name for name in CORRECTION_STEPS if name in names]


Steps = Annotated[
    list[str] | None, BeforeValidator(_steps, json_schema_input_type=list[str] | str | None)
]
STEPS = (
    f"what is done: some of {', '.join(CORRECTION_STEPS)}, in this order; none; auto for what the"
    " scene needs"
)


def _sharpen(value: Any) -> Any:
    """Parse sharpening: ``"auto"``, or a modulation transfer such as ``0.2`` or ``"0.2"``."""
    if value is None or value == "auto":
        return value
    try:
        mtf = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        mtf = math.nan
    if not LOWEST_MTF <= mtf <= HIGHEST_MTF:
        raise ValueError(
            f"{value!r} is no blur that can be undone; give the sensor's modulation transfer at the"
            f" Nyquist frequency, {LOWEST_MTF} to {HIGHEST_MTF}, or auto"
        )
    return mtf


Sharpen = Annotated[
    float | Literal["auto"] | None,
    BeforeValidator(_sharpen, json_schema_input_type=float | str | None),
]
SHARPEN = (
    "blur to undo: the sensor's modulation transfer at the Nyquist frequency, like 0.2; auto to"
    " measure it; without it nothing is sharpened"
)


class Recipe(BaseModel):
    """Options shared by scenes of one kind. A flag has priority over a recipe, a recipe over the
    card.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    model: str | None = Field(None, description="shipped model's name, or path of a model folder")
    sigma: Sigma | None = Field(
        None, description="noise in DN, of all restored bands or of each; or auto"
    )
    psd: str | None = Field(None, description=PSD)
    steps: Steps | None = Field(None, description=STEPS)
    speckle: SpeckleKind | None = Field(None, description=SPECKLE)
    sharpen: Sharpen = Field(None, description=SHARPEN)
    tile: int | None = Field(None, gt=0, description="largest side of a tile in pixels")
    overlap: int | None = Field(None, gt=0, description="least overlap of tiles in pixels")
    bands: Bands | None = Field(
        None, description="1-based bands to restore, like 1-3,7; others are copied"
    )
    nodata: Fill = Field(None, description=FILL)
    tta: bool | None = Field(
        None, description="self-ensemble: the mean over eight turns and flips, eight times as slow"
    )
    profile: Literal["cog", "gtiff"] | None = Field(None, description="kind of file written")
    ramp: Literal["linear", "smooth"] | None = Field(
        None, description="shape of the blend between tiles"
    )

    @property
    def chosen_steps(self) -> tuple[str, ...]:
        """Steps that are looked for and taken before the network.

        Where the user names none, these are all; the model ``identity`` takes none by itself.
        Bursts are not looked for in speckle of linear pixels, where every bright line is noisier.
        """
        default = () if self.model == "identity" else CORRECTION_STEPS
        steps = default if self.steps is None else tuple(self.steps)
        multiplicative = self.speckle not in (None, "db")
        return tuple(step for step in steps if not (multiplicative and step == "bursts"))

    def known_sigma(self, source: str, restored: Sequence[int]) -> list[float] | None:
        """Return the noise of each restored band where the user gives it.

        Args:
            source: name of the scene, for the message.
            restored: 1-based bands that are restored. Several values of ``sigma`` follow the order
                of ``bands`` where these are given.

        Returns:
            Standard deviation in DN of each restored band; None where it is to be estimated.

        Raises:
            RecipeError: there is not one value for each band.

        """
        if self.sigma is None or self.sigma == "auto":
            return None
        if isinstance(self.sigma, float):
            return [self.sigma] * len(restored)
        named = [band for band in self.bands or restored if band in restored]
        if len(self.sigma) != len(named):
            raise RecipeError(
                f"{source}: sigma has {len(self.sigma)} values, but bands"
                f" {', '.join(map(str, named))} are restored; give one for each, or one for all"
            )
        levels = dict(zip(named, self.sigma, strict=True))
        return [levels[band] for band in restored]

    @classmethod
    def read(cls, name: str) -> Self:
        """Read the recipe of a shipped name or of a TOML file; raise ``RecipeError``."""
        inside = shipped("tiles") / f"{name}.toml"
        path = inside if inside.exists() else Path(name)
        if not path.exists():
            names = ", ".join(sorted(file.stem for file in shipped("tiles").glob("*.toml")))
            raise RecipeError(
                f"{name}: no such recipe; shipped are {names}, or give the path of a TOML file"
            )
        return read_toml(path, cls, RecipeError)
