"""Where a model is put to the test: a scene in memory, and the engine's loop over it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geoae.diagnosis.sampling import sample
from geoae.errors import InputError
from geoae.models.restorer import Restorer
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.prepare import build_work
from geoae.pipeline.recipe import Recipe
from geoae.radiometry.fill import fill
from geoae.radiometry.scale import Scale
from geoae.raster.memory import ArraySink, ArraySource, write_into
from geoae.raster.scene import Scene
from geoae.simulation.dead_leaves import dead_leaves
from geoae.tiling.window import Window
from geoae.types import Mask, Pixels
from geoae.verification.candidate import Subject

__all__ = ["WHOLE", "Bench", "overlap", "restored", "unscaled"]


# A tile that no scene here fills.
WHOLE = 1 << 20
SYNTHETIC = "synthetic"
# Bands of a scene at most, unless the model takes more at once.
BANDS = 3
# The side of a scene at least, for means that are worth something.
SIDE = 256
# Noise in model units that a model is told of at least, where its own work is looked at.
LEVEL = 0.1
# Noise added to the synthetic scene, of its range.
NOISE = 25 / 255


@dataclass(frozen=True)
class Bench:
    """A ``subject`` and a scene to try it on: ``pixels`` (band, row, col) float32 in DN, all valid.

    ``scale`` takes them to model units; ``scene`` says what they are.
    """

    subject: Subject
    pixels: NDArray[np.float32]
    scale: Scale
    scene: str

    @classmethod
    def of(cls, subject: Subject, scene: str | None) -> "Bench":
        """The middle of the raster ``scene``, or a synthetic scene, always the same.

        Large enough for several tiles each way. Raises ``InputError`` where the raster has nothing
        to restore there.
        """
        common = overlap(subject.restorer)
        height, width = max(SIDE, 3 * common) + 13, max(SIDE, 2 * common) + 6
        bands = max(subject.restorer.channels, BANDS if scene else 2)
        pixels = _middle(scene, bands, height, width) if scene else _synthetic(bands, height, width)
        scale = subject.scale_of(sample(ArraySource(pixels).read, height, width))
        return cls(subject, pixels, scale, scene or SYNTHETIC)

    @property
    def restorer(self) -> Restorer:
        """The model."""
        return self.subject.restorer

    @cached_property
    def units(self) -> NDArray[np.float32]:
        """The scene (component, row, col) in model units."""
        return self.scale.to_model(self.pixels)

    @cached_property
    def leading(self) -> tuple[NDArray[np.float32], Scale]:
        """The first components that the model takes at once, and a map that leaves them as they
        are.

        It tells of noise enough for the model to do something, or a clean scene would show nothing.
        """
        channels = self.restorer.channels
        return self.units[:channels], unscaled(np.maximum(self.scale.sigma[:channels], LEVEL))

    @cached_property
    def whole(self) -> NDArray[np.float32]:
        """``leading`` restored as one tile."""
        return restored(self.restorer, *self.leading)


def overlap(restorer: Restorer) -> int:
    """The least overlap of tiles that the halo allows; two of them are the least tile."""
    return -(-(2 * restorer.halo + 1) // restorer.multiple) * restorer.multiple


def unscaled(sigma: NDArray[np.float64]) -> Scale:
    """A map for pixels that already are in model units, with noise ``sigma`` (component,)."""
    eye = np.eye(len(sigma))
    return Scale(np.zeros(len(sigma)), eye, eye, sigma, sigma, np.zeros(len(sigma)))


def restored(
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
    """Dead leaves under noise of ``NOISE`` of their range, around some thousands of DN."""
    rng = np.random.default_rng(0)
    scene = dead_leaves(rng, bands, max(height, width))[:, :height, :width]
    low, high = np.percentile(scene, (0.5, 99.5))
    scene = 1000 + 3000 * np.clip((scene - low) / (high - low), 0, 1)
    return (scene + rng.normal(0, NOISE * 3000, scene.shape)).astype(np.float32)


def _middle(source: str, bands: int, height: int, width: int) -> NDArray[np.float32]:
    """The middle of a raster's first measured bands; a smaller one continues as its reflection."""
    scene = Scene.open(source)
    if not scene.bands:
        raise InputError(f"{source}: has no measured band to verify a model on; name another scene")
    scene = Scene.open(source, scene.bands[:bands])
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
