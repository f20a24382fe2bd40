"""Degrade a raster file in a known way, so that a restoration can be compared with the original."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from geoae.audit.fidelity import compare
from geoae.errors import InputError, OutputError, RecipeError
from geoae.radiometry.subtract import subtract
from geoae.raster.dataset import open_raster
from geoae.raster.geotiff import assemble
from geoae.raster.parts import PartStore
from geoae.raster.scene import Scene
from geoae.raster.sidecars import publish, write_aux
from geoae.raster.target import refuse_target
from geoae.simulation import Degradation, build
from geoae.system.config import read_toml
from geoae.tiling.plan import Slab
from geoae.tiling.window import Window
from geoae.types import Nodata, Pixels

__all__ = ["DegradeConfig", "apply_degradations", "degrade"]


class Step(BaseModel):
    """One degradation: its ``kind`` and its parameters, in DN, one for all bands or a list of one
    each.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        try:
            self.build()
        except RecipeError as error:
            raise ValueError(str(error)) from error
        return self

    def build(self) -> Degradation:
        """Build the degradation."""
        return build(self.kind, self.model_extra or {})


class DegradeConfig(BaseModel):
    """Degradations of a scene, in their order. The same seed gives the same result."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, ge=0)
    degradations: list[Step] = Field(min_length=1)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file; raise ``RecipeError`` with the first error in it."""
        return read_toml(path, cls, RecipeError)


def apply_degradations(
    pixels: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    nodata: Sequence[Nodata],
    steps: list[Degradation],
    rng: np.random.Generator,
) -> NDArray[Any]:
    """Apply degradations to pixels, and keep their dtype: the result is rounded and saturates.

    Invalid pixels keep their value and do not influence others: the degradations see the mean of
    the band in their place.

    Args:
        pixels: ``(band, row, col)`` in DN.
        mask: of the same shape, True where valid; None where all pixels are.
        nodata: nodata values of each band, which no valid pixel may take.
        steps: degradations, in their order.
        rng: source of random numbers.

    Returns:
        Degraded pixels ``(band, row, col)`` in the dtype of ``pixels``.

    Raises:
        RecipeError: parameters do not fit the number of bands.

    """
    valid = np.ones(pixels.shape, dtype=bool) if mask is None else mask
    values = pixels.astype(np.float64)
    means = [
        band[there].mean() if there.any() else 0.0
        for band, there in zip(values, valid, strict=True)
    ]
    start = damaged = np.where(valid, values, np.array(means)[:, None, None])
    for step in steps:
        damaged = step(damaged, rng)
    removed = (start - damaged).astype(np.float32)
    bands = zip(pixels, removed, valid, nodata, strict=True)
    return np.stack([subtract(*band) for band in bands])


def degrade(
    source: str,
    config: DegradeConfig,
    target: Path,
    *,
    overwrite: bool = False,
    nodata: float | int | None = None,
) -> None:
    """Write a degraded copy of a raster: measured bands are degraded, everything else stays as it
    is.

    The whole scene is held in memory, some 40 bytes per pixel and band.

    Args:
        source: raster to degrade: anything GDAL opens by name.
        config: degradations and seed.
        target: GeoTIFF to write.
        overwrite: whether to replace a target that exists.
        nodata: value of pixels that stay unchanged although the file does not declare them invalid.

    Raises:
        InputError: the source cannot be read or has no measured band.
        OutputError: the target exists or cannot be written.
        RejectedError: more than the pixels of the measured bands has changed; no file is kept.
        RecipeError: parameters do not fit the scene.

    """
    refuse_target(source, target)
    if target.exists() and not overwrite:
        raise OutputError(f"{target}: exists; choose another -o, or give --overwrite")
    if not target.parent.is_dir():
        raise OutputError(f"{target.parent}: no such folder; create it or choose another -o")
    scene = Scene.open(source, fill=nodata)
    if not scene.bands:
        raise InputError(
            f"{source}: has no measured band ({', '.join(set(scene.copied.values()))}); name"
            " another scene"
        )
    steps = [step.build() for step in config.degradations]
    with scene.reader() as reader:
        pixels, mask = reader.read(Window(0, 0, scene.height, scene.width))
    pixels = apply_degradations(
        pixels, mask, scene.nodata, steps, np.random.default_rng(config.seed)
    )
    _write(scene, pixels, target, {"DEGRADATIONS": config.model_dump_json()})


def _write(scene: Scene, pixels: Pixels, target: Path, tags: dict[str, str]) -> None:
    """Write a copy of ``scene`` whose restored bands are ``pixels``."""
    whole = Slab(0, 0, 1, Window(0, 0, scene.height, scene.width))
    # The next run for this target removes what a killed run leaves here.
    folder = target.with_name(f".{target.name}.degrade")
    with PartStore.open(
        folder, {"degraded": tags}, bands=len(pixels), dtype=scene.dtype, fresh=True
    ) as store:
        try:
            with store.writer(whole) as part:
                part.write(whole.window, pixels)
            draft = folder / f"{target.name}.part"
            assemble(
                scene.source,
                store.parts([whole]),
                scene.bands,
                draft,
                profile="gtiff",
                tags=tags,
                domain="GEOAE_DEGRADED",
                mistagged=scene.mistagged,
            )
            with open_raster(scene.source) as dataset:
                write_aux(dataset, draft)
            compare(scene, str(draft), str(target))
            publish(draft, target, scene.files)
        finally:
            store.remove()
