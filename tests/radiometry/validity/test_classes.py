"""Flags and classes are told from measurements of few values by how neighbours differ."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from geoae.radiometry.validity.classes import count_levels, gather_values, is_classes
from geoae.tiling.window import windows
from tests.support.rasters import SHARED, noise, texture

SIDE = 400
HILLS = texture(1, SIDE, SIDE)[0]
HILLS = (HILLS - HILLS.min()) / np.ptp(HILLS)
NOISY = HILLS + noise((SIDE, SIDE), 0.05)
SMOOTH = ndimage.gaussian_filter(NOISY, 2)
CLOUD, EDGE, WATER = SMOOTH > 0.7, (SMOOTH > 0.62) & (SMOOTH <= 0.7), SMOOTH < 0.3


def sampled(band):
    return [band[window.slices()] for window in windows(*band.shape)]


def levels(values, count, dtype=np.uint8):
    return np.clip(np.rint(values * (count - 1)), 0, count - 1).astype(dtype)


FLAGS = {
    "Landsat's bits": np.select([CLOUD, EDGE, WATER], [22280, 21826, 21952], 21824),
    "Landsat's bits, pixel by pixel": np.select(
        [NOISY > 0.7, NOISY < 0.3, NOISY < 0.4], [22280, 21952, 23888], 21824
    ),
    "bits of 32": np.select([CLOUD, EDGE, WATER], [44, 768, 114688], 0) + (1 << 30),
    "bits of Sentinel-2": np.select([CLOUD, EDGE], [1024, 2048], 0),
    "bits of HLS": CLOUD * 2
    + EDGE * 4
    + WATER * 32
    + 64 * np.digitize(SMOOTH[::-1], [0.2, 0.4, 0.6]),
    "land cover": np.array([30, 10, 70, 20, 50, 90])[
        np.digitize(SMOOTH, [0.2, 0.3, 0.4, 0.5, 0.6])
    ],
    "a mask": CLOUD * 1,
    "a mask of 255, pixel by pixel": (NOISY > 0.6) * 255,
    "of floating point with gaps": np.where(
        np.mgrid[:SIDE, :SIDE][0] < 50, np.nan, np.select([CLOUD, EDGE], [1024.0, 2048.0], 0)
    ),
}
MEASUREMENTS = {
    **{f"of {count} levels": levels(NOISY, count) for count in (3, 4, 6, 8, 16, 64, 256)},
    **{f"smooth, of {count} levels": levels(SMOOTH, count) for count in (3, 6, 16, 100)},
    "thresholded": np.where(NOISY > 0.5, levels(NOISY, 256), 0),
    "thresholded, of 8 levels": np.where(NOISY > 0.5, levels(NOISY, 8), 0),
    "saturated": levels((NOISY - 0.35) * 3, 256),
    "saturated, of 6 levels": levels((NOISY - 0.35) * 3, 6),
    "stretched": (levels(NOISY, 16, np.uint16) * 257).astype(np.uint16),
    "stretched by a curve": np.rint((np.arange(16) / 15) ** 0.45 * 255)[levels(NOISY, 16)],
    "with hot pixels": np.where(noise((SIDE, SIDE), 1) > 2.8, 255, levels(NOISY, 16)),
    "enlarged": np.kron(levels(NOISY[::4, ::4], 32), np.ones((4, 4), np.uint8)),
    "of reflectance": NOISY.astype(np.float32),
    "dark": levels(NOISY / 30, 256),
    "of counts": np.random.default_rng(0).poisson(0.3, (SIDE, SIDE)),
    "of one value": np.full((SIDE, SIDE), 7),
    "without a valid pixel": np.full((SIDE, SIDE), np.nan),
    "with gaps": np.where(WATER, np.nan, levels(NOISY, 16)),
}


@pytest.mark.parametrize("name", FLAGS)
def test_flags_are_told(name):
    assert is_classes(sampled(np.asarray(FLAGS[name])))


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_measurements_are_not_taken_for_flags(name):
    assert not is_classes(sampled(MEASUREMENTS[name]))


@given(
    count=st.integers(3, 64),
    sigma=st.floats(0.02, 0.5),
    gain=st.integers(1, 40),
    low=st.floats(-0.3, 0.6),
    high=st.floats(0.7, 1.3),
)
def test_no_quantised_scene_is_lost(count, sigma, gain, low, high):
    scene = (HILLS[:192, :192] + noise((192, 192), sigma) - low) / (high - low)
    assert not is_classes([levels(scene, count, np.int64) * gain])


@given(seed=st.integers(0, 1000), count=st.integers(3, 20), size=st.floats(2, 8))
def test_no_map_of_unordered_classes_is_restored(seed, count, size):
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=(160, 160)), size) for _ in range(count)]
    names = rng.choice(250, count, replace=False)
    assert is_classes([names[np.argmax(fields, axis=0)]])


def test_few_windows_are_read_of_a_measurement():
    read = []

    def window_of(band):
        def get(window):
            read.append(window)
            return band[window.slices()]

        return get

    gather_values(window_of(levels(np.tile(NOISY, (3, 3)), 256)), 3 * SIDE, 3 * SIDE)
    assert len(read) == 1
    found = gather_values(window_of(np.tile(FLAGS["a mask"], (3, 3))), 3 * SIDE, 3 * SIDE)
    assert len(found) == 16
    assert count_levels(found) == 2


@pytest.mark.parametrize("folder", ["scenes/train", "scenes/real_noise"])
def test_no_band_of_a_real_scene_is_lost(folder):
    paths = [
        path for path in sorted((SHARED / folder).rglob("*")) if path.suffix in (".tif", ".jp2")
    ]
    if not paths:
        pytest.skip("../shared is absent")
    for path in paths[::3]:
        with rasterio.open(path) as dataset:
            if dataset.dtypes[0].startswith("complex"):
                continue
            for band in dataset.indexes[:3]:
                window = next(iter(windows(*dataset.shape)))
                values = dataset.read(band, window=window.slices()).astype(float)
                values[values == dataset.nodatavals[band - 1]] = np.nan
                assert not is_classes([values]), (path.name, band)
