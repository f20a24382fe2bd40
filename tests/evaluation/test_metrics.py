import numpy as np
import pytest
from scipy import ndimage

from geoae.evaluation.metrics import ergas, psnr, spectral_angle, ssim
from tests.support.rasters import noise, texture

# torchmetrics keeps the peak in float32.
DB = 1e-5


def pair(bands: int = 3, sigma: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    truth = texture(bands, 40, 52)
    return truth, truth + noise(truth.shape, sigma)


def ssim_map(x: np.ndarray, y: np.ndarray, peak: float) -> np.ndarray:
    """Wang et al. 2004, equation 13, for one band, written out with scipy."""

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, 1.5, radius=5, mode="mirror")

    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


def test_psnr_is_its_formula_with_a_peak_per_band():
    truth, estimate = pair()
    peaks = [255.0, 1000.0, 10000.0]
    errors = ((truth - estimate) ** 2).mean(axis=(1, 2))
    expected = np.mean(10 * np.log10(np.square(peaks) / errors))
    assert psnr(truth, estimate, peaks) == pytest.approx(expected, abs=DB)


def test_ssim_is_its_formula_with_a_peak_per_band():
    truth, estimate = pair()
    peaks = [255.0, 1000.0, 10000.0]
    expected = np.mean(
        [ssim_map(*bands).mean() for bands in zip(truth, estimate, peaks, strict=True)]
    )
    assert ssim(truth, estimate, peaks) == pytest.approx(expected, abs=1e-6)


def test_perfect_is_infinite_and_one():
    truth, _ = pair()
    assert psnr(truth, truth, 255.0) == np.inf
    assert ssim(truth, truth, 255.0) == pytest.approx(1.0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
def test_integers_do_not_wrap(dtype):
    truth, estimate = np.full((1, 9, 9), 3, dtype), np.full((1, 9, 9), 5, dtype)
    assert psnr(truth, estimate, 255) == pytest.approx(10 * np.log10(255**2 / 4))


@pytest.mark.parametrize("rubbish", [0.0, 65535.0, np.nan])
def test_what_is_in_holes_does_not_matter(rubbish):
    truth, estimate = pair()
    mask = np.ones(truth.shape, bool)
    mask[:, 5:9, 30:37] = False
    mask[1, :, :4] = False
    expected = np.mean(
        [
            10 * np.log10(255**2 / np.mean((t - e)[m] ** 2))
            for t, e, m in zip(truth, estimate, mask, strict=True)
        ]
    )
    whole = ndimage.binary_erosion(mask, np.ones((1, 11, 11)), border_value=1)
    similar = np.mean(
        [ssim_map(t, e, 255.0)[w].mean() for t, e, w in zip(truth, estimate, whole, strict=True)]
    )
    truth[~mask] = rubbish
    assert psnr(truth, estimate, 255.0, mask) == pytest.approx(expected, abs=DB)
    assert ssim(truth, estimate, 255.0, mask) == pytest.approx(similar, abs=1e-6)


def test_a_mask_of_rows_and_columns_serves_all_bands():
    truth, estimate = pair()
    mask = np.zeros(truth.shape[1:], bool)
    mask[10:30, 10:40] = True
    for metric in (psnr, ssim):
        assert metric(truth, estimate, 255.0, mask) == metric(
            truth, estimate, 255.0, np.stack([mask] * 3)
        )


def test_bands_without_a_pixel_that_counts_are_left_out():
    truth, estimate = pair()
    mask = np.ones(truth.shape, bool)
    mask[2] = False
    for metric in (psnr, ssim):
        assert metric(truth, estimate, 255.0, mask) == pytest.approx(
            metric(truth[:2], estimate[:2], 255.0)
        )
        assert np.isnan(metric(truth, estimate, 255.0, np.zeros_like(mask)))


def test_shapes_must_agree():
    truth, estimate = pair()
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(truth, estimate[:, :-1], 255.0)


def test_spectral_angle_is_its_formula_over_what_counts():
    truth, estimate = pair()
    mask = np.ones(truth.shape[1:], bool)
    mask[:5] = False
    cosine = (
        (truth * estimate).sum(axis=0)
        / np.linalg.norm(truth, axis=0)
        / np.linalg.norm(estimate, axis=0)
    )
    expected = np.degrees(np.arccos(np.clip(cosine, -1, 1)))[mask].mean()
    estimate[:, :5] = np.nan
    assert spectral_angle(truth, estimate, mask) == pytest.approx(expected, rel=1e-6)
    assert spectral_angle(truth, 3 * truth) == pytest.approx(0, abs=1e-3)
    assert np.isnan(spectral_angle(truth[:1], truth[:1]))


def test_ergas_is_its_formula_over_what_counts():
    truth, estimate = pair()
    mask = np.ones(truth.shape[1:], bool)
    mask[:, :9] = False
    errors = ((truth - estimate) ** 2)[:, mask].mean(axis=1)
    expected = 100 * np.sqrt(np.mean(errors / truth[:, mask].mean(axis=1) ** 2))
    estimate[:, :, :9] = np.nan
    assert ergas(truth, estimate, mask) == pytest.approx(expected, rel=1e-6)


def test_a_spectrum_of_zeros_has_no_angle():
    truth, estimate = pair()
    expected = spectral_angle(truth[:, 1:], estimate[:, 1:])
    truth[:, 0] = 0
    assert spectral_angle(truth, estimate) == pytest.approx(expected)
    assert np.isnan(spectral_angle(np.zeros_like(truth), estimate))
