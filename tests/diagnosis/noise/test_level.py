import numpy as np
import pytest
import rasterio
from scipy import ndimage

from geoae.diagnosis.noise.level import estimate_noise, noise_model
from geoae.diagnosis.sampling import sample
from geoae.raster.memory import ArraySource
from tests.support.rasters import SHARED, noise, texture

SCENES = ["wv2_rotterdam_pan3.tif", "l8_224078_20200518_rgb_30m.tif", "neon_harv/harv_025.tif"]


def whole(pixels: np.ndarray, mask: np.ndarray | None = None) -> list:
    return [(pixels, np.ones(pixels.shape, bool) if mask is None else mask)]


@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("sigma", [3.0, 10.0, 25.0, 100.0])
def test_white_noise_on_texture_is_found_within_ten_percent(bands, sigma):
    pixels = texture(bands, 256, 256) + noise((bands, 256, 256), sigma)
    assert estimate_noise(whole(pixels)) == pytest.approx(np.full(bands, sigma), rel=0.1)


def test_each_band_has_its_own_noise():
    sigma = np.array([4.0, 40.0, 12.0])
    pixels = texture(3, 256, 256) + noise((3, 256, 256), 1.0) * sigma[:, None, None]
    assert estimate_noise(whole(pixels)) == pytest.approx(sigma, rel=0.1)


def test_noise_scales_with_the_pixels():
    pixels = texture(2, 200, 200) + noise((2, 200, 200), 10)
    assert estimate_noise(whole(50 * pixels + 3)) == pytest.approx(
        50 * estimate_noise(whole(pixels)), rel=1e-6
    )


def test_what_is_invalid_does_not_count():
    pixels = texture(1, 200, 200) + noise((1, 200, 200), 10)
    mask = np.ones(pixels.shape, bool)
    mask[:, 50:90, 60:120] = False
    found = []
    for value in (0.0, 1e9):
        pixels[~mask] = value
        found.append(estimate_noise(whole(pixels, mask)))
    assert np.array_equal(*found)
    assert found[0] == pytest.approx([10], rel=0.1)


