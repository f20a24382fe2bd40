"""Measure a scene in a Dask array, as one node of the graph."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import dask
import dask.array

from geoae.accessor.bands import select_measurements, warn
from geoae.corrections.chain import NONE, Corrections, plan_corrections, reads_scene
from geoae.corrections.correction import cut_strips
from geoae.corrections.sharpening import AskedTransfer, plan_sharpening
from geoae.diagnosis.sampling import Drawn, draw_sample, has_enough_valid, sample
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import InputError
from geoae.pipeline.distributed import RemoteWork
from geoae.pipeline.explain import (
    SHARPENED,
    explain_empty,
    explain_unchanged,
    explain_unknown,
)
from geoae.pipeline.measure import GivenNoise
from geoae.pipeline.speckle_bias import keep_means
from geoae.radiometry.backscatter import SpeckleKind, hide_zeros, refuse_other_units
from geoae.radiometry.nodata import is_measured
from geoae.radiometry.speckle import Speckle
from geoae.raster.memory import ArraySource
from geoae.tiling.window import Read, Window
from geoae.types import Mask, Nodata, Pixels, Samples

__all__ = ["Unread", "measure_lazily"]

# A scene of fewer bytes is read whole where it is searched for valid pixels.
AT_ONCE = 512 << 20


# Puts together what workers need.
Remote = Callable[[SceneStatistics, Corrections, Speckle | None], RemoteWork]


class Unread:
    """Bands of a scene that are read only when they are asked for: Dask does not look into it."""

    __slots__ = ("bands", "kind", "nodata", "numbers", "source")

    def __init__(
        self,
        bands: dask.array.Array,
        nodata: Nodata,
        source: str,
        numbers: Sequence[int],
        kind: SpeckleKind | None,
    ) -> None:
        self.bands, self.nodata, self.source, self.numbers = bands, nodata, source, numbers
        self.kind = kind

    @contextmanager
    def only(self, indices: Sequence[int]) -> Iterator[Read]:
        """Open the bands of some ``indices``."""
        bands = self.bands[list(indices)]
        if bands.nbytes <= AT_ONCE:  # its chunks may be as large as the scene
            bands = dask.array.from_array(bands.compute(), chunks=-1)

        def read(window: Window) -> tuple[Pixels, Mask]:
            pixels = bands[(slice(None), *window.slices())].compute()
            return pixels, is_measured(pixels, self.nodata)

        yield hide_zeros(self.kind, read, *bands.shape[1:])


def measure_lazily(
    first: list[Pixels],
    whole: Unread,
    given: GivenNoise,
    steps: Sequence[str],
    names: Sequence[str] | None,
    is_noise_needed: bool,
    sharpen: AskedTransfer | None,
    remote: Remote,
) -> RemoteWork:
    """Measure a scene; Python warnings name the bands that will stay as they are.

    Args:
        first: windows of the first grid, ``(band, row, col)`` each; mostly they are enough.
        whole: the scene, which is read where they are not, and for corrections.
        given: what is known of the noise of each band.
        steps: which corrections to look for.
        names: name of each band, or None where all are measurements, whatever their values.
        is_noise_needed: whether the user must be told of bands whose noise is not known.
        sharpen: what is asked for, as for ``plan_sharpening``; None for no sharpening.
        remote: puts together what workers need.

    """
    bands, height, width = whole.bands.shape
    samples: Samples = [(pixels, is_measured(pixels, whole.nodata)) for pixels in first]
    if whole.kind is not None:
        refuse_other_units(whole.kind, samples, whole.source)
    drawn = Drawn(samples, list(range(bands)))
    if whole.kind is not None or not has_enough_valid(samples):
        drawn = draw_sample(whole.only, bands, height, width)
    numbers = [whole.numbers[band] for band in drawn.kept]
    lines = explain_empty(whole.source, [one for one in whole.numbers if one not in numbers])
    if names is not None and drawn.kept:
        kept_names = [names[band] or str(whole.numbers[band]) for band in drawn.kept]
        drawn = _select(drawn, select_measurements(whole.source, kept_names, drawn.samples))
        numbers = [whole.numbers[band] for band in drawn.kept]
    facts, corrections, speckle = SceneStatistics.none(), NONE, None
    if drawn.kept:
        if reads_scene(steps):
            corrections, drawn = _correct(whole, drawn, steps)
        facts, drawn, speckle = _measure_noise(whole, drawn, given, remote)
    if is_noise_needed:
        if unknown := explain_unknown(whole.source, drawn.samples, facts):
            raise InputError(unknown)
        fate = "unchanged" if sharpen is None else SHARPENED
        lines += explain_unchanged(whole.source, numbers, drawn.samples, facts, fate)
    lines += given.contradict(whole.source, numbers, drawn.samples, facts, whole.kind)
    if sharpen is not None and drawn.kept:
        sharpening = plan_sharpening(sharpen, drawn.samples, whole.source)
        lines += sharpening.doubt(drawn.samples, whole.source)
        corrections = corrections.sharpen(sharpening)
        is_given = given.sigma is not None
        facts = sharpening.tell(facts, drawn.samples, whole.bands.dtype, given=is_given)
    for line in lines:
        warn(line)
    return remote(
        facts.embed(drawn.kept, bands),
        corrections.embed(drawn.kept, bands),
        speckle and speckle.embed(drawn.kept, bands),
    )


def _measure_noise(
    whole: Unread, drawn: Drawn, given: GivenNoise, remote: Remote
) -> tuple[SceneStatistics, Drawn, Speckle | None]:
    """Return the statistics of a sample, in the logarithm where it has speckle; that sample; and
    the speckle.
    """
    if whole.kind is None:
        return given.measure(drawn.samples, drawn.kept), drawn, None
    in_dn = drawn.samples
    speckle = Speckle.of(whole.kind, in_dn, whole.bands.dtype.name)
    drawn = Drawn(speckle.sample_to_log(in_dn), drawn.kept)
    facts = given.measure(drawn.samples, drawn.kept, whole.kind)
    speckle = speckle.with_limits(facts.sigma.tolist())
    window = ArraySource(in_dn[0][0], nodata=[whole.nodata] * len(drawn.kept))
    return facts, drawn, keep_means(remote(facts, NONE, speckle).build(window), in_dn).speckle


def _correct(whole: Unread, drawn: Drawn, steps: Sequence[str]) -> tuple[Corrections, Drawn]:
    """Plan the corrections of the sampled bands; return them, and the corrected sample."""
    _, height, width = whole.bands.shape
    with whole.only(drawn.kept) as read:
        strips = partial(cut_strips, read, len(drawn.kept), height, width)
        corrections = plan_corrections(strips, height, width, steps)
        if corrections.steps:
            clean = sample(corrections.wrap(read, height, width), height, width)
            drawn = Drawn(clean, drawn.kept)
    return corrections, drawn


def _select(drawn: Drawn, indices: Sequence[int]) -> Drawn:
    """Return the sample of the bands of some ``indices``."""
    samples = [(pixels[list(indices)], mask[list(indices)]) for pixels, mask in drawn.samples]
    return Drawn(samples, [drawn.kept[index] for index in indices])
