"""Measure a scene in a file: its sample, its statistics, and the bands that cannot be restored."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from geoae.diagnosis.sampling import draw_sample
from geoae.diagnosis.statistics import SceneStatistics, find_untold
from geoae.radiometry.nodata import FillValue, find_fill, read_border
from geoae.raster.scene import EMPTY, Scene
from geoae.system.memory import release_memory
from geoae.tiling.window import Read
from geoae.types import Floats, Samples

__all__ = ["Measured", "explain_empty", "explain_unchanged", "explain_unknown", "measure"]


@dataclass(frozen=True, eq=False, slots=True)
class Measured:
    """What the sample of a scene shows."""

    scene: Scene
    """The scene, in which bands without any valid pixel are copied."""
    facts: SceneStatistics
    """Statistics of its restored bands."""
    fill: FillValue | None = None
    """A value that fills much of the scene, though nothing says that it is nodata."""
    empty: tuple[int, ...] = ()
    """Numbers of the bands without any valid pixel."""
    unchanged: tuple[str, ...] = ()
    """Lines on bands that will stay as they are."""
    unknown: str = ""
    """Why nothing can be restored unless the noise is given; empty where something can."""


def measure(
    opened: Scene,
    sigma: Sequence[float] | None,
    correlation: Floats | None = None,
    *,
    is_noise_needed: bool,
) -> Measured:
    """Draw the sample of a scene and measure it.

    Args:
        opened: a scene that has bands to restore.
        sigma: noise of each of these bands in DN; None where it is to be estimated.
        correlation: normalised autocovariance of the noise of each of these bands ``(band, 9, 9)``;
            None for white noise.
        is_noise_needed: whether the model makes use of the noise.

    Raises:
        ReadError: the scene cannot be read.
        RecipeError: ``sigma`` is louder than the scene.

    """
    scene, samples = _sample(opened)
    empty = tuple(band for band in opened.bands if band not in scene.bands)
    lines = explain_empty(scene.source, empty)
    if not scene.bands:
        return Measured(scene, SceneStatistics.none(), None, empty, tuple(lines))
    with scene.reader() as reader:
        edges = read_border(reader.read, scene.height, scene.width)
    release_memory()  # of GDAL's blocks
    kept = [opened.bands.index(band) for band in scene.bands]
    facts = SceneStatistics.of(
        samples,
        None if sigma is None else [sigma[index] for index in kept],
        None if correlation is None else correlation[kept],
    )
    unknown = ""
    if is_noise_needed and sigma is None:
        unknown = explain_unknown(scene.source, samples, facts)
        if not unknown:
            lines += explain_unchanged(scene.source, scene.bands, samples, facts)
    return Measured(scene, facts, find_fill(samples, edges), empty, tuple(lines), unknown)


def explain_unknown(source: str, samples: Samples, facts: SceneStatistics) -> str:
    """Say why nothing can be restored unless the noise is given.

    Args:
        source: name of the scene.
        samples: pairs of pixels and mask ``(band, row, col)``.
        facts: statistics of ``samples``, their noise included.

    Returns:
        One line; empty where the noise of some band is known, where some band shows none, and where
        a scene is valid throughout, so that it is only small.

    """
    untold = find_untold(samples, facts.sigma)
    if facts.valid == 1 or untold.size < len(facts.sigma):
        return ""
    return (
        f"{source}: too few valid pixels lie side by side to estimate the noise; give --sigma, the"
        " noise in DN"
    )


def explain_unchanged(
    source: str, bands: Sequence[int], samples: Samples, facts: SceneStatistics
) -> list[str]:
    """Say which bands will stay as they are, since no noise of theirs is known.

    Args:
        source: name of the scene.
        bands: numbers of the bands.
        samples: pairs of pixels and mask ``(band, row, col)``.
        facts: statistics of ``samples``, their noise included.

    Returns:
        One line for each reason.

    """
    untold = find_untold(samples, facts.sigma)
    calm = np.setdiff1d(np.flatnonzero(facts.sigma == 0), untold)
    reasons = (
        (untold, "too few valid pixels lie side by side to estimate the noise"),
        (calm, "no noise can be seen"),
    )
    return [
        f"{source}: {why} in {_name([bands[index] for index in indices])}; unchanged unless --sigma"
        " is given"
        for indices, why in reasons
        if indices.size
    ]


def explain_empty(source: str, bands: Sequence[int]) -> list[str]:
    """Say of ``source`` which ``bands`` have no valid pixel: one line, or none where none has."""
    return [f"{source}: no valid pixel in {_name(bands)}; copied unchanged"] if bands else []


def _sample(scene: Scene) -> tuple[Scene, Samples]:
    """The sample of ``scene``, and the scene in which bands without any valid pixel are copied."""

    @contextmanager
    def only(indices: Sequence[int]) -> Iterator[Read]:
        with _restrict(scene, indices).reader() as reader:
            yield reader.read

    drawn = draw_sample(only, len(scene.bands), scene.height, scene.width)
    kept = _restrict(scene, drawn.kept)
    empty = dict.fromkeys(set(scene.bands) - set(kept.bands), EMPTY)
    return replace(kept, copied=dict(sorted((scene.copied | empty).items()))), drawn.samples


def _restrict(scene: Scene, indices: Sequence[int]) -> Scene:
    """``scene`` with only the restored bands of some ``indices``."""
    bands = tuple(scene.bands[index] for index in indices)
    return replace(scene, bands=bands, nodata=tuple(scene.nodata[index] for index in indices))


def _name(bands: Sequence[int]) -> str:
    """Bands in words, runs of numbers by the first and the last."""
    runs: list[list[int]] = []
    for band in bands:
        if runs and band == runs[-1][-1] + 1:
            runs[-1].append(band)
        else:
            runs.append([band])
    listed = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"band {listed}" if len(bands) == 1 else f"bands {listed}"
