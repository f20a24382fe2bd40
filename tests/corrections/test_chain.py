import numpy as np
import pytest
import rasterio

from geoae.corrections.bursts import Bursts
from geoae.corrections.chain import PLANNERS, STEPS, Corrections, most_halo, plan_corrections
from geoae.corrections.lost_lines import LostLines
from geoae.corrections.sharpening import Sharpening
from geoae.corrections.stripes import Stripes
from geoae.radiometry.sharpness import RADIUS
from geoae.tiling.window import Window, reflect
from tests.corrections.support import (
    ROOM,
    corrected,
    plan_all,
    reader,
    scene,
    stripe,
    strips_of,
)
from tests.support.rasters import SHARED, noise

WINDOWS = [
    (0, 0, 60, 50),
    (70, 90, 64, 64),
    (150, 160, 50, 60),
    (41, 33, 17, 61),
    (-20, -9, 70, 50),
]


def damaged() -> np.ndarray:
    pixels = stripe(scene(), 30.0, angle=5.0, axis="column")
    pixels[0, 77] = pixels[1, 123] = pixels[1, 124] = pixels[2, :, 31] = 0
    pixels[np.random.default_rng(2).random(pixels.shape) < 1e-3] = 0
    return pixels


def test_the_order_is_lines_then_stripes_then_bursts_then_sharpening():
    noisy = damaged()
    noisy[1, 60] += np.random.default_rng(4).normal(0, 200, noisy.shape[2])
    planned = plan_all(noisy)
    assert [type(some) for some in planned.steps] == [LostLines, Stripes, Bursts]
    assert planned.sharpening is None, "only where it is asked for"
    found = planned.sharpen(Sharpening(0.2))
    assert found.sharpening == Sharpening(0.2)
    assert (found.halo, found.digest != planned.digest) == (planned.halo + RADIUS, True)
    assert type(found.steps[-1]) is Sharpening
    assert all("\n" not in line for line in found.describe([1, 2, 3]))
    assert found.halo <= most_halo(STEPS, sharpens=True)


def test_lines_name_the_bands():
    noisy = damaged()
    noisy[1, 60] += np.random.default_rng(4).normal(0, 200, noisy.shape[2])
    noisy[2] = scene()[2]
    lost, stripes, bursts = plan_all(noisy).describe([2, 5, 7])
    assert lost.startswith("lost 3 rows in bands 2, 5; pixels of value 0 in bands 2, 5 filled")
    assert "removed in bands 2, 5; they" in stripes
    assert "noise in 1 row of band 5, " in bursts


def test_lines_name_the_bands_of_a_scene_that_has_more():
    found = plan_all(damaged()[:2]).embed([1, 3], 4)
    lost, stripes = found.describe([4, 5, 6, 7])
    assert lost.startswith("lost 3 rows in bands 5, 7;")
    assert "removed in bands 5, 7; they" in stripes


def test_only_what_is_chosen_needs_pixels_around():
    assert most_halo(("noise",), sharpens=False) == 0
    assert most_halo(("stripes", "noise"), sharpens=True) == RADIUS
    assert most_halo(("lines",), sharpens=False) == most_halo(("lines", "pixels"), sharpens=False)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_any_window_has_the_bits_of_the_whole(dtype, masked):
    pixels = damaged().astype(dtype)
    mask = np.ones(pixels.shape, bool) if masked else None
    if mask is not None:
        mask[:, 60:90, 20:110] = False
    height, width = pixels.shape[1:]
    read = plan_all(pixels, mask).wrap(reader(pixels, mask), height, width)
    whole, _ = read(Window(0, 0, height, width))
    assert (whole != pixels).any()
    for row, col, rows, cols in WINDOWS:
        part, _ = read(Window(row, col, rows, cols))
        expected = whole[:, reflect(row, rows, height)][:, :, reflect(col, cols, width)]
        assert part.tobytes() == np.ascontiguousarray(expected).tobytes()
    if mask is not None:
        assert np.array_equal(whole[~mask], pixels[~mask])


def test_a_clean_scene_is_read_as_it_is():
    pixels = scene()
    read = reader(pixels)
    assert plan_all(pixels).digest == ""
    assert Corrections().wrap(read, *pixels.shape[1:]) is read


@pytest.mark.parametrize(("dtype", "patterns"), [(np.float32, 1), (np.uint16, 0)])
def test_stripes_weaker_than_rounding_are_left_in_integers(dtype, patterns):
    flat = (1000 + noise((1, 400, 400), 1.0)).astype(np.float32)
    pixels = np.rint(stripe(flat, 0.2, angle=0.0, axis="row", detectors=4)).astype(dtype)
    assert len(plan_all(pixels).steps) == patterns


def test_a_correction_is_planned_from_what_the_earlier_ones_left(monkeypatch):
    seen = []

    def look(strips, block, height, width, clean):
        rows = [clean(strip)[:, strip.shared :] for strip in strips()]
        seen.append((block.values, np.concatenate(rows, axis=1)))
        return []

    pixels, shape = damaged(), ROOM[1:]
    for name in ("first", "second"):
        monkeypatch.setitem(PLANNERS, name, look)
    planned = plan_corrections(strips_of(pixels), *shape, ["lines", "stripes", "first", "second"])
    whole = planned.apply(pixels, None, Window(0, 0, *shape))
    assert len(seen) == 2
    for block, rows in seen:
        assert np.array_equal(block, whole)
        assert np.array_equal(rows, whole)


def test_what_is_invalid_has_no_influence():
    mask = np.ones((3, 200, 220), bool)
    mask[:, 40:90, 60:100] = False
    results = []
    for value in (np.nan, -1e30):
        pixels = damaged()
        pixels[~mask] = value
        results.append(corrected(pixels, mask)[mask])
    assert results[0].tobytes() == results[1].tobytes()


def test_means_of_bands_stay():
    pixels = stripe(scene(), 20.0, angle=0.0, axis="column")
    change = corrected(pixels).astype(np.float64) - pixels
    assert np.abs(change).mean() > 5
    assert np.abs(change.mean(axis=(1, 2))).max() < 0.01


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize(
    "name",
    [
        "l8_loonlake_4band_30m.tif",
        "landsat_peru_2020_4band.tif",
        "neon_harv/harv_025.tif",
        "s2_wildfire/LISA_20240616_post.tif",
        "wv2_rotterdam_pan3.tif",
    ],
)
def test_clean_real_scenes_stay(name):
    with rasterio.open(SHARED / "scenes/train" / name) as dataset:
        pixels, mask = dataset.read(), dataset.read_masks() != 0
    assert plan_all(pixels, None if mask.all() else mask).digest == ""
