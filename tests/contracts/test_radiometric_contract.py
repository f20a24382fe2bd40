"""With the shipped model on a real scene: levels stay, nothing is truncated or wrapped, what is no
measurement is copied.
"""

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

import geoae
from geoae.simulation import Gaussian
from tests.support.rasters import SHARED, read, write

SCENE = SHARED / "scenes/train/l8_224078_20200518_rgb_30m.tif"
pytestmark = pytest.mark.skipif(not SCENE.exists(), reason="../shared is absent")

SIDE, BLOCK = 256, 64
SIGMA = 40.0
# Tolerances, in the noise's own deviation: of the mean of a block of 64 x 64 px, and of a whole
# band.
OF_A_BLOCK, OF_A_BAND = 0.05, 0.01
SATURATED, NEGATIVE = np.s_[70:100, 70:100], np.s_[150:190, 10:60]
LIMIT = np.iinfo(np.int16).max
SCALES, OFFSETS = (2e-5, 2e-5, 2e-5, 1.0, 1.0, 1.0), (-0.1, -0.1, -0.1, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The noisy scene as int16 and as float32, and both restored; the third with one band asked
    for.
    """
    folder = tmp_path_factory.mktemp("contract")
    with rasterio.open(SCENE) as dataset:
        clean = dataset.read(window=((0, SIDE), (0, SIDE))).astype(np.float64)
    span = np.percentile(clean, 99.5, axis=(1, 2)) - np.percentile(clean, 0.5, axis=(1, 2))
    clean = (clean - clean.mean(axis=(1, 2))[:, None, None]) / span[:, None, None] * 1000 + 500
    clean[:, *NEGATIVE] -= 3000
    rng = np.random.default_rng(5)
    noisy = np.rint(clean + rng.normal(0, SIGMA, clean.shape)).astype(np.int16)
    noisy[0][SATURATED] = LIMIT
    quality = rng.integers(0, LIMIT, (1, SIDE, SIDE), dtype=np.int16)
    classes = rng.integers(0, 12, (1, SIDE, SIDE), dtype=np.int16)
    mask = np.where(quality > 2000, 255, 0).astype(np.int16)
    pixels = np.concatenate([noisy, quality, classes, mask])
    sources = {}
    for dtype in ("int16", "float32"):
        sources[dtype] = write(folder / f"{dtype}.tif", pixels.astype(dtype))
        with rasterio.open(sources[dtype], "r+") as dataset:
            dataset.descriptions = ("red", "green", "blue", "QA_PIXEL", "land cover", "cloud mask")
            dataset.scales, dataset.offsets = SCALES, OFFSETS
    reports = {
        dtype: geoae.restore(source, folder / f"{dtype}_out.tif", precision="fp32")
        for dtype, source in sources.items()
    }
    reports["one"] = geoae.restore(
        sources["int16"], folder / "one_out.tif", precision="fp32", bands=[2]
    )
    return pixels, {name: read(report.target) for name, report in reports.items()}, reports


def measured(pixels: np.ndarray) -> np.ndarray:
    """Bands that are restored, without what was saturated, which has no noise to take away."""
    shown = pixels[:3].astype(np.float64)
    shown[(slice(None), *SATURATED)] = np.nan
    return shown


def test_block_means_and_band_means_stay(runs):
    noisy, restored, _ = runs
    moved = measured(restored["int16"]) - measured(noisy)
    assert np.nanstd(moved) > 0.5 * SIGMA, "something was taken away"
    grid = (3, SIDE // BLOCK, BLOCK, SIDE // BLOCK, BLOCK)
    blocks = np.nanmean(moved.reshape(grid), axis=(2, 4))
    assert np.abs(blocks).max() < OF_A_BLOCK * SIGMA
    assert np.abs(np.nanmean(moved, axis=(1, 2))).max() < OF_A_BAND * SIGMA


def test_integers_are_the_floats_rounded(runs):
    _, restored, _ = runs
    whole, exact = (
        restored["int16"][:3].astype(np.float64),
        restored["float32"][:3].astype(np.float64),
    )
    inside = np.abs(exact) < LIMIT - 1
    assert np.abs(whole - exact)[inside].max() <= 0.5 + 1e-2
    assert abs((whole - exact)[inside].mean()) < 0.005, "truncation would move it by a half"


def test_negatives_stay_negative_and_the_saturated_never_wrap(runs):
    noisy, restored, _ = runs
    patch = (slice(3), *NEGATIVE)
    before, after = noisy[patch].astype(float), restored["int16"][patch].astype(float)
    assert (after < 0).all()
    assert np.abs((after - before).mean(axis=(1, 2))).max() < OF_A_BLOCK * SIGMA
    high = restored["int16"][0][SATURATED]
    assert high.min() > 0.9 * LIMIT


def test_what_is_no_measurement_is_copied_and_said(runs):
    noisy, restored, reports = runs
    for name in ("int16", "float32"):
        assert reports[name].copied == dict.fromkeys((4, 5, 6), "quality or class band")
        assert (restored[name][3:] == noisy[3:]).all()


def test_bands_restores_some_and_copies_the_rest(runs):
    noisy, restored, reports = runs
    assert reports["one"].bands == [2]
    others = [0, 2, 3, 4, 5]
    assert (restored["one"][others] == noisy[others]).all()
    assert (restored["one"][1] != noisy[1]).mean() > 0.5
    assert reports["one"].copied[1] == reports["one"].copied[3] == "not among --bands"


def test_scales_and_offsets_are_carried(runs):
    for report in runs[2].values():
        with rasterio.open(report.target) as dataset:
            assert (dataset.scales, dataset.offsets) == (SCALES, OFFSETS)


@pytest.mark.filterwarnings("ignore:.*noise cannot be told from texture in band 4")
def test_a_real_band_of_texture_alone_stays_beside_bands_that_share_noise(tmp_path):
    def middle(name):
        with rasterio.open(SHARED / "scenes/train" / name) as dataset:
            row, col = (dataset.height - 256) // 2, (dataset.width - 256) // 2
            return dataset.read(window=Window(col, row, 256, 256))

    def left(target):
        return np.sqrt(np.square(read(target)[:3] * 1.0 - clean).mean(axis=(1, 2)))

    clean, alone = middle("s2_rgb8_baviaanskloof_10m.tif"), middle("uav_australia_rgb.tif")[:1]
    noisy = Gaussian(6.0, 0.8)(clean * 1.0, np.random.default_rng(1))
    noisy = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    rgb = write(tmp_path / "rgb.tif", noisy)
    every = write(tmp_path / "every.tif", np.concatenate([noisy, alone]), photometric="MINISBLACK")
    geoae.restore(rgb, tmp_path / "a.tif", precision="fp32")
    report = geoae.restore(every, tmp_path / "b.tif", precision="fp32")
    assert any("correlated from band to band by" in step for step in report.steps), report.steps
    assert np.array_equal(read(tmp_path / "b.tif")[3:], alone)
    # The fourth component costs as much beside independent noise.
    assert (left(tmp_path / "b.tif") < 1.15 * left(tmp_path / "a.tif")).all()
    assert (left(tmp_path / "b.tif") < 0.6 * left(every)).all()
