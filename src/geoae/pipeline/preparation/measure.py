"""Measure a scene: its sample, its statistics, and the bands that cannot be restored."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from geoae.corrections.chain import NONE, Corrections, plan_corrections, reads_scene
from geoae.corrections.correction import cut_strips
from geoae.corrections.sharpening import AskedTransfer, plan_sharpening
from geoae.diagnosis.noise.told import find_contradicted
from geoae.diagnosis.sampling import draw_sample, is_small, read_masked
from geoae.diagnosis.statistics import SceneStatistics
from geoae.pipeline.preparation.explain import (
    SHARPENED,
    explain_contradicted,
    explain_empty,
    explain_unchanged,
    explain_unknown,
)
from geoae.radiometry.backscatter import SpeckleKind, hide_zeros, refuse_other_units
from geoae.radiometry.speckle import ONE_LOOK, Speckle
from geoae.radiometry.validity.nodata import FillValue, find_fill, read_border
from geoae.raster.scene import Scene
from geoae.system.memory import release_memory
from geoae.tiling.held import hold, is_light
from geoae.tiling.source import Source
from geoae.tiling.window import Read, windows
from geoae.types import Floats, Samples

__all__ = ["GivenNoise", "Measured", "draw", "measure", "release_leftovers"]

S = TypeVar("S", bound=Source)


@dataclass(frozen=True, eq=False, slots=True)
class GivenNoise:
    """What the user says of the noise; the rest is estimated."""

    sigma: Sequence[float] | None = None
    """Standard deviation of each restored band in DN; None to estimate it."""
    correlation: Floats | None = None
    """Normalised autocovariance of each band ``(band, 9, 9)``; None for white noise, or to estimate
    it."""
    seeks_spectrum: bool = False
    """Whether to estimate the correlation."""

    def measure(
        self, samples: Samples, kept: Sequence[int], kind: SpeckleKind | None = None
    ) -> SceneStatistics:
        """Compute the statistics of a sample of some bands, given their indices.

        With speckle the sample is that of the logarithm.

        Args:
            samples: the sample.
            kept: indices of its bands, from 0.
            kind: kind of the speckle, or None where there is none.

        """
        return SceneStatistics.of(
            samples,
            None if self.sigma is None else [self.sigma[index] for index in kept],
            None if self.correlation is None else self.correlation[list(kept)],
            seeks_spectrum=self.seeks_spectrum,
            most=None if kind is None else ONE_LOOK[kind],
        )

    def contradict(
        self,
        source: str,
        bands: Sequence[int],
        samples: Samples,
        facts: SceneStatistics,
        kind: SpeckleKind | None = None,
    ) -> list[str]:
        """Say in which bands a scene contradicts the given spectrum: one line, or none.

        Args:
            source: name of the scene.
            bands: numbers of the bands.
            samples: pairs of pixels and mask ``(band, row, col)``, of which ``facts`` are measured.
            facts: their statistics.
            kind: what pixels with speckle are; None where they have none.

        """
        if self.correlation is None or facts.correlation is None:
            return []
        most = None if kind is None else ONE_LOOK[kind]
        wrong = find_contradicted(samples, facts.correlation, facts.sigma, most)
        return explain_contradicted(source, [bands[index] for index in wrong])


@dataclass(frozen=True, eq=False, slots=True)
class Measured(Generic[S]):
    """What the sample of a scene shows."""

    scene: S
    """The scene, in which bands without any valid pixel are copied."""
    facts: SceneStatistics
    """Statistics of its restored bands, after corrections, but before sharpening."""
    fill: FillValue | None = None
    """A value that fills much of the scene, though nothing says that it is nodata."""
    empty: tuple[int, ...] = ()
    """Numbers of the bands without any valid pixel."""
    unchanged: tuple[str, ...] = ()
    """Lines on bands that will stay as they are."""
    unknown: str = ""
    """Why nothing can be restored unless the noise is given; empty where something can."""
    corrections: Corrections = NONE
    """Corrections of the restored bands."""
    speckle: Speckle | None = None
    """Logarithm of the restored bands, in which ``facts`` are measured; None for none."""
    samples: Samples = ()
    """The corrected sample in DN, where there is speckle."""
    sharpened: SceneStatistics | None = None
    """Statistics after sharpening; None for none, and ``facts`` are those before."""


def measure(
    opened: S,
    given: GivenNoise,
    steps: Collection[str] = (),
    kind: SpeckleKind | None = None,
    sharpen: AskedTransfer | None = None,
    *,
    is_noise_needed: bool,
    drawn: tuple[S, Samples] | None = None,
) -> Measured[S]:
    """Draw the sample of a scene, plan its corrections, and measure what is left.

    Args:
        opened: a scene that has bands to restore.
        given: what is known of the noise of these bands.
        steps: which corrections to look for, of ``STEPS``.
        kind: what pixels with speckle are; None where they have none.
        sharpen: what is asked for, as for ``plan_sharpening``; None for no sharpening.
        is_noise_needed: whether the model makes use of the noise.
        drawn: what ``draw`` gives, where the caller has drawn the sample; then it also tells the
            user which bands are left out.

    Raises:
        ReadError: the scene cannot be read.
        RecipeError: the given noise is louder than the scene.
        InputError: the pixels cannot be what ``kind`` says, or their blur cannot be measured.

    """
    scene, samples = drawn or draw(opened, kind)
    left_out = [band for band in opened.bands if band not in scene.bands]
    empty = tuple(left_out) if drawn is None else ()
    lines = explain_empty(scene.source, empty)
    if not scene.bands:
        return Measured(scene, SceneStatistics.none(), None, empty, tuple(lines))
    corrections, edges = _plan(scene, steps, kind, is_changed=is_noise_needed)
    fill = find_fill(samples, edges)
    if corrections.steps:
        _, samples = _sample(scene, corrections, kind)
    release_leftovers(scene)  # GDAL's blocks
    in_dn: Samples = ()
    speckle = None
    if kind is not None:
        speckle, in_dn = Speckle.of(kind, samples, scene.dtype), samples
        samples = speckle.sample_to_log(in_dn)
    facts = given.measure(samples, [opened.bands.index(band) for band in scene.bands], kind)
    speckle = speckle and speckle.with_limits(facts.sigma.tolist())
    unknown = ""
    if is_noise_needed and given.sigma is None:
        unknown = explain_unknown(scene.source, samples, facts)
        if not unknown:
            fate = "unchanged" if sharpen is None else SHARPENED
            lines += explain_unchanged(scene.source, scene.bands, samples, facts, fate)
    lines += given.contradict(scene.source, scene.bands, samples, facts, kind)
    found = Measured(scene, facts, fill, empty, tuple(lines), unknown, corrections, speckle, in_dn)
    if sharpen is None:
        return found
    return _sharpen(found, sharpen, samples, is_level_given=given.sigma is not None)


def release_leftovers(scene: Source) -> None:
    """Return memory that is free to the system, but for that of a small scene.

    The next stage takes as much again, and the system would clear each page anew.

    Args:
        scene: the scene.

    """
    size = scene.height, scene.width
    if not (is_small(*size) and is_light(len(scene.bands), *size, scene.dtype)):
        release_memory()


def draw(scene: S, kind: SpeckleKind | None = None) -> tuple[S, Samples]:
    """Draw the sample of a scene.

    Args:
        scene: the scene.
        kind: what pixels with speckle are; None where they have none.

    Returns:
        The scene, of which bands without any valid pixel are copied, and the sample of the others.

    Raises:
        ReadError: the scene cannot be read.
        InputError: the pixels cannot be what ``kind`` says.

    """
    if kind is not None:
        with scene.reader() as reader:
            samples = [
                read_masked(reader.read, window) for window in windows(scene.height, scene.width)
            ]
        refuse_other_units(kind, samples, scene.source)
    return _sample(scene, NONE, kind)


def _plan(
    scene: Source, steps: Collection[str], kind: SpeckleKind | None, *, is_changed: bool
) -> tuple[Corrections, Samples]:
    """Plan the corrections of a scene, and read its border.

    The border of an array may cost the whole array, so it is read only where pixels change: by
    corrections, or by the model as ``is_changed`` says.
    """
    with scene.reader() as reader:
        shape = scene.height, scene.width
        read = hide_zeros(kind, reader.read, *shape)
        read = _hold_file(scene, read, len(scene.bands)) if reads_scene(steps) else read
        strips = partial(cut_strips, read, len(scene.bands), *shape)
        corrections = plan_corrections(strips, *shape, steps)
        edges = read_border(read, *shape) if is_changed or corrections.steps else []
    return corrections, edges


def _hold_file(scene: Source, read: Read, bands: int) -> Read:
    """Hold a small scene of a file, where each window costs decoding. Of an array, windows may be
    known that would be computed again with the whole.
    """
    if not isinstance(scene, Scene):
        return read
    return hold(read, bands, scene.height, scene.width, scene.dtype)


def _sharpen(
    found: Measured[S], sharpen: AskedTransfer, samples: Samples, *, is_level_given: bool
) -> Measured[S]:
    """Plan sharpening after the other corrections, and measure the scene after it."""
    sharpening = plan_sharpening(sharpen, samples, found.scene.source)
    dtype = np.dtype(found.scene.dtype)
    return replace(
        found,
        unchanged=(*found.unchanged, *sharpening.doubt(samples, found.scene.source)),
        corrections=found.corrections.sharpen(sharpening),
        sharpened=sharpening.tell(found.facts, samples, dtype, given=is_level_given),
    )


def _sample(scene: S, corrections: Corrections, kind: SpeckleKind | None) -> tuple[S, Samples]:
    """The sample of ``scene``, and the scene in which bands without any valid pixel are copied.

    Corrections belong to all bands of the scene, each of which has a valid pixel.
    """
    shape = scene.height, scene.width

    @contextmanager
    def only(indices: Sequence[int]) -> Iterator[Read]:
        with scene.restrict(indices).reader() as reader:
            read = hide_zeros(kind, reader.read, *shape)
            read = _hold_file(scene, read, len(indices)) if is_small(*shape) else read
            yield corrections.wrap(read, *shape)

    drawn = draw_sample(only, len(scene.bands), *shape)
    return scene.restrict(drawn.kept), drawn.samples
