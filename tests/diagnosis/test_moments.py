import numpy as np
import pytest

from geoae.diagnosis.moments import compute_moments
from tests.support.rasters import noise, texture


def moments_of(pixels: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return compute_moments([(np.where(mask, pixels, np.nan), mask)])


def test_bands_that_share_few_pixels_have_their_own_moments_and_shared_correlations():
    pixels = texture(3, 120, 120) + noise((3, 120, 120), 10)
    mask = np.ones(pixels.shape, bool)
    mask[0, :, 80:] = False
    mask[1, :, :40] = False
    mask[2, 30:] = False
    mean, covariance = moments_of(pixels, mask)
    own = [pixels[band][mask[band]] for band in range(3)]
    np.testing.assert_allclose(mean, [band.mean() for band in own])
    np.testing.assert_allclose(np.diag(covariance), [band.var() for band in own])
    both = mask[0] & mask[1]
    correlation = np.corrcoef(pixels[0][both], pixels[1][both])[0, 1]
    expected = correlation * np.sqrt(own[0].var() * own[1].var())
    np.testing.assert_allclose(covariance[0, 1], expected, rtol=1e-6)


@pytest.mark.parametrize("bands", [1, 3])
def test_moments_of_shared_masks_are_those_of_what_is_valid(bands):
    pixels = texture(bands, 60, 60)
    mask = np.broadcast_to(np.random.default_rng(0).random((1, 60, 60)) > 0.6, pixels.shape)
    _, covariance = moments_of(pixels, mask)
    np.testing.assert_allclose(covariance, np.cov(pixels[:, mask[0]], bias=True).reshape(bands, -1))
