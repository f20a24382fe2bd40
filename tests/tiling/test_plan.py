import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geoae.errors import RecipeError
from geoae.tiling.plan import TilePlan


def up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


@st.composite
def requests(draw, largest: int = 700):
    """Arguments of ``TilePlan.fit`` that it accepts."""
    multiple, halo = draw(st.sampled_from([1, 2, 4, 8, 16])), draw(st.integers(0, 48))
    needed = up(2 * halo + 1, multiple)
    overlap = draw(st.none() | st.integers(needed, needed + 40))
    least = 2 * up(overlap or needed, multiple)
    tile = draw(st.integers(least, least + 300))
    height, width = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    return {
        "height": height,
        "width": width,
        "tile": tile,
        "overlap": overlap,
        "halo": halo,
        "multiple": multiple,
    }


def check_axis(axis, request, asked_overlap):
    multiple, halo = request["multiple"], request["halo"]
    starts = [axis.start(i) for i in range(axis.count)]
    assert set(np.diff(starts)) <= {axis.stride}
    assert axis.stride % multiple == 0
    assert axis.tile % multiple == 0
    assert axis.tile <= request["tile"]
    assert axis.overlap > 2 * halo
    assert axis.overlap >= (asked_overlap or 0)
    assert axis.stride >= axis.overlap or axis.count == 1, "at most two tiles may meet"
    assert starts[0] <= -halo, "a halo of reflection before the scene"
    stop = starts[-1] + axis.tile
    assert stop >= axis.size + halo, "and after it"
    assert stop - (axis.size + axis.pad) < max(axis.count * multiple, axis.overlap), (
        "little of it computed in vain"
    )


@given(requests())
def test_tiles_keep_to_the_grid_and_the_size_asked_for(request):
    plan = TilePlan.fit(**request)
    check_axis(plan.rows, request, request["overlap"])
    check_axis(plan.cols, request, request["overlap"])
    assert plan.tiles == plan.rows.count * plan.cols.count


@settings(max_examples=50)
@given(requests(largest=120))
def test_every_pixel_is_completed_once_by_a_tile_that_covers_it(request):
    plan = TilePlan.fit(**request)
    times = np.zeros((request["height"], request["width"]), int)
    for row in range(plan.rows.count):
        for col in range(plan.cols.count):
            done, seen = plan.completed_window(row, col), plan.window(row, col)
            times[done.slices()] += 1
            if done.height and done.width:
                assert seen.row <= done.row < done.stop_row <= seen.stop_row
                assert seen.col <= done.col < done.stop_col <= seen.stop_col
    assert (times == 1).all()


@pytest.mark.parametrize(
    ("halo", "multiple", "tile"), [(3, 8, 16), (8, 8, 48), (48, 8, 256), (5, 1, 23), (0, 4, 9)]
)
def test_no_size_from_1_up_leaves_a_pixel_out(halo, multiple, tile):
    for size in range(1, 3 * tile + 2):
        plan = TilePlan.fit(size, 1, tile=tile, halo=halo, multiple=multiple)
        axis = plan.rows
        times = np.zeros(size, int)
        for index in range(axis.count):
            done = plan.completed_window(index, 0)
            times[done.row : done.stop_row] += 1
            # The next tile has no weight on what this one completes: it begins with a halo of
            # zeros.
            assert index == axis.count - 1 or done.stop_row <= max(axis.start(index + 1) + halo, 0)
        assert (times == 1).all(), size


@given(requests(largest=300), st.integers(1, 5))
def test_slabs_are_whole_rows_of_tiles_and_cover_the_scene_once(request, step):
    plan = TilePlan.fit(**request)
    slabs = list(plan.slabs(step))
    assert [slab.index for slab in slabs] == list(range(len(slabs)))
    assert [row for slab in slabs for row in range(slab.first, slab.stop)] == list(
        range(plan.rows.count)
    )
    assert all(slab.stop - slab.first == step for slab in slabs[:-1])
    assert [row for slab in slabs for row in range(slab.window.row, slab.window.stop_row)] == list(
        range(request["height"])
    )
    assert all((slab.window.col, slab.window.width) == (0, request["width"]) for slab in slabs)
    for slab in slabs:
        done = [plan.completed_window(row, 0) for row in range(slab.first, slab.stop)]
        assert (done[0].row, done[-1].stop_row) == (slab.window.row, slab.window.stop_row)


@given(st.integers(0, 60), st.sampled_from([1, 2, 8]), st.integers(0, 200))
def test_an_overlap_that_does_not_exceed_two_halos_is_refused(halo, multiple, overlap):
    assume(up(overlap, multiple) <= 2 * halo)
    with pytest.raises(
        RecipeError,
        match=rf"overlap of {up(overlap, multiple)} px.*--overlap {up(2 * halo + 1, multiple)}",
    ):
        TilePlan.fit(500, 500, tile=10_000, overlap=overlap, halo=halo, multiple=multiple)


@given(st.integers(0, 60), st.sampled_from([1, 2, 8]), st.integers(1, 300))
def test_a_tile_below_two_overlaps_is_refused_with_a_cure(halo, multiple, tile):
    least = 2 * up(2 * halo + 1, multiple)
    assume(tile < least)
    with pytest.raises(RecipeError, match=rf"tile of {tile} px.*--tile {least}"):
        TilePlan.fit(500, 500, tile=tile, halo=halo, multiple=multiple)
    assert TilePlan.fit(500, 500, tile=least, halo=halo, multiple=multiple).rows.tile <= least


def test_a_scene_that_fits_is_one_tile_no_larger_than_it_needs():
    plan = TilePlan.fit(100, 37, tile=1024, halo=8, multiple=8)
    assert plan.tiles == 1
    assert (plan.rows.tile, plan.cols.tile) == (120, 56)


@settings(max_examples=200)
@given(requests(largest=10**7))
def test_scenes_of_any_size_are_completed(request):
    """Too many pixels to count: what tiles complete begins where the last one's ends."""
    plan = TilePlan.fit(**request)
    axis, settled = plan.rows, plan.settled_pixels(plan.rows)
    some = (
        range(axis.count)
        if axis.count < 1000
        else [0, 1, 2, axis.count // 2, axis.count - 2, axis.count - 1]
    )
    for index in some:
        start, stop = axis.completed_range(index, settled)
        assert start == (axis.completed_range(index - 1, settled)[1] if index else 0)
        assert axis.start(index) <= start <= stop <= axis.start(index) + axis.tile
    start, stop = axis.completed_range(axis.count - 1, settled)
    assert start < stop == axis.size
