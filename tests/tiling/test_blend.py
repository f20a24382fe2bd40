import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoae.tiling.blend import RAMPS, Mosaic, weights
from geoae.tiling.plan import TilePlan
from geoae.tiling.window import reflect


@st.composite
def plans(draw, largest: int = 80):
    multiple, halo = draw(st.sampled_from([1, 2, 8])), draw(st.integers(0, 9))
    overlap = -(-(2 * halo + 1) // multiple) * multiple
    overlap += multiple * draw(st.integers(0, 2))
    tile = draw(st.integers(2 * overlap, 2 * overlap + 40))
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return TilePlan.fit(height, width, tile=tile, overlap=overlap, halo=halo, multiple=multiple)


ramps = st.sampled_from(sorted(RAMPS))


def cut(scene, plan, row, col):
    """The tile of a scene that reflection continues; a copy."""
    window = plan.window(row, col)
    rows = reflect(window.row, window.height, scene.shape[1])[:, None]
    return scene[:, rows, reflect(window.col, window.width, scene.shape[2])[None]].copy()


def blended(scene, plan, ramp, first=0):
    """The scene cut into tiles and put together again, from tile row ``first`` on."""
    result = np.full_like(scene, np.nan)
    mosaic = Mosaic(plan, len(scene), ramp)
    for row in range(first, plan.rows.count):
        for col in range(plan.cols.count):
            window = plan.completed_window(row, col)
            result[(slice(None), *window.slices())] = mosaic.add(
                row, col, cut(scene, plan, row, col)
            )
    return result


@pytest.mark.parametrize("ramp", sorted(RAMPS))
def test_ramp_is_monotone_and_complements_itself(ramp):
    t = np.linspace(0, 1, 1001)
    f = RAMPS[ramp](t)
    np.testing.assert_allclose(f + RAMPS[ramp](1 - t), 1, atol=1e-12)
    assert (np.diff(f) > 0).all()
    assert (f[0], f[-1]) == (0, 1)


@given(plans(), ramps)
def test_weights_sum_to_one_everywhere(plan, ramp):
    axis = plan.rows
    total = np.zeros((axis.count - 1) * axis.stride + axis.tile)
    for index in range(axis.count):
        weight = weights(axis, index, plan.halo, ramp)
        assert (weight >= 0).all()
        assert (weight <= 1).all()
        total[index * axis.stride :][: axis.tile] += weight
    np.testing.assert_allclose(total, 1, rtol=0, atol=1e-7)


@given(plans(), ramps)
def test_pixels_without_context_have_no_weight_borders_have_all(plan, ramp):
    axis, halo = plan.rows, plan.halo
    for index in range(axis.count):
        weight = weights(axis, index, halo, ramp)
        first, last = index == 0, index == axis.count - 1
        assert (weight[:halo] == first).all()
        assert (weight[axis.tile - halo :] == last).all()
        assert not first or (weight[: axis.tile - axis.overlap] == 1).all()
        assert not last or (weight[axis.overlap if not first else 0 :] == 1).all()


@settings(max_examples=40)
@given(plans(), ramps)
def test_constant_one_stays_one(plan, ramp):
    scene = np.ones((1, plan.rows.size, plan.cols.size), np.float32)
    np.testing.assert_allclose(blended(scene, plan, ramp), 1, rtol=0, atol=3e-7)


@settings(max_examples=40)
@given(plans(), ramps, st.integers(0, 99))
def test_tiles_of_a_scene_give_the_scene_back(plan, ramp, seed):
    scene = (
        np.random.default_rng(seed)
        .uniform(-1, 1, (2, plan.rows.size, plan.cols.size))
        .astype(np.float32)
    )
    np.testing.assert_allclose(blended(scene, plan, ramp), scene, rtol=0, atol=3e-7)


@settings(max_examples=40)
@given(plans(), ramps, st.data())
def test_a_mosaic_that_begins_later_gives_the_same_bits(plan, ramp, data):
    scene = (
        np.random.default_rng(0).normal(size=(1, plan.rows.size, plan.cols.size)).astype(np.float32)
    )
    first = data.draw(st.integers(0, plan.rows.count - 1))
    done = plan.completed_window(first, 0)
    final = done.row if first == 0 else done.stop_row
    late = blended(scene, plan, ramp, first)
    assert late[:, final:].tobytes() == blended(scene, plan, ramp)[:, final:].tobytes()


def test_what_is_wrong_near_a_tile_edge_never_shows():
    """Within a halo of an edge that is not the scene's, a tile may hold anything finite."""
    plan = TilePlan.fit(90, 75, tile=32, halo=3, multiple=4)
    mosaic, result = Mosaic(plan, 1, "smooth"), np.zeros((1, 90, 75), np.float32)
    for row in range(plan.rows.count):
        for col in range(plan.cols.count):
            tile = np.full((1, plan.rows.tile, plan.cols.tile), 1e6, np.float32)
            tile[:, 3:-3, 3:-3] = 1
            result[(slice(None), *plan.completed_window(row, col).slices())] = mosaic.add(
                row, col, tile
            )
    np.testing.assert_allclose(result, 1, rtol=0, atol=3e-7)


def test_a_mosaic_of_a_wide_scene_holds_little_more():
    held = []
    for width in (2_000, 200_000):
        plan = TilePlan.fit(5_000, width, tile=1536, halo=63, multiple=8)
        tracemalloc.start()
        mosaic = Mosaic(plan, 4, "smooth")
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        del mosaic
    ramp = plan.rows.overlap - 2 * plan.halo
    assert held[1] - held[0] < 1.1 * (200_000 * ramp * 4 * 4)
    assert held[1] < 8 << 20


@settings(max_examples=100)
@given(plans(largest=5000), ramps)
def test_weights_of_large_scenes_sum_to_one_too(plan, ramp):
    for axis in (plan.rows, plan.cols):
        first, last = (
            weights(axis, 0, plan.halo, ramp),
            weights(axis, axis.count - 1, plan.halo, ramp),
        )
        if axis.count == 1:
            assert (first == 1).all()
            continue
        middle = weights(axis, 1, plan.halo, ramp) if axis.count > 2 else last
        for one, other in ((first, middle), (middle if axis.count > 2 else first, last)):
            np.testing.assert_allclose(
                one[-axis.overlap :] + other[: axis.overlap], 1, rtol=0, atol=1e-7
            )
