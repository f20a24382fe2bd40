"""A claim of a file is held against name and values, and a person's word outweighs all."""

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from scipy import ndimage

from geoae.radiometry.band_names import CLASSES, Meaning
from geoae.raster.measurement import BY_VALUES, Claims, Verdict, is_alpha, judge
from geoae.system.warnings import SILENCE
from geoae.tiling.window import windows
from tests.support.rasters import SHARED, noise, texture

SIDE = 600
ROWS, COLS = np.mgrid[:SIDE, :SIDE]
FOOTPRINT = (np.abs(ROWS - 300 + (COLS - 300) / 3) < 180) & (
    np.abs(COLS - 300 - (ROWS - 300) / 3) < 210
)
INSIDE = ndimage.distance_transform_edt(FOOTPRINT)
HILLS = texture(1, SIDE, SIDE)[0]
HILLS = (HILLS - HILLS.min()) / np.ptp(HILLS)
NOISY = HILLS * 160 + 20 + noise((SIDE, SIDE), 8)


def sampled(band):
    return [band[window.slices()] for window in windows(*band.shape)]


def whole(values, dtype="uint8", low=0, high=255):
    return np.clip(np.rint(values), low, high).astype(dtype)


def lossy(band):
    with SILENCE, MemoryFile() as memory:
        profile = {
            "driver": "GTiff",
            "height": SIDE,
            "width": SIDE,
            "count": 1,
            "dtype": "uint8",
            "compress": "jpeg",
        }
        with memory.open(**profile) as dataset:
            dataset.write(band, 1)
        with memory.open() as dataset:
            return dataset.read(1)


ALPHAS = {
    "a cut-out": whole(FOOTPRINT * 255),
    "opaque": np.full((SIDE, SIDE), 255, np.uint8),
    "transparent": np.zeros((SIDE, SIDE), np.uint8),
    "half transparent": np.full((SIDE, SIDE), 128, np.uint8),
    "of 0 and 1": FOOTPRINT.astype(np.uint8),
    "of 16 bits": whole(FOOTPRINT * 65535, "uint16", high=65535),
    "of 8 in 16 bits": whole(FOOTPRINT * 255, "uint16"),
    "in steps": whole(FOOTPRINT * 127 + (INSIDE > 30) * 128),
    "in three steps without an end": whole(60 + FOOTPRINT * 60 + (INSIDE > 30) * 60),
    "of lossy tiles": lossy(whole(FOOTPRINT * 255)),
    **{
        f"feathered over {width} px": whole(255 * np.clip(INSIDE / width, 0, 1))
        for width in (2, 8, 40, 120)
    },
    **{
        f"blurred by {width} px": whole(ndimage.gaussian_filter(FOOTPRINT * 255.0, width))
        for width in (1, 4, 15, 40)
    },
    "blurred, of 16 bits": whole(
        ndimage.gaussian_filter(FOOTPRINT * 65535.0, 15), "uint16", high=65535
    ),
    "blurred, of floating point": ndimage.gaussian_filter(FOOTPRINT * 1.0, 15).astype(np.float32),
    "blurred, of lossy tiles": lossy(whole(ndimage.gaussian_filter(FOOTPRINT * 255.0, 15))),
    "with nodata": np.where(FOOTPRINT, 255.0, np.nan),
}
MEASUREMENTS = {
    "noisy": whole(NOISY),
    "with a black collar": whole(NOISY * FOOTPRINT),
    "with a white collar": whole(np.where(FOOTPRINT, NOISY, 255)),
    "a tenth of it saturated": whole((NOISY - 60) * 2.3),
    "dark": whole(NOISY / 16),
    "of 16 bits": whole(NOISY * 20, "uint16", high=65535),
    "of 16 bits with hot pixels": whole(
        np.where((ROWS % 97 == 0) & (COLS % 89 == 0), 65535, NOISY * 20), "uint16", high=65535
    ),
    "of reflectance": (NOISY / 500).astype(np.float32),
    "far from 0": whole(5000 + NOISY / 3, "uint16", high=65535),
    "with negatives": whole(NOISY - 100, "int16", -999, 999),
    "with nodata": np.where(FOOTPRINT, NOISY, np.nan),
}


@pytest.mark.parametrize("name", ALPHAS)
def test_an_alpha_is_one(name):
    assert is_alpha(sampled(ALPHAS[name]))


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_measurement_is_no_alpha(name):
    assert not is_alpha(sampled(MEASUREMENTS[name]))


