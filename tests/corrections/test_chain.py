import numpy as np
import pytest
import rasterio

from geoae.corrections.chain import CORRECTIONS, Corrections
from geoae.tiling.window import Window, reflect
from tests.corrections.support import corrected, plan_all, reader, scene, stripe
from tests.support.rasters import SHARED

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


def test_the_order_is_lines_then_stripes_then_bursts():
    assert list(CORRECTIONS) == ["lost-lines", "stripes", "bursts"]
    noisy = damaged()
    noisy[1, 60] += np.random.default_rng(4).normal(0, 200, noisy.shape[2])
    found = plan_all(noisy)
    assert [type(some) for some in found.steps] == list(CORRECTIONS.values())
    assert all("\n" not in line for line in found.describe())


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
