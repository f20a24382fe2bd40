import numpy as np
import pytest
import rasterio

from geoae.diagnosis.noise.covariance import estimate_covariance, estimate_level
from geoae.diagnosis.noise.gate import CORRELATED, TEXTURE, WHITE
from geoae.diagnosis.noise.level import noise_model
from geoae.diagnosis.sampling import sample
from geoae.radiometry.psd import read_psd
from geoae.raster.memory import ArraySource
from geoae.simulation.correlated import draw_stationary
from tests.support.rasters import SHARED, noise

HALF = np.full((2, 2), 0.5)
ALONG = np.array([[1.0], [0.346]]) / np.hypot(1, 0.346)
ALONE = np.ones((1, 1))
NAMES = ["l8_224078_20200518_rgb_30m.tif", "l8_loonlake_4band_30m.tif"]


def whole(pixels: np.ndarray, mask: np.ndarray | None = None) -> list:
    return [(pixels, np.ones(pixels.shape, bool) if mask is None else mask)]


def hills(bands: int, height: int, width: int) -> np.ndarray:
    """Ground of which the noise of one band can be told: smooth, with a rough half."""
    rows, cols = np.mgrid[:height, :width] / 40.0
    smooth = 100 * (np.sin(rows + 0.7 * cols) + np.cos(1.3 * cols - rows))
    rough = np.cumsum(np.cumsum(noise((height, width), 6, seed=7), axis=0), axis=1)
    ground = 1000 + smooth + np.where(cols > cols.max() / 2, 0.02 * rough, 0.0)
    return np.linspace(0.5, 1.5, bands)[:, None, None] * ground


def filtered(shape: tuple[int, int, int], kernel: np.ndarray, seed: int = 1) -> np.ndarray:
    """Noise of variance 1 under a filter of energy 1."""
    bands, height, width = shape
    rows, cols = kernel.shape
    white = noise((bands, height + rows - 1, width + cols - 1), 1.0, seed)
    return sum(
        kernel[i, j] * white[:, i : i + height, j : j + width]
        for i in range(rows)
        for j in range(cols)
    )


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(("kernel", "lags"), [(HALF, (0.5, 0.5)), (ALONG, (0.31, 0.0))])
def test_level_and_correlation_of_filtered_noise_are_found(bands, kernel, lags):
    shape = (bands, 256, 256)
    found = estimate_covariance(whole(hills(*shape) + 10 * filtered(shape, kernel)))
    assert set(found.verdict) == {CORRELATED}
    assert found.sigma == pytest.approx(np.full(bands, 10.0), rel=0.12)
    assert found.correlation[:, 5, 4] == pytest.approx(np.full(bands, lags[0]), abs=0.08)
    assert found.correlation[:, 4, 5] == pytest.approx(np.full(bands, lags[1]), abs=0.08)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("sigma", [5.0, 25.0])
def test_white_noise_stays_as_noise_model_has_it(bands, sigma):
    shape = (bands, 256, 256)
    samples = whole(hills(*shape) + sigma * filtered(shape, ALONE))
    found = estimate_covariance(samples)
    assert set(found.verdict) == {WHITE}
    for one, other in zip((found.sigma, found.slope), noise_model(samples), strict=True):
        np.testing.assert_array_equal(one, other)
    assert found.correlation.sum() == bands


def test_correlations_are_one_at_the_centre_and_the_same_for_opposite_lags():
    shape = (2, 256, 256)
    pixels = hills(*shape) + 10 * filtered(shape, HALF)
    found = estimate_covariance(whole(pixels)).correlation
    assert found.shape == (2, 9, 9)
    assert (found[:, 4, 4] == 1).all()
    np.testing.assert_allclose(found, found[:, ::-1, ::-1])


def test_noise_scales_with_the_pixels():
    shape = (2, 200, 200)
    pixels = hills(*shape) + 10 * filtered(shape, HALF)
    one, other = (estimate_covariance(whole(factor * pixels)) for factor in (1.0, 50.0))
    assert other.sigma == pytest.approx(50 * one.sigma, rel=1e-3)
    np.testing.assert_array_equal(other.correlation, one.correlation)