@given(
    level=st.floats(10, 200),
    spread=st.floats(0, 80),
    sigma=st.floats(1.5, 20),
    dark=st.floats(0, 0.9),
)
def test_whatever_is_noisy_is_no_alpha(level, spread, sigma, dark):
    scene = level + spread * HILLS[:192, :192] + noise((192, 192), sigma)
    assert not is_alpha([whole(np.where(ROWS[:192, :192] < 192 * dark, 0, scene))])


@given(row=st.integers(-300, 300), col=st.integers(-300, 300), blur=st.floats(0, 30))
def test_whatever_is_cut_out_is_an_alpha(row, col, blur):
    cut = ndimage.gaussian_filter(
        ndimage.shift(FOOTPRINT[::3, ::3] * 255.0, (row / 3, col / 3), order=0), blur / 3
    )
    assert is_alpha([whole(cut)])


@pytest.mark.parametrize(
    "name",
    [
        "l7_gewata_6band_30m",
        "naip_nd_20170827_5m",
        "l8_elkton_VA_8band_30m",
        "s1_camargue_vv_db_20m",
    ],
)
def test_no_band_of_a_real_scene_is_an_alpha(name):
    path = SHARED / "scenes/train" / f"{name}.tif"
    if not path.exists():
        pytest.skip("../shared is absent")
    with rasterio.open(path) as dataset:
        for band in dataset.read():
            assert not is_alpha(sampled(band))


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        (Claims(ColorInterp.gray, "red"), None),
        (Claims(ColorInterp.undefined, "mass"), None),
        (Claims(ColorInterp.palette), "palette"),
        (Claims(ColorInterp.gray, bits="1"), "1-bit mask"),
        (Claims(ColorInterp.gray, "cloud_mask"), "quality or class band"),
        (Claims(ColorInterp.gray, "Band 4 (quality assured)"), None),
        (Claims(ColorInterp.gray, file=Meaning(CLASSES)), CLASSES),
        (Claims(ColorInterp.gray, "red", classified=True), CLASSES),
    ],
)
def test_what_files_say(claims, kind):
    assert judge(claims) == Verdict(kind)
    assert judge(claims, asked=True) == Verdict(None, against=kind)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("", "a cut-out", "alpha"),
        ("", "noisy", None),
        ("NIR", "noisy", None),
        ("near_infrared", "a tenth of it saturated", None),
        ("NIR", "blurred by 15 px", None),
        ("NIR", "a cut-out", "alpha"),
        ("alpha", "noisy", "alpha"),
        ("QA_PIXEL", "noisy", "quality or class band"),
    ],
)
def test_the_tag_alpha_is_held_against_name_and_values(name, values, kind):
    verdict = judge(Claims(ColorInterp.alpha, name), sampled((ALPHAS | MEASUREMENTS)[values]))
    assert verdict == Verdict(kind, None if kind else "alpha")


PATCHES = np.digitize(HILLS + noise((SIDE, SIDE), 0.03), [0.3, 0.5, 0.7])
FLAGS = np.array([21824, 22280, 21952, 54596], np.uint16)[PATCHES]


@pytest.mark.parametrize(
    ("name", "values", "verdict"),
    [
        ("", FLAGS, Verdict(BY_VALUES)),
        ("band 3", FLAGS, Verdict(BY_VALUES)),
        ("cloud", whole(FOOTPRINT), Verdict(CLASSES)),
        ("cloud", PATCHES, Verdict(CLASSES)),
        ("cloud", NOISY, Verdict(None, CLASSES)),
        ("class A red", PATCHES, Verdict(None)),
        ("", PATCHES, Verdict(None)),
        ("", whole(NOISY), Verdict(None)),
    ],
)
def test_values_decide_where_the_name_does_not(name, values, verdict):
    assert judge(Claims(ColorInterp.gray, name), sampled(values)) == verdict
    asked = judge(Claims(ColorInterp.gray, name), sampled(values), asked=True)
    assert asked.kind is None
    assert judge(Claims(ColorInterp.gray, restored=True), sampled(FLAGS)) == Verdict(None)


def test_what_geoae_has_restored_stays_a_measurement():
    smooth = sampled(whole(ndimage.gaussian_filter(FOOTPRINT * 255.0, 15)))
    assert judge(Claims(ColorInterp.alpha, restored=True), smooth) == Verdict(None, "alpha")
