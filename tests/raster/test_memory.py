import numpy as np
import pytest

from geoae.raster.memory import ArraySink, ArraySource, write_into
from geoae.tiling.plan import TilePlan
from geoae.tiling.window import Window
from tests.support.rasters import texture

NODATA = 7
PIXELS = (texture(3, 50, 70) * 0.9 + 100).astype(np.uint16)
PIXELS[1, 10:20, 5:60] = NODATA


@pytest.mark.parametrize("changed", ["pixels", "mask", "nodata"])
def test_the_identity_of_an_array_tells_whether_it_is_another(changed):
    same = {"pixels": PIXELS, "mask": PIXELS != NODATA, "nodata": [NODATA] * 3}
    others = {"pixels": PIXELS + 1, "mask": None, "nodata": [0] * 3}
    identity = ArraySource(**same).identity
    assert ArraySource(**same).identity == identity
    assert ArraySource(**same | {changed: others[changed]}).identity != identity


def test_some_rows_are_read_as_the_scene_is():
    part = ArraySource(PIXELS[:, 20:45], row=20, rows=50)
    pixels, _ = part.read(Window(22, -3, 20, 30))
    np.testing.assert_array_equal(pixels, ArraySource(PIXELS).read(Window(22, -3, 20, 30))[0])


def test_values_that_hold_no_measurement_are_invalid():
    pixels = texture(2, 9, 9).astype(np.float32)
    pixels[0, 2, 3], pixels[1, 4, 5] = np.nan, 7
    _, valid = ArraySource(pixels, nodata=[None, 7]).read(Window(0, 0, 9, 9))
    assert np.argwhere(~valid).tolist() == [[0, 2, 3], [1, 4, 5]]
    assert ArraySource(np.ones((1, 4, 4), np.uint8)).read(Window(0, 0, 4, 4))[1] is None


def test_a_mask_outweighs_values():
    mask = np.ones(PIXELS.shape, bool)
    mask[2, 0, 0] = False
    _, valid = ArraySource(PIXELS, mask, [NODATA] * 3).read(Window(0, 0, 50, 70))
    np.testing.assert_array_equal(valid, mask)


def test_windows_are_written_where_they_lie_in_the_scene():
    """The array begins at row 20 of the scene, and all slabs go into it."""
    plan = TilePlan.fit(200, 90, tile=64, halo=8, multiple=8)
    array = ArraySink(np.zeros((1, 30, 90), np.int16), row=20)
    open_part = write_into(array)
    for slab, row, value in zip(plan.slabs(), (20, 45), (1, 2), strict=False):
        with open_part(slab) as part:
            part.write(Window(row, 80, 5, 10), np.full((1, 5, 10), value, np.int16))
    expected = np.zeros((1, 30, 90), np.int16)
    expected[:, :5, 80:], expected[:, 25:, 80:] = 1, 2
    np.testing.assert_array_equal(array.pixels, expected)
