import numpy as np
import pytest
from scipy import ndimage

from geoae.corrections.sharpening import plan_sharpening
from geoae.diagnosis.findings.blur import TEN_NINETY, find_blur, measure_all_edges, measure_edges
from geoae.diagnosis.findings.planes import cut_planes
from geoae.errors import InputError
from tests.diagnosis.findings.looks import look_at
from tests.support.rasters import noise


def fields(sigma: float) -> np.ndarray:
    """Rectangular fields, averaged over pixels, under a Gaussian of ``sigma`` px."""
    levels = np.random.default_rng(2).uniform(100, 1000, (12, 12))
    fine = np.kron(levels, np.ones((67, 67)))
    pixels = fine[:800, :800].reshape(200, 4, 200, 4).mean(axis=(1, 3))
    return (ndimage.gaussian_filter(pixels, sigma) if sigma else pixels)[None] + noise(
        (1, 200, 200), 1.0
    )


@pytest.mark.parametrize("sigma", [1.0, 1.5])
def test_width_of_edges_is_recovered(sigma):
    look = look_at(fields(sigma))
    (found,) = find_blur(look)
    assert found.strength == pytest.approx(TEN_NINETY * np.hypot(sigma, 0.29), rel=0.15)
    with pytest.raises(InputError, match="so soft"):
        plan_sharpening("auto", look.samples, "in.tif")
    assert found.action.startswith("too soft for geoae restore --sharpen auto; ")


def test_sharp_edges_have_no_finding():
    look = look_at(fields(0.0))
    assert find_blur(look) == []
    (plane,) = cut_planes(look)
    assert measure_edges(plane).width < 1.5


@pytest.mark.parametrize("sigma", [0.6, 1.0])
def test_modulation_is_that_of_pixels_and_blur(sigma):
    blurred, flat = fields(sigma), noise((1, 200, 200), 20.0)
    both = np.concatenate([blurred, flat])
    (found,) = measure_all_edges([(both, np.ones(both.shape, bool))])
    # Averaging over a pixel passes 2 / pi at the Nyquist frequency.
    assert found.mtf == pytest.approx(np.exp(-((np.pi * sigma) ** 2) / 2) * 2 / np.pi, abs=0.04)


def test_a_scene_without_edges_tells_nothing():
    assert find_blur(look_at(noise((1, 200, 200), 20.0))) == []