def test_what_is_told_of_white_noise_is_not_estimated_again():
    shape = (2, 200, 200)
    samples = whole(hills(*shape) + 10 * filtered(shape, HALF))
    white = noise_model(samples)
    before = [part.copy() for part in white]
    found = estimate_covariance(samples, white)
    np.testing.assert_array_equal(found.sigma, estimate_covariance(samples).sigma)
    for part, kept in zip(white, before, strict=True):
        np.testing.assert_array_equal(part, kept)


def test_what_is_invalid_does_not_count():
    shape = (2, 256, 256)
    pixels = hills(*shape) + 10 * filtered(shape, HALF)
    mask = np.ones(shape, bool)
    mask[:, 60:90] = False
    mask[:, :, 200:210] = False
    found = []
    for value in (0.0, 1e6):
        pixels[~mask] = value
        found.append(estimate_covariance(whole(pixels, mask)))
    np.testing.assert_array_equal(found[0].sigma, found[1].sigma)
    assert set(found[0].verdict) == {CORRELATED}
    assert found[0].sigma == pytest.approx([10, 10], rel=0.12)


def test_noise_that_bytes_round_and_clip_is_found():
    shape = (3, 256, 256)
    pixels = hills(*shape) + 10 * filtered(shape, HALF)
    found = estimate_covariance(whole(np.clip(np.round(pixels / 8), 0, 255).astype(np.uint8)))
    assert CORRELATED in found.verdict
    told = np.array(found.verdict) == CORRELATED
    assert found.sigma[told] == pytest.approx(np.full(told.sum(), 10 / 8), rel=0.12)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 200), (2, 40, 40)])
def test_small_scenes_keep_the_floor(shape):
    samples = whole(1000 + 10 * filtered(shape, HALF))
    found = estimate_covariance(samples)
    np.testing.assert_array_equal(found.sigma, noise_model(samples)[0])
    assert set(found.verdict) == {TEXTURE}


def test_flat_scenes_have_no_noise():
    found = estimate_covariance(whole(np.full((2, 100, 100), 7.0)))
    assert not found.sigma.any()
    assert found.correlation.sum() == 2


def test_bands_valid_in_other_places_are_looked_at_on_their_own():
    shape = (2, 256, 256)
    mask = np.ones(shape, bool)
    mask[0, :, 128:] = False
    mask[1, :, :128] = False
    found = estimate_covariance(whole(hills(*shape) + 10 * filtered(shape, HALF), mask))
    assert found.verdict[0] == CORRELATED
    assert found.sigma[0] == pytest.approx(10, rel=0.12)