def hills(bands: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    found = ndimage.gaussian_filter(
        np.random.default_rng(seed).normal(size=(bands, height, width)), (0, 6, 6)
    )
    return 2500 * found / np.ptp(found)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize(
    ("height", "width", "lost"), [(28, 28, 0), (9, 120, 0), (50, 40, 0), (120, 120, 0.1)]
)
def test_the_noise_of_few_patches_is_not_too_low(bands, height, width, lost, seed):
    pixels = hills(bands, height, width, seed) + noise((bands, height, width), 40, seed)
    mask = np.random.default_rng(seed).random((1, height, width)) >= lost
    found = estimate_noise(whole(pixels, np.broadcast_to(mask, pixels.shape)))
    assert found == pytest.approx(np.full(bands, 40), rel=0.15)


def test_each_band_counts_where_it_is_valid():
    sigma = np.array([10.0, 40.0, 20.0, 30.0, 50.0])
    pixels = hills(5, 120, 240) / 5 + noise((5, 120, 240), 1) * sigma[:, None, None]
    mask = np.ones(pixels.shape, bool)
    mask[0, :, 100:] = False
    mask[1, :, :140] = False
    mask[2] = False
    mask[3, 30:] = False
    found = estimate_noise(whole(np.where(mask, pixels, np.nan), mask))
    assert found == pytest.approx(sigma * [1, 1, 0, 1, 1], rel=0.1)
    model, slope = noise_model(whole(np.where(mask, pixels, np.nan), mask))
    assert model.tolist() == found.tolist()
    assert not slope.any()


def test_texture_that_some_bands_share_is_told_from_noise_beside_an_empty_band():
    """The texture is as fine as noise, so that no band could tell by itself."""
    texture = 60 * np.random.default_rng(0).normal(size=(1, 200, 200))
    pixels = np.array([1.0, 2.0, 1.5, 0.0])[:, None, None] * texture + noise((4, 200, 200), 10)
    mask = np.ones(pixels.shape, bool)
    mask[3] = False
    assert estimate_noise(whole(pixels, mask)) == pytest.approx([10, 10, 10, 0], rel=0.25)


def test_noise_that_grows_is_told_at_the_mean_of_all_that_is_valid_of_a_band():
    clean = np.linspace(100, 3000, 400)[None, None] * np.ones((2, 300, 400))
    noisy = clean + np.sqrt(clean) * noise(clean.shape, 1)
    mask = np.ones(clean.shape, bool)
    mask[1, :, 200:] = False
    sigma, slope = noise_model(whole(noisy, mask))
    means = [clean[band][mask[band]].mean() for band in (0, 1)]
    np.testing.assert_allclose(sigma, np.sqrt(means), rtol=0.1)
    np.testing.assert_allclose(slope, 1, rtol=0.3)


@pytest.mark.parametrize("shape", [(2, 100, 100), (1, 1, 1), (3, 4, 200), (1, 8, 8)])
def test_constant_or_tiny_scenes_have_no_noise(shape):
    assert not estimate_noise(whole(np.full(shape, 7.0))).any()


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("level", [15, 25, 50])
def test_real_ground_does_not_pass_for_noise(name, level):
    """Truth is the root of what was added squared plus the scene's own floor squared."""
    with rasterio.open(SHARED / "scenes/train" / name) as dataset:
        pixels = dataset.read()[:, :768, :768].astype(np.float64)
    span = np.subtract(*np.percentile(pixels, [99.5, 0.5], axis=(1, 2)))
    added = level / 255 * span

    def estimated(scene: np.ndarray) -> np.ndarray:
        return estimate_noise(sample(ArraySource(scene).read, *scene.shape[1:]))

    floor = estimated(pixels)
    truth = np.hypot(added, floor)
    assert estimated(pixels + noise(pixels.shape, 1.0) * added[:, None, None]) == pytest.approx(
        truth, rel=0.1
    )


@pytest.mark.parametrize("bands", [1, 3])
def test_constant_noise_does_not_grow_with_the_signal(bands):
    pixels = texture(bands, 200, 200) + noise((bands, 200, 200), 12)
    sigma, slope = noise_model(whole(pixels))
    assert not slope.any()
    np.testing.assert_array_equal(sigma, estimate_noise(whole(pixels)))


@pytest.mark.parametrize("bands", [1, 3])
def test_shot_noise_of_a_mostly_dark_scene_is_told_at_its_mean(bands):
    hills = np.maximum(texture(bands, 300, 300) - 700, 20)
    clean = np.where(np.arange(300) < 240, hills, hills + 1500)
    gain, read_out = 2.0, 3.0
    noisy = clean + np.sqrt(gain * clean + read_out**2) * noise(clean.shape, 1)
    sigma, slope = noise_model(whole(noisy))
    np.testing.assert_allclose(
        sigma, np.sqrt(gain * clean.mean(axis=(1, 2)) + read_out**2), rtol=0.15
    )
    np.testing.assert_allclose(slope, gain, rtol=0.3)


def test_a_collar_of_zeros_does_not_hide_the_noise_of_the_land():
    rng = np.random.default_rng(0)
    land = rng.uniform(1000, 1200, (1, 448, 1)) * np.ones((1, 448, 448))
    noisy = land + np.sqrt(100 + 3 * (land - 1000)) * rng.normal(size=land.shape)
    for rows in (0, 56, 66, 90):
        pixels = np.round(noisy)
        pixels[:, :rows] = 0
        sigma, slope = noise_model(whole(pixels))
        told = np.sqrt(sigma**2 + slope * (1100 - pixels.mean()))
        assert told == pytest.approx(20, rel=0.2)


def test_a_dark_lake_whose_noise_is_off_the_line_makes_no_line():
    rng = np.random.default_rng(0)
    land = rng.uniform(1000, 1200, (1, 448, 1)) * np.ones((1, 448, 448))
    noisy = land + np.sqrt(100 + 3 * (land - 1000)) * rng.normal(size=land.shape)
    noisy[:, :90] = 200 + rng.normal(0, 1, (90, 448))
    sigma, slope = noise_model(whole(noisy))
    assert not slope.any()
    np.testing.assert_array_equal(sigma, estimate_noise(whole(noisy)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("share", "sea", "land"), [(0.3, 10, (500, 1000)), (0.5, 1, (1000, 3000))])
def test_dark_water_does_not_decide_how_noisy_the_land_is(share, sea, land, seed):
    clean = np.linspace(*land, 400)[None, :, None] * np.ones((1, 400, 400))
    clean[:, : int(share * 400)] = sea
    noisy = clean + np.sqrt(clean) * np.random.default_rng(seed).normal(size=clean.shape)
    sigma, slope = noise_model(whole(noisy))
    assert sigma == pytest.approx(np.sqrt(clean.mean()), rel=0.06)
    assert slope == pytest.approx(1, rel=0.2)


def test_copies_of_a_band_do_not_hide_its_noise():
    grey = texture(1, 200, 200) + noise((1, 200, 200), 12)
    alone = estimate_noise(whole(grey))
    np.testing.assert_allclose(alone, 12, rtol=0.1)
    np.testing.assert_allclose(
        estimate_noise(whole(np.concatenate([grey, grey, 2 * grey]))), alone * [1, 1, 2], rtol=1e-6
    )


def clipped(
    clean: np.ndarray, sigma: np.ndarray | float, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """``clean`` (band, row, col) lowered, but not below zero, and under noise clipped at zero in
    ``share`` of its pixels.
    """
    added = sigma * noise(clean.shape, 1.0)

    def lowered(by: float) -> np.ndarray:
        return np.maximum(clean - by, 0.0)

    low, high = clean.min() - 10 * np.max(sigma), clean.max()
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if (lowered(middle) + added <= 0).mean() < share else (low, middle)
        )
    return lowered(low), np.maximum(lowered(low) + added, 0.0)


@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.15])
@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_noise_clipped_at_zero_is_found_as_it_was_before(bands, share, dtype):
    _, noisy = clipped(texture(bands, 256, 256), 60.0, share)
    sigma, slope = noise_model(
        whole(np.round(noisy).astype(dtype) if dtype is np.uint16 else noisy.astype(dtype))
    )
    assert sigma == pytest.approx(np.full(bands, 60), rel=0.06)
    assert not slope.any()


