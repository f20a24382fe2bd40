import dask
import dask.array
import numpy as np
import pytest
import xarray

from geoae.accessor.lazy import TILE_ROWS, LazyRestoration
from geoae.errors import InputError
from geoae.pipeline.job import Job
from geoae.tiling.window import grids, windows
from tests.support.rasters import noise, texture


def test_nothing_is_computed_before_it_is_asked_for(model):
    blocks = []

    def block(block_id):
        blocks.append(block_id)
        return np.full((1, 100, 100), 500, np.uint16)

    pixels = dask.array.map_blocks(
        block, chunks=((1,), (100,) * 20, (100,) * 2), meta=np.empty((0, 0, 0), np.uint16)
    )
    array = xarray.DataArray(pixels, dims=("band", "y", "x"))
    restored = array.geoae.restore(model=model, tile=128)
    assert isinstance(restored.data, dask.array.Array)
    assert not blocks
    restored[:, :10].compute(scheduler="synchronous")
    assert (0, 0, 0) in blocks


@pytest.mark.parametrize("dtype", [">f4", ">u2", ">i4", ">f8"])
def test_byte_order_changes_nothing(dtype, model):
    pixels = np.round(texture(2, 90, 100) + noise((2, 90, 100), 25))
    swapped = xarray.DataArray(pixels.astype(dtype), dims=("band", "y", "x"))
    native = xarray.DataArray(pixels.astype(dtype[1:]), dims=("band", "y", "x"))
    found = swapped.geoae.restore(model=model).compute(scheduler="synchronous")
    wanted = native.geoae.restore(model=model).compute(scheduler="synchronous")
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found.values, wanted.values)
    assert (wanted.values != native.values).mean() > 0.5


def test_half_floats_are_restored_and_their_infinities_stay(model):
    pixels = ((texture(2, 90, 100) + noise((2, 90, 100), 25)) / 1000).astype(np.float16)
    pixels[:, :, :5], pixels[:, 40, 40] = np.inf, np.nan
    array = xarray.DataArray(pixels, dims=("band", "y", "x"))
    found = array.geoae.restore(model=model).compute(scheduler="synchronous").values
    valid = np.isfinite(pixels)
    assert found.dtype == np.float16
    assert np.array_equal(found[~valid].view(np.uint16), pixels[~valid].view(np.uint16))
    assert np.isfinite(found[valid]).all()
    assert (found[valid] != pixels[valid]).mean() > 0.5
    same = array.geoae.restore(model="identity").compute(scheduler="synchronous").values
    assert np.array_equal(same.view(np.uint16), pixels.view(np.uint16))


def lazy(shape=(1, 2000, 200), copied=(), declared=None, dtype="uint16", **options):
    job = Job(source="array", **{"model": "identity", "tile": 128} | options)
    given = {"declared": declared, "copied": copied, "names": [""] * shape[0]}
    return LazyRestoration.of(job, shape, np.dtype(dtype), **given)


def test_a_chunk_is_computed_from_the_rows_that_it_needs():
    """And the statistics from sampled windows: here it is told the noise, so the rows count."""
    seen = set()

    def block(block_id):
        seen.add(block_id[1])
        return np.full((1, 50, 200), 500, np.uint16)

    chunks = ((1,), (50,) * 40, (200,))
    pixels = dask.array.map_blocks(block, chunks=chunks, meta=np.empty((0, 0, 0), np.uint16))
    lazily = lazy(sigma=5.0, steps=["noise"])  # others look at the whole scene
    sampled = {window.row // 50 for grid in grids() for window in windows(2000, 200, *grid)}
    restored = lazily.build(pixels)
    assert not seen
    first = restored[:, : restored.chunks[1][0]].compute(scheduler="synchronous")
    assert first.shape[1] < 700
    needed = -(-(first.shape[1] + 128) // 50)
    assert seen <= set(range(needed)) | sampled | {row + 1 for row in sampled}
    assert len(seen) < 40


def test_chunks_are_slabs_of_whole_tile_rows():
    lazily = lazy(shape=(3, 2000, 200), copied=[1])
    assert lazily.chosen == [0, 2]
    restored = lazily.build(dask.array.ones((3, 2000, 200), np.uint16))
    heights = [slab.window.height for slab in lazily.plan.slabs(TILE_ROWS)]
    assert restored.chunks[1] == tuple(heights)
    assert len(heights) > 2


def test_where_no_band_is_restored_the_array_itself_comes_back():
    given = dask.array.ones((2, 90, 100), np.uint8)
    assert lazy((2, 90, 100), copied=[0, 1]).build(given) is given
    assert lazy((2, 90, 100), copied=[0, 1], bands=[2]).chosen == [1], "unless it is named"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bands": [1, 4]}, "array: has bands 1 to 2, not 4; correct --bands"),
        ({"nodata": -1}, "array: pixels of uint16 cannot be -1"),
    ],
)
def test_what_does_not_fit_the_array_is_refused_before_any_work(options, said):
    with pytest.raises(InputError, match=said):
        lazy((2, 90, 100), **options)


@pytest.mark.parametrize(
    ("declared", "given", "nodata"),
    [(None, None, None), (9.0, None, 9), (None, 7, 7), (9.0, 7, (9, 7))],
)
def test_declared_and_given_values_mark_what_is_no_measurement(declared, given, nodata):
    assert lazy(declared=declared, nodata=given).nodata == nodata
