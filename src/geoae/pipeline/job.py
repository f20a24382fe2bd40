"""The description of one restoration, as strings and numbers."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from geoae.errors import RecipeError
from geoae.pipeline.recipe import (
    FILL,
    PSD,
    SHARPEN,
    STEPS,
    Bands,
    Fill,
    Recipe,
    Sharpen,
    Sigma,
    Steps,
)
from geoae.radiometry.backscatter import SpeckleKind
from geoae.radiometry.speckle import SPECKLE
from geoae.system.config import explain
from geoae.system.files import is_local, to_gdal_name

__all__ = ["Job", "ModelSpec", "resolve_options", "target_of"]

# A variable of a netCDF or HDF file as GDAL addresses it: NETCDF:"two.nc":no2.
VARIABLE = re.compile(r'^[A-Za-z]\w*:(?:[A-Z]\w*:)?"?(?P<file>[^"]+?)"?:(?P<name>[^"]+)$')
# A page of a TIFF.
PAGE = re.compile(r"^GTIFF_DIR:(?P<number>\d+):(?P<file>.+)$")
DEFAULT_MODEL = "res-cae"


class Job(BaseModel):
    """One scene to restore. All fields are strings or numbers, so a job can be sent to any
    worker.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="scene to restore: anything GDAL opens by name")
    target: str | None = Field(
        None, description="file to write; by default NAME_restored.tif beside the source"
    )
    model: str | None = Field(None, description="shipped model's name, or path of a model folder")
    sigma: Sigma | None = Field(
        None, description="noise in DN, of all restored bands or of each; or auto"
    )
    psd: str | None = Field(None, description=PSD)
    steps: Steps | None = Field(None, description=STEPS)
    speckle: SpeckleKind | None = Field(None, description=SPECKLE)
    sharpen: Sharpen = Field(None, description=SHARPEN)
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="arithmetic of the network"
    )
    recipe: str | None = Field(None, description="shipped recipe's name, or path of a TOML file")
    tile: int | None = Field(None, gt=0, description="largest side of a tile in pixels")
    overlap: int | None = Field(None, gt=0, description="least overlap of tiles in pixels")
    batch_size: int | None = Field(None, gt=0, description="samples of one forward pass")
    bands: Bands | None = Field(
        None, description="1-based bands to restore, like 1-3,7; others are copied"
    )
    nodata: Fill = Field(None, description=FILL)
    tta: bool | None = Field(
        None, description="self-ensemble: the mean over eight turns and flips, eight times as slow"
    )
    profile: Literal["cog", "gtiff"] | None = Field(None, description="kind of file written")
    overwrite: bool = Field(False, description="replace a target that is another result")
    fresh: bool = Field(False, description="discard what an interrupted run left")
    strict: bool = Field(
        False, description="refuse a scene of which the output cannot hold something"
    )

    @field_validator("target", mode="after")
    @classmethod
    def _name_as_gdal_does(cls, target: str | None) -> str | None:
        return to_gdal_name(target) if target else target

    @classmethod
    def checked(cls, **options: object) -> Self:
        """Build a job from options of users, paths as strings or ``Path``.

        Raises:
            RecipeError: an option is wrong; the message names the first.

        """
        given = {
            key: os.fspath(value) if isinstance(value, os.PathLike) else value
            for key, value in options.items()
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise RecipeError(explain(error, cls)) from error


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The model and how it computes: all that a worker needs to load it."""

    model: str
    """Shipped name, or path of a model folder."""
    tta: bool = False
    """Whether to average over eight rotations and flips."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: str = "auto"
    """auto, fp32 or bf16."""
    batch_size: int | None = None
    """Samples of one forward pass; None for what suits the device."""
    denoises: bool = True
    """Whether the model is used at all: corrections go without it."""

    @classmethod
    def of(cls, job: Job, options: Recipe) -> Self:
        """Return the model of a job.

        Args:
            job: the job.
            options: its resolved options.

        """
        denoises = options.steps is None or "noise" in options.steps
        how = job.device, job.precision, job.batch_size
        return cls(str(options.model), bool(options.tta), *how, denoises)


def target_of(job: Job) -> str:
    """Return the path of the output of ``job``; in a folder, the file has its default name."""
    target = job.target
    if not target:
        return _default_target(job.source)
    return f"{target.rstrip('/')}/{_default_name(job.source)}" if is_folder(target) else target


def is_folder(target: str) -> bool:
    """Whether an output of this name goes into a folder, by its last character or on the disk."""
    try:
        return target.endswith("/") or (is_local(target) and Path(target).is_dir())
    except OSError:  # a name too long, which is refused later
        return False


def _default_name(source: str) -> str:
    """Return the name of an output that goes into a folder, whatever the source is."""
    if page := PAGE.match(source):
        return f"{Path(page['file']).stem}_page{page['number']}_restored.tif"
    if inside := VARIABLE.match(source):
        name = re.sub(r"[^\w.-]+", "_", inside["name"]).strip("_")
        return f"{Path(inside['file']).stem}_{name}_restored.tif"
    path = Path(source.split("?")[0])
    if not path.stem:
        raise RecipeError(f"{source}: names no file; give a raster")
    return f"{path.stem}_restored.tif"


def _default_target(source: str) -> str:
    # GTIFF_DIR:1:scene.tif and the like are names within a file.
    if (inside := VARIABLE.match(source)) and Path(inside["file"]).is_file():
        return str(Path(inside["file"]).with_name(_default_name(source)))
    if not is_local(source) or (":" in source and not Path(source).exists()):
        raise RecipeError(
            f"{source}: is not a local file, so there is no folder beside it; name the output"
            " with -o"
        )
    name = _default_name(source)
    return str(Path(source).with_name(name))


def resolve_options(job: Job) -> Recipe:
    """Resolve the options of a job: its own come before those of its recipe, and these before
    defaults.

    Raises:
        RecipeError: the recipe cannot be read, or options contradict each other.

    """
    recipe = Recipe.read(job.recipe) if job.recipe else Recipe()
    asked = job.model_dump(include=set(Recipe.model_fields), exclude_none=True)
    if isinstance(recipe.sigma, list) and "bands" in asked and "sigma" not in asked:
        raise RecipeError(
            f"{job.recipe}: gives the noise of each of its own bands; with --bands give --sigma too"
        )
    defaults = {"model": DEFAULT_MODEL, "sigma": "auto", "profile": "cog"}
    options = Recipe.model_validate(defaults | recipe.model_dump(exclude_none=True) | asked)
    if options.sharpen is not None and options.speckle is not None:
        raise RecipeError(
            f"{job.source}: speckle of radar is not sharpened; leave out --sharpen or --speckle"
        )
    return options