@pytest.mark.parametrize("limit", [255, 4095])
def test_noise_clipped_at_the_top_is_found_as_it_was_before(limit):
    _, noisy = clipped(texture(1, 256, 256), 60.0, 0.1)
    saturated = np.round(limit - noisy / 600 * limit).clip(1).astype(np.uint16)
    sigma, slope = noise_model(whole(saturated))
    assert sigma == pytest.approx([60 / 600 * limit], rel=0.06)
    assert not slope.any()


@pytest.mark.parametrize("seed", range(2))
def test_noise_that_grows_is_found_as_it_was_before_clipping(seed):
    gain, read_out = np.array([4.0, 1.0]), np.array([15.0, 8.0])
    clean = np.linspace(0, 400, 256)[:, None] * np.ones((2, 256, 256))
    variance = gain[:, None, None] * clean + read_out[:, None, None] ** 2
    noisy = np.maximum(
        clean + np.sqrt(variance) * np.random.default_rng(seed).normal(size=clean.shape), 0
    )
    sigma, slope = noise_model(whole(noisy))
    assert sigma == pytest.approx(np.sqrt(gain * noisy.mean(axis=(1, 2)) + read_out**2), rel=0.06)
    assert slope == pytest.approx(gain, rel=0.25)


def test_noise_that_grows_weakly_is_found_more_often_than_not():
    clean = np.linspace(0, 400, 256)[:, None] * np.ones((1, 256, 256))
    slopes = []
    for seed in range(5):
        noisy = clean + np.sqrt(4 * clean + 30**2) * np.random.default_rng(seed).normal(
            size=clean.shape
        )
        sigma, slope = noise_model(whole(np.maximum(noisy, 0)))
        assert sigma == pytest.approx(np.sqrt(4 * np.maximum(noisy, 0).mean() + 30**2), rel=0.1)
        slopes.append(float(slope[0]))
    # Now and then a growth so weak passes for none.
    assert np.median(slopes) == pytest.approx(4, rel=0.25)