def read(name: str) -> np.ndarray:
    with rasterio.open(SHARED / "scenes/train" / name) as dataset:
        pixels = dataset.read().astype(np.float64)
    middle = [slice(max(0, (size - 384) // 2), (size + 384) // 2) for size in pixels.shape[1:]]
    return np.nan_to_num(pixels[:, *middle])


def estimate(pixels: np.ndarray):
    samples = sample(ArraySource(pixels).read, *pixels.shape[1:])
    return estimate_covariance(samples), noise_model(samples)


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kernel", "lags"), [(HALF, (0.5, 0.5)), (ALONG, (0.31, 0.0))])
def test_noise_on_real_ground_is_found(name, kernel, lags):
    pixels = read(name)
    span = np.subtract(*np.percentile(pixels, [99.5, 0.5], axis=(1, 2)))
    added = 10 / 255 * span[:, None, None] * filtered(pixels.shape, kernel)
    found, _ = estimate(pixels + added)
    assert set(found.verdict) == {CORRELATED}
    assert found.sigma == pytest.approx(10 / 255 * span, rel=0.12)
    for place, lag in zip(((5, 4), (4, 5)), lags, strict=True):
        assert found.correlation[:, *place] == pytest.approx(np.full(len(span), lag), abs=0.08)


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize(
    ("name", "untouched"),
    [
        (NAMES[0], [True] * 3),
        (NAMES[1], [True] * 4),
        ("neon_harv/harv_025.tif", [True, True, False]),
        ("neon_harv/harv_051.tif", [False] * 3),
    ],
)
def test_texture_of_clean_scenes_does_not_pass_for_noise(name, untouched):
    pixels = read(name)
    high, wide = (size // 4 for size in pixels.shape[1:])
    means = pixels[:, : 4 * high, : 4 * wide].reshape(-1, high, 4, wide, 4).mean(axis=(2, 4))
    found, (sigma, _) = estimate(means)
    assert CORRELATED not in found.verdict
    np.testing.assert_array_equal(found.sigma, np.where(untouched, 0.0, sigma))


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize("name", ["panel_blue", "vineyard_nir"])
def test_faint_noise_of_photons_is_noise(name):
    found, _ = estimate(read(f"../real_noise/micasense_rededge_raw_{name}.tif"))
    assert found.sigma[0] > 400


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize("name", [*NAMES, "neon_harv/harv_025.tif"])
def test_faint_white_noise_on_texture_keeps_its_floor(name):
    """5 of 255 of a band's span is noise that is seen, however uneven calm ground is."""
    pixels = read(name).astype(float)
    span = np.diff(np.percentile(pixels, [0.5, 99.5], axis=(1, 2)), axis=0)[0]
    noisy = pixels + noise(pixels.shape, 1.0) * (5 / 255 * span)[:, None, None]
    found, _ = estimate(noisy)
    assert (found.sigma >= 4 / 255 * span).all()


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
@pytest.mark.parametrize(
    "name", ["l8_tirs_elkton_B10_B11.tif", "yell_jpeg_rgb.tif", "neon_harv_023_orthosmear.tif"]
)
def test_resampled_and_compressed_frames_are_refused(name):
    found, _ = estimate(read(f"../real_noise/{name}"))
    assert set(found.verdict) == {TEXTURE}


def test_noise_that_must_be_there_counts_up_to_what_it_can_be():
    log = np.log(np.random.default_rng(0).gamma(1, 1, (1, 257, 257)))
    log = (log[:, 1:, 1:] + log[:, :-1, 1:] + log[:, 1:, :-1] + log[:, :-1, :-1]) / 2
    deviation = log.std()
    refused = estimate_covariance(whole(log))
    assert refused.verdict == (TEXTURE,), "the kurtosis is not that of normal noise"
    assert refused.sigma < 0.5 * deviation
    known = estimate_covariance(whole(log), most=2.0)
    assert known.verdict == (CORRELATED,)
    assert known.sigma == pytest.approx([deviation], rel=0.05)
    assert known.correlation[0, 4, 5] == pytest.approx(0.5, abs=0.05)
    assert estimate_covariance(whole(log), most=0.8).sigma == [0.8]


@pytest.mark.parametrize("psd", ["bilinear", "cubic", "cubic-100/30"])
@pytest.mark.parametrize("side", [64, 300])
def test_the_level_of_a_given_spectrum_needs_few_blocks(psd, side):
    """For large blocks, of which 64 px have too few, the level was 0.1 of the true one."""
    correlation = read_psd(psd, 2)
    drawn = draw_stationary(correlation, side, side, np.random.default_rng(3))
    samples = whole(1000 + 25 * drawn)
    found = estimate_level(samples, correlation, noise_model(samples))
    assert found == pytest.approx([25, 25], rel=0.15 if side > 100 else 0.5)


@pytest.mark.parametrize(("psd", "part"), [("bilinear", 1), ("cubic", 1), ("cubic-100/30", 0)])
def test_the_level_of_a_given_spectrum_without_any_block(psd, part):
    """The finest part of the noise tells it, where that can be seen."""
    correlation, mask = read_psd(psd, 2), np.ones((2, 300, 300), bool)
    mask[:, ::15], mask[:, :, ::15] = False, False
    drawn = draw_stationary(correlation, 300, 300, np.random.default_rng(3))
    samples = whole(1000 + 25 * drawn, mask)
    found = estimate_level(samples, correlation, noise_model(samples))
    assert found == pytest.approx([25 * part] * 2, abs=2.5)
