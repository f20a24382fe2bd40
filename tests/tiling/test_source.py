"""Every kind of source gives the same windows of the same scene."""

import dask.array
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.accessor.measure import LazySource
from geoae.pipeline.job import Job
from geoae.pipeline.preparation.prepare import build_work, prepare
from geoae.raster.memory import ArraySource
from geoae.raster.scene import Scene
from geoae.tiling.source import Source
from geoae.tiling.window import Window
from tests.support.rasters import texture, write

NODATA = 7
PIXELS = (texture(3, 50, 70) * 0.9 + 100).astype(np.uint16)
PIXELS[1, 10:20, 5:60] = NODATA


def from_file(folder) -> Source:
    return Scene.open(str(write(folder / "scene.tif", PIXELS, nodata=NODATA)))


def from_array(_) -> Source:
    return ArraySource(PIXELS, nodata=[NODATA] * 3)


def from_masked_array(_) -> Source:
    return ArraySource(PIXELS, PIXELS != NODATA, [NODATA] * 3)


def from_dask(_) -> Source:
    pixels = dask.array.from_array(PIXELS, chunks=(1, 20, 30))
    return LazySource(pixels, NODATA, "array", [1, 2, 3])


SOURCES = {
    "file": from_file,
    "array": from_array,
    "array and mask": from_masked_array,
    "dask": from_dask,
}


@pytest.fixture(scope="module", params=SOURCES)
def source(request, tmp_path_factory) -> Source:
    return SOURCES[request.param](tmp_path_factory.mktemp("source"))


@given(st.integers(-60, 60), st.integers(-80, 80), st.integers(1, 90), st.integers(1, 90))
def test_windows_reflect_at_the_borders(source, row, col, height, width):
    with source.reader() as reader:
        pixels, valid = reader.read(Window(row, col, height, width))
    rows, cols = (np.arange(first, first + size) for first, size in ((row, height), (col, width)))
    size = np.abs(rows).max() + 51, np.abs(cols).max() + 71
    around = np.pad(PIXELS, [(0, 0), (size[0],) * 2, (size[1],) * 2], mode="reflect")
    expected = around[:, rows[:, None] + size[0], cols[None] + size[1]]
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(True if valid is None else valid, expected != NODATA)


def test_it_says_what_it_is(source):
    assert (source.height, source.width, source.dtype) == (50, 70, "uint16")
    assert (source.bands, list(source.nodata)) == ((1, 2, 3), [NODATA] * 3)
    assert source.source
    assert source.identity


def test_some_of_its_bands_are_a_scene(source):
    some = source.restrict([2, 1]).restrict([1])
    assert (some.bands, list(some.nodata)) == ((2,), [NODATA])
    assert (some.height, some.width, some.source) == (50, 70, source.source)
    with some.reader() as reader:
        pixels, valid = reader.read(Window(5, 0, 10, 70))
    np.testing.assert_array_equal(pixels, PIXELS[1:2, 5:15])
    np.testing.assert_array_equal(valid, pixels != NODATA)


def test_it_is_decided_as_a_file(source, tmp_path):
    job = Job(source=from_file(tmp_path).source, psd="bilinear")
    wanted, found = prepare(job), prepare(job, None, None, source)
    assert found.facts.digest == wanted.facts.digest
    np.testing.assert_array_equal(found.facts.sigma, wanted.facts.sigma)
    assert (found.steps, found.unchanged) == (wanted.steps, wanted.unchanged)
    assert found.work.plan == wanted.work.plan


def test_it_makes_the_same_work(source, tmp_path):
    prepared = prepare(Job(source=from_file(tmp_path).source, model="identity"))
    work = build_work(prepared.options, prepared.work.restorer, source, prepared.work.scale)
    assert work.plan == prepared.work.plan
    assert list(work.nodata) == list(prepared.work.nodata)
