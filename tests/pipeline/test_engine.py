from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoae.models.restorer import Identity
from geoae.pipeline.engine import predict, restore_slabs
from geoae.pipeline.tiles import Work, read_tile
from geoae.raster.memory import ArraySource
from geoae.tiling.plan import TilePlan
from tests.support.doubles import DTYPES, Blur, Parts, pixels_of, unscaled

SHAPE = (2, 150, 110)


def scene(dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return (1000 + 100 * np.random.default_rng(seed).normal(size=SHAPE)).astype(dtype)


def holes(pixels: np.ndarray) -> np.ndarray:
    """Mask with large and small holes, among them whole tiles."""
    mask = np.random.default_rng(1).random(pixels.shape) > 0.05
    mask[:, :60, :70] = False
    return mask


def work_on(pixels: np.ndarray, restorer=None, nodata=None, tile: int = 48) -> Work:
    restorer = Blur() if restorer is None else restorer
    bands, height, width = pixels.shape
    plan = TilePlan.fit(height, width, tile=tile, halo=restorer.halo, multiple=restorer.multiple)
    scale = unscaled(-(-bands // restorer.channels) * restorer.channels, bands=bands)
    return Work(plan, scale, restorer, nodata or [None] * bands)


def restored(pixels, mask=None, work=None, step: int = 1, apart: bool = False) -> Parts:
    """All slabs of ``step`` rows of tiles, in one call or in one call each."""
    work = work or work_on(pixels)
    parts, slabs = Parts(pixels.shape, pixels.dtype), list(work.plan.slabs(step))
    for run in [[slab] for slab in slabs] if apart else [slabs]:
        restore_slabs(work, ArraySource(pixels, mask).read, run, parts)
    assert (parts.written == 1).all()
    assert parts.opened == parts.committed == [slab.index for slab in slabs]
    return parts


@settings(max_examples=60)
@given(
    dtype=st.sampled_from(DTYPES),
    bands=st.integers(1, 3),
    height=st.integers(1, 97),
    width=st.integers(1, 97),
    step=st.integers(1, 3),
    valid=st.sampled_from([None, 0.0, 0.5, 0.99]),
    seed=st.integers(0, 99),
)
def test_identity_gives_back_every_bit(dtype, bands, height, width, step, valid, seed):
    pixels = pixels_of(dtype, (bands, height, width), seed)
    mask = None if valid is None else np.random.default_rng(seed).random(pixels.shape) < valid
    if mask is not None and pixels.dtype.kind == "f":
        pixels[~mask] = np.nan
    parts = restored(pixels, mask, work_on(pixels, Identity()), step)
    assert parts.pixels.tobytes() == pixels.tobytes()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_slabs_one_at_a_time_give_the_bits_of_all_at_once(step, masked):
    pixels = scene()
    mask = holes(pixels) if masked else None
    whole = restored(pixels, mask, step=100).pixels
    assert not np.array_equal(whole, pixels)
    assert restored(pixels, mask, step=step).pixels.tobytes() == whole.tobytes()
    assert restored(pixels, mask, step=step, apart=True).pixels.tobytes() == whole.tobytes()


@pytest.mark.parametrize(("channels", "samples"), [(1, 1), (1, 7), (2, 1), (2, 5), (3, 4)])
def test_neither_the_batch_nor_the_group_changes_a_bit(channels, samples):
    pixels = scene()
    mask = holes(pixels)
    found = restored(pixels, mask, work_on(pixels, Blur(channels=channels, samples=samples)))
    assert found.pixels.tobytes() == restored(pixels, mask).pixels.tobytes()


def test_what_the_network_was_given_is_let_go():
    pixels = scene()
    work = work_on(pixels)
    tile = read_tile(ArraySource(pixels).read, work.plan, work.scale, 0, 0)
    assert tile.signal is not None
    predict(work, [tile])
    assert tile.signal is None


@dataclass
class Level(Blur):
    """The noise level it is told is the noise it finds."""

    def __call__(self, pixels, sigma, shape=None):
        return np.broadcast_to(sigma[:, :, None, None], pixels.shape).copy()


def test_each_component_has_its_own_sigma_and_nodata():
    pixels = np.full((4, 90, 60), 1000, np.uint16)
    work = work_on(pixels, Level(channels=2, samples=6), [None, 998, 998, None])
    work.scale.sigma[:] = [1, 2, 3, 4]
    found = restored(pixels, None, work).pixels
    for band, value in enumerate([999, 999, 997, 996]):
        assert (found[band] == value).all()


def test_empty_tiles_are_counted_but_never_restored():
    pixels = scene()
    mask = holes(pixels)
    work = work_on(pixels)
    plan, read = work.plan, ArraySource(pixels, mask).read
    seen = [
        (row, col)
        for row in range(plan.rows.count)
        for col in range(plan.cols.count)
        if (found := read(plan.window(row, col))[1]) is None or found.any()
    ]
    heard: list[bool] = []
    restore_slabs(work, read, list(plan.slabs()), Parts(pixels.shape, pixels.dtype), heard.append)
    assert 0 < len(seen) < plan.tiles
    assert len(heard) == plan.tiles
    assert sum(heard) == len(seen)
    assert work.restorer.seen == len(seen) * work.groups


def test_the_lead_in_row_is_computed_but_not_reported():
    pixels = scene()
    work, heard = work_on(pixels), []
    slab = list(work.plan.slabs())[2]
    parts = Parts(pixels.shape, pixels.dtype)
    restore_slabs(work, ArraySource(pixels).read, [slab], parts, heard.append)
    assert heard == [True] * work.plan.cols.count
    assert work.restorer.seen == 2 * work.plan.cols.count * work.groups
    assert parts.written.any(axis=1).nonzero()[0].tolist() == list(
        range(slab.window.row, slab.window.stop_row)
    )


def test_a_scene_of_holes_is_returned_without_a_call():
    pixels = scene()
    work = work_on(pixels)
    assert restored(pixels, np.zeros(pixels.shape, bool), work).pixels.tobytes() == pixels.tobytes()
    assert work.restorer.seen == 0


@pytest.mark.parametrize(
    ("dtype", "values"), [("float32", [0, 65535, np.nan]), ("uint16", [0, 65535])]
)
def test_what_holes_hold_changes_no_valid_pixel_and_comes_back(dtype, values):
    pixels = scene(dtype)
    mask, results = holes(pixels), []
    for value in values:
        source = np.where(mask, pixels, np.array(value).astype(dtype))
        found = restored(source, mask).pixels
        assert found[~mask].tobytes() == source[~mask].tobytes()
        results.append(found[mask].tobytes())
    assert len(set(results)) == 1
    assert results[0] != pixels[mask].tobytes()


class StopError(Exception):
    """What is thrown into the engine."""


def run_into(work: Work, read, parts: Parts, step: int) -> None:
    """Restore, expecting ``StopError``; no part may be committed that is not complete."""
    slabs = list(work.plan.slabs(step))
    with pytest.raises(StopError):
        restore_slabs(work, read, slabs, parts)
    for slab in slabs:
        if slab.index in parts.committed:
            assert (parts.written[slab.window.slices()] == 1).all(), (
                f"slab {slab.index} is committed incomplete"
            )
    assert not set(parts.committed) & {index for index, _ in parts.failed}
    assert len(parts.committed) < len(slabs)


def failing(function, count: int):
    """``function``, which raises at its call number ``count``."""
    calls = iter(range(10_000))

    def wrapped(*args):
        if next(calls) == count:
            raise StopError
        return function(*args)

    return wrapped


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("at", [0, 1, 5, 11, 19])
def test_an_error_of_the_reader_commits_nothing_unfinished(at, step):
    pixels = scene()
    parts = Parts(pixels.shape, pixels.dtype)
    run_into(work_on(pixels), failing(ArraySource(pixels).read, at), parts, step)
    assert all(isinstance(error, StopError) for _, error in parts.failed)


@dataclass
class Faulty(Blur):
    """Fails at call number ``at``."""

    at: int = 0
    calls: int = 0

    def __call__(self, pixels, sigma, shape=None):
        self.calls += 1
        if self.calls > self.at:
            raise StopError
        return super().__call__(pixels, sigma)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("at", [0, 1, 5, 11, 19])
def test_an_error_of_the_restorer_reaches_the_open_part(at, step):
    pixels = scene()
    parts = Parts(pixels.shape, pixels.dtype)
    run_into(work_on(pixels, Faulty(at=at)), ArraySource(pixels).read, parts, step)
    assert all(isinstance(error, StopError) for _, error in parts.failed)
    assert set(parts.opened) == set(parts.committed) | {index for index, _ in parts.failed}


@pytest.mark.parametrize("step", [1, 2, 100])
def test_an_error_of_the_sink_comes_out_wherever_it_strikes(step):
    """Above all in the last tiles of a slab, where the next slab's tiles are queued already."""
    pixels = scene()
    plan = work_on(pixels).plan
    for at in range(plan.tiles):
        parts = Parts(pixels.shape, pixels.dtype, fail=failing(lambda window: None, at))
        run_into(work_on(pixels, Blur(samples=8)), ArraySource(pixels).read, parts, step)
        assert [error for _, error in parts.failed if isinstance(error, StopError)], (
            "the part sees the error"
        )


def test_a_part_that_cannot_be_opened_stops_the_run():
    pixels = scene()
    parts = Parts(pixels.shape, pixels.dtype)

    def sink(slab):
        if slab.index == 1:
            raise StopError
        return parts(slab)

    work = work_on(pixels, Blur(samples=8))
    with pytest.raises(StopError):
        restore_slabs(work, ArraySource(pixels).read, list(work.plan.slabs()), sink)
    assert parts.opened == parts.committed == [0]
    assert (parts.written[: work.plan.completed_window(0, 0).stop_row] == 1).all()


@dataclass
class Told(Blur):
    """Takes the noise level it is told for noise."""

    def __call__(
        self, pixels: np.ndarray, sigma: np.ndarray, shape: np.ndarray | None = None
    ) -> np.ndarray:
        return np.broadcast_to(
            sigma.reshape(*sigma.shape[:2], *(sigma.shape[2:] or (1, 1))), pixels.shape
        ).copy()


@pytest.mark.parametrize("channels", [1, 2])
def test_a_level_by_signal_is_the_same_in_tiles_as_in_the_whole(
    channels,
):
    pixels = scene()
    work = work_on(pixels, Told(channels=channels))
    scale = replace(
        work.scale,
        noise=np.array([3.0, 5.0]),
        slope=np.array([0.05, 0.0]),
        offset=np.full(2, 1000.0),
    )
    found = restored(pixels, None, replace(work, scale=scale)).pixels
    padded = np.pad(pixels, ((0, 0), (3, 3), (3, 3)), mode="reflect").astype(np.float64)
    local = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), axis=(1, 2)).mean(
        axis=(-1, -2)
    )
    variance = np.stack([9 + 0.05 * (local[0] - 1000), np.full(local[1].shape, 25.0)])
    np.testing.assert_allclose(pixels - found, np.sqrt(variance), atol=1e-3)


def test_the_value_of_a_hole_does_not_change_a_level_by_signal():
    mask = holes(scene())
    work = work_on(scene(), Told())
    scale = replace(
        work.scale, noise=np.full(2, 3.0), slope=np.full(2, 0.05), offset=np.full(2, 1000.0)
    )
    found = [
        restored(np.where(mask, scene(), value), mask, replace(work, scale=scale)).pixels[mask]
        for value in (0.0, 65535.0)
    ]
    assert found[0].tobytes() == found[1].tobytes()


@dataclass
class Spectral(Blur):
    """Takes a frequency of the spectrum it is told for noise."""

    takes_spectrum: bool = True

    def __call__(
        self, pixels: np.ndarray, sigma: np.ndarray, shape: np.ndarray | None = None
    ) -> np.ndarray:
        assert shape is not None
        assert shape.shape == (*pixels.shape[:2], 9)
        assert shape.dtype == np.float32
        return np.broadcast_to(shape[:, :, 4, None, None], pixels.shape).copy()


@pytest.mark.parametrize("samples", [1, 6])
@pytest.mark.parametrize("channels", [1, 2])
def test_each_component_has_its_own_spectrum(channels, samples):
    pixels = np.full((4, 90, 60), 1000, np.uint16)
    work = work_on(pixels, Spectral(channels=channels, samples=samples))
    shape = np.tile(np.arange(1.0, 5.0)[:, None], (1, 9))
    work = replace(work, scale=replace(work.scale, shape=shape))
    found = restored(pixels, None, work).pixels
    for band, value in enumerate([999, 998, 997, 996]):
        assert (found[band] == value).all()