def test_a_band_almost_all_of_which_is_clipped_keeps_a_noise():
    pixels = np.stack(
        [
            texture(1, 128, 128)[0] + noise((128, 128), 20),
            np.maximum(noise((128, 128), 20, 2) - 45, 0),
        ]
    )
    sigma, slope = noise_model(whole(pixels))
    assert sigma[0] == pytest.approx(20, rel=0.1)
    assert 0 < sigma[1] < 40
    assert np.isfinite(slope).all()


def test_true_zeros_of_a_clean_scene_do_not_become_noise():
    clean = np.round(np.maximum(texture(1, 256, 256) - 1000, 0) / 20)
    sigma, _ = noise_model(whole(clean))
    assert sigma < 0.1


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_noise_of_two_hundred_bands_is_found_within_few_percent(share):
    rng = np.random.default_rng(0)
    spectra = np.abs(rng.normal(size=(200, 4)))
    clean = np.tensordot(spectra, texture(4, 100, 100) - 700, 1) / 4
    noisy = clipped(clean, 30.0, share)[1] if share else clean + noise(clean.shape, 30)
    sigma, slope = noise_model(whole(noisy.astype(np.float32)))
    some = noisy.max(axis=(1, 2)) > 100
    assert np.mean(sigma[some]) == pytest.approx(30, rel=0.03)
    assert sigma[some] == pytest.approx(np.full(some.sum(), 30), rel=0.1)
    assert (slope > 0).mean() < 0.05


def test_a_restored_band_is_no_copy_of_the_others():
    """Its noise is gone, so that the others leave next to nothing of it."""
    rng = np.random.default_rng(3)
    ground = 40 * rng.normal(size=(160, 160))
    bands = np.stack([gain * ground for gain in (1.0, 0.8, 1.3)]) + rng.normal(
        0, 0.3, (3, 160, 160)
    )
    samples = [(bands, np.ones(bands.shape, bool))]
    assert estimate_noise(samples, restored=True) == pytest.approx([0.3] * 3, rel=0.3)
    assert (estimate_noise(samples) > 5).all()


def test_each_band_is_looked_at_where_it_is_valid():
    """The first two share nothing; the last one has no valid pixel."""
    pixels = texture(4, 300, 300) + noise((4, 300, 300), 30)
    mask = np.ones(pixels.shape, bool)
    mask[0, :150], mask[1, 150:], mask[3] = False, False, False
    samples = [(np.where(mask, pixels, 0), mask)]
    for sigma in (estimate_noise(samples), noise_model(samples)[0]):
        assert sigma[:3] == pytest.approx([30] * 3, rel=0.1)
        assert sigma[3] == 0


@pytest.mark.parametrize("bands", [1, 4])
def test_scattered_nodata_leaves_the_estimate(bands):
    shape = (bands, 300, 300)
    pixels = texture(*shape) + noise(shape, 30)
    mask = np.broadcast_to(np.random.default_rng(1).random(shape[1:]) > 0.15, shape)
    found = noise_model([(np.where(mask, pixels, 0), mask)])[0]
    assert found == pytest.approx([30] * bands, rel=0.1)


def test_a_band_that_is_valid_in_a_dark_strip_alone_does_not_decide_for_the_others():
    """Shot noise: where the strip is, there is hardly any of it."""
    rng = np.random.default_rng(0)
    signal = np.full((192, 900), 4000.0)
    signal[:, :180] = 300.0
    pixels = 4.0 * rng.poisson(signal / 4, (4, *signal.shape))
    mask = np.ones(pixels.shape, bool)
    mask[3, :, 180:] = False
    sigma, growth = noise_model([(pixels, mask)])
    mean = pixels[0].mean()
    np.testing.assert_allclose(sigma[:3], np.sqrt(4 * mean), rtol=0.1)
    np.testing.assert_allclose(growth[:3], 4.0, rtol=0.15)
