"""The test bench of a model: a scene in memory, and the engine's loop over it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.sampling import sample
from geoae.errors import InputError
from geoae.models.restorer import Restorer
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.preparation.prepare import build_work
from geoae.pipeline.recipe import Recipe
from geoae.radiometry.scale import Scale
from geoae.radiometry.spectrum import known_shape
from geoae.radiometry.validity.fill import fill
from geoae.raster.memory import ArraySink, ArraySource, write_into
from geoae.raster.scene import Scene
from geoae.simulation.dead_leaves import dead_leaves
from geoae.tiling.window import Window
from geoae.types import Mask, Pixels
from geoae.verification.candidate import Subject

__all__ = ["WHOLE", "Bench", "identity_scale", "overlap", "restore_array"]


# A tile side that exceeds every scene here: the scene is one tile.
WHOLE = 1 << 20
SYNTHETIC = "synthetic"
# Most bands of a scene, unless the model takes more at once.
BANDS = 3
# Least side of a scene in pixels, so that means are meaningful.
SIDE = 256
# Least noise level in model units that is given to a model in checks of its own output.
LEVEL = 0.1
# Noise added to the synthetic scene, as a share of its range.
NOISE = 25 / 255
# Noise that a model which takes a spectrum is told in checks of its own output.
COLOURED = "binned"


@dataclass(frozen=True)
class Bench:
    """A model and a scene to test it on."""

    subject: Subject
    """The model."""
    pixels: NDArray[np.float32]
    """Pixels ``(band, row, col)`` in DN, all valid."""
    scale: Scale
    """The map from DN to model units."""
    scene: str
    """Name of the scene, for the report."""

    @classmethod
    def of(cls, subject: Subject, scene: str | None, nodata: float | int | None = None) -> "Bench":
        """Read the middle of a raster, or make the synthetic scene, which is always the same.

        The scene is large enough for several tiles in each direction.

        Args:
            subject: the model.
            scene: raster to read; None for the synthetic scene.
            nodata: value of invalid pixels that the raster does not declare, in DN.

        Raises:
            InputError: the raster cannot be read, or there is nothing to restore in its middle.

        """
        common = overlap(subject.restorer)
        height, width = max(SIDE, 3 * common) + 13, max(SIDE, 2 * common) + 6
        bands = max(subject.restorer.channels, BANDS if scene else 2)
        pixels = (
            _middle(scene, bands, height, width, nodata)
            if scene
            else _synthetic(bands, height, width)
        )
        scale = subject.scale_of(sample(ArraySource(pixels).read, height, width))
        return cls(subject, pixels, scale, scene or SYNTHETIC)

    @property
    def restorer(self) -> Restorer:
        """The model."""
        return self.subject.restorer

    @cached_property
    def units(self) -> NDArray[np.float32]:
        """The scene ``(component, row, col)`` in model units."""
        return self.scale.to_model(self.pixels)

    @cached_property
    def leading_components(self) -> tuple[NDArray[np.float32], Scale]:
        """The first components, as many as the model takes at once, and a map that leaves them as
        they are.

        The map declares enough noise for the model to change something; with the noise of a clean
        scene the checks would show nothing.
        """
        channels = self.restorer.channels
        sigma = np.maximum(self.scale.sigma[:channels], LEVEL)
        return self.units[:channels], replace(identity_scale(sigma), shape=self.shape(channels))

    def shape(self, components: int) -> NDArray[np.float64] | None:
        """Return the spectrum that a model which takes one is told, ``(components, 9)``.

        It differs between rows and columns. None for the other models.
        """
        if not self.restorer.takes_spectrum:
            return None
        return np.tile(known_shape(COLOURED), (components, 1))

    @cached_property
    def whole(self) -> NDArray[np.float32]:
        """``leading_components``, restored as one tile."""
        return restore_array(self.restorer, *self.leading_components)


def overlap(restorer: Restorer) -> int:
    """Return the least overlap of tiles that the halo allows; a tile must be at least twice as
    large.
    """
    return -(-(2 * restorer.halo + 1) // restorer.multiple) * restorer.multiple


def identity_scale(sigma: NDArray[np.float64]) -> Scale:
    """Return the identity map, for pixels in model units, with noise ``sigma`` (component,)."""
    eye = np.eye(len(sigma))
    return Scale(np.zeros(len(sigma)), eye, eye, sigma, sigma, np.zeros(len(sigma)))


def restore_array(
    restorer: Restorer,
    pixels: Pixels,
    scale: Scale,
    *,
    tile: int = WHOLE,
    mask: Mask | None = None,
    nodata: float | None = None,
    ramp: str = "smooth",
) -> Pixels:
    """``pixels`` (band, row, col) as the engine restores them, in tiles of at most ``tile`` px."""
    source = ArraySource(pixels, mask, [nodata] * len(pixels))
    work = build_work(Recipe(tile=tile, ramp=ramp), restorer, source, scale)
    canvas = ArraySink(np.zeros_like(pixels))
    restore_slabs(work, source.read, list(work.plan.slabs()), write_into(canvas))
    return canvas.pixels


def _synthetic(bands: int, height: int, width: int) -> NDArray[np.float32]:
    """Make dead leaves of some thousands of DN, with noise of ``NOISE`` of their range."""
    rng = np.random.default_rng(0)
    scene = dead_leaves(rng, bands, max(height, width))[:, :height, :width]
    low, high = np.percentile(scene, (0.5, 99.5))
    scene = 1000 + 3000 * np.clip((scene - low) / (high - low), 0, 1)
    return (scene + rng.normal(0, NOISE * 3000, scene.shape)).astype(np.float32)


def _middle(
    source: str, bands: int, height: int, width: int, nodata: float | int | None
) -> NDArray[np.float32]:
    """Read the middle of a raster's first measured bands; a smaller raster is continued by
    reflection.
    """
    scene = Scene.open(source, fill=nodata)
    if not scene.bands:
        raise InputError(f"{source}: has no measured band to verify a model on; name another scene")
    scene = Scene.open(source, scene.bands[:bands], nodata)
    window = Window((scene.height - height) // 2, (scene.width - width) // 2, height, width)
    with scene.reader() as opened:
        pixels, mask = opened.read(window)
    if mask is not None:
        if not mask.any(axis=(1, 2)).all():
            raise InputError(
                f"{source}: has no valid pixel in its middle {height} x {width} px; name another"
                " scene"
            )
        rest = np.array(
            [band[valid].mean() for band, valid in zip(pixels, mask, strict=True)], dtype=np.float64
        )
        pixels = fill(pixels, mask, min(height, width) // 2, rest)
    if not np.ptp(pixels, axis=(1, 2)).all():
        raise InputError(
            f"{source}: its middle {height} x {width} px are one value; name another scene"
        )
    return pixels.astype(np.float32)
