from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoae.pipeline import tiles
from geoae.pipeline.tiles import in_groups, read_tile, to_model
from geoae.raster.memory import ArraySource
from geoae.tiling.plan import TilePlan
from tests.support.doubles import unscaled

PLAN = TilePlan.fit(90, 120, tile=40, halo=4, multiple=8)


def scene(holes: slice | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    pixels = np.random.default_rng(0).normal(size=(2, 90, 120)).astype(np.float32)
    if holes is None:
        return pixels, None
    mask = np.ones(pixels.shape, bool)
    mask[:, :, holes] = False
    return pixels, mask


def counted(read):
    windows = []

    def reading(window):
        windows.append(window)
        return read(window)

    return reading, windows


def test_a_tile_whose_noise_depends_on_the_signal_is_read_once():
    read, windows = counted(ArraySource(*scene(slice(0, 8))).read)
    scale = unscaled(2)
    tile = read_tile(read, PLAN, replace(scale, slope=np.ones(2)), 0, 0)
    assert windows == [PLAN.window(0, 0).expand(PLAN.halo)]
    plain = read_tile(read, PLAN, scale, 0, 0)
    units = [in_model_units(one, scale) for one in (tile, plain)]
    for grown, kept in ((tile.pixels, plain.pixels), (tile.mask, plain.mask), units):
        np.testing.assert_array_equal(grown, kept)


def in_model_units(tile, scale, level=None):
    """``tile`` (component, H, W) in model units."""
    model = np.empty(tile.pixels.shape, np.float32)
    to_model(tile.signal, tile.margin, scale, model, level)
    return model


@pytest.mark.parametrize("holes", [None, slice(0, 8)])
def test_a_tile_in_strips_is_the_tile_at_once_bit_for_bit(holes, monkeypatch):
    pixels, mask = scene(holes)
    pixels = (1000 + 100 * pixels).astype(np.uint16)
    scale = replace(unscaled(2), slope=np.ones(2), noise=np.full(2, 9.0), offset=np.full(2, 1000.0))
    found = []
    for strip in (7, 1000):
        monkeypatch.setattr(tiles, "STRIP", strip)
        tile, level = (
            read_tile(ArraySource(pixels, mask).read, PLAN, scale, 0, 1),
            np.empty((2, 40, 40), np.float32),
        )
        found.append((in_model_units(tile, scale, level).tobytes(), level.tobytes()))
    assert found[0] == found[1]
    assert level.std() > 0


@given(st.integers(0, 30), st.integers(1, 9))
def test_groups_keep_order_and_size(count, size):
    groups = list(in_groups(iter(range(count)), size))
    assert [item for group in groups for item in group] == list(range(count))
    assert all(len(group) == size for group in groups[:-1])
    assert all(groups)


def test_groups_are_lazy():
    items = iter(range(10))
    assert next(iter(in_groups(items, 3))) == [0, 1, 2]
    assert next(items) == 3


def test_a_tile_without_holes_is_read_once():
    pixels, _ = scene()
    read, windows = counted(ArraySource(pixels).read)
    scale = unscaled(2)
    scale.offset[:] = [1, 2]
    tile = read_tile(read, PLAN, scale, 1, 2)
    assert windows == [PLAN.window(1, 2)]
    assert tile.mask is None
    np.testing.assert_array_equal(tile.pixels, ArraySource(pixels).read(PLAN.window(1, 2))[0])
    np.testing.assert_array_equal(
        in_model_units(tile, scale), tile.pixels - np.float32([[[1]], [[2]]])
    )


def test_a_tile_without_a_valid_pixel_is_not_prepared():
    pixels, mask = scene(slice(0, 60))
    read, windows = counted(ArraySource(pixels, mask).read)
    tile = read_tile(read, PLAN, unscaled(2), 0, 0)
    assert tile.empty
    assert not tile.mask.any()
    assert len(windows) == 1


def test_holes_are_filled_and_valid_pixels_are_not():
    pixels, mask = scene(slice(20, 50))
    pixels[~mask] = np.nan
    tile = read_tile(ArraySource(pixels, mask).read, PLAN, unscaled(2), 1, 1)
    model = in_model_units(tile, unscaled(2))
    assert np.isfinite(model).all()
    np.testing.assert_array_equal(model[tile.mask], tile.pixels[tile.mask])
    assert np.isnan(tile.pixels[~tile.mask]).all(), (
        "the file's own bits go back where the holes are"
    )


def test_every_tile_that_sees_a_hole_sees_the_same_filling():
    pixels, mask = scene(slice(30, 36))
    tiles = [read_tile(ArraySource(pixels, mask).read, PLAN, unscaled(2), 1, col) for col in (0, 1)]
    left, right = (PLAN.window(1, col) for col in (0, 1))
    assert left.stop_col - 4 < 36 or right.col + 4 > 30, (
        "valid pixels that count lie outside a tile"
    )
    shared = slice(right.col - left.col, None), slice(None, left.stop_col - right.col)
    units = (in_model_units(tile, unscaled(2)) for tile in tiles)
    one, other = (model[:, :, columns] for model, columns in zip(units, shared, strict=True))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
