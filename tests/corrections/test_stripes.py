import numpy as np
import pytest
import rasterio
from scipy import ndimage

from geoae.corrections.stripes import Stripes
from geoae.tiling.window import Window
from tests.corrections.support import corrected, plan, plan_all, scene, stripe
from tests.support.rasters import SHARED, noise


def left(pixels: np.ndarray, clean: np.ndarray) -> float:
    """Deviation of what differs from the clean scene but for the mean of each band."""
    difference = pixels.astype(np.float64) - clean
    return float((difference - difference.mean(axis=(1, 2), keepdims=True)).std())


@pytest.mark.parametrize("axis", ["column", "row"])
@pytest.mark.parametrize(
    ("angle", "detectors", "share"),
    [(0.0, None, 0.25), (7.3, None, 0.35), (-9.0, 16, 0.3), (0.0, 2, 0.2), (0.0, 10, 0.2)],
)
def test_stripes_go(axis, angle, detectors, share):
    clean = scene((3, 280, 280))
    striped = stripe(clean, 25.0, seed=4, angle=angle, axis=axis, detectors=detectors)
    planned = plan_all(striped)
    assert {some.direction.axis for some in planned.steps} == {axis}
    slope = planned.steps[0].direction.slope
    assert np.degrees(np.arctan(slope)) == pytest.approx(angle, abs=0.06)
    whole = Window(0, 0, *clean.shape[1:])
    assert left(planned.apply(striped, None, whole), clean) < share * left(striped, clean)


@pytest.mark.parametrize("angle", [16.5, -9.0])
def test_stripes_that_resampling_shares_between_two_lines_go(angle):
    """Half of each offset is in the next line, so neighbouring differences look independent."""
    clean = scene((1, 320, 320))
    sharp = stripe(np.zeros_like(clean), 4.0, seed=4, angle=angle, axis="row")
    shared = clean + (sharp + np.roll(sharp, 1, axis=1)) / 2
    planned = plan_all(shared)
    (found,) = planned.steps
    assert np.degrees(np.arctan(found.direction.slope)) == pytest.approx(angle, abs=0.06)
    rest = planned.apply(shared, None, Window(0, 0, *clean.shape[1:]))
    assert left(rest, clean) < 0.6 * left(shared, clean)


def test_the_tilt_of_long_stripes_is_exact():
    ground = ndimage.gaussian_filter(noise((700, 2000), 1000.0, seed=5), 3)
    clean = 1000 + ground + noise((1, 700, 2000), 4.0)
    planned = plan(stripe(clean, 5.0, angle=-9.0, axis="row", detectors=16))
    error = planned[0].direction.slope - np.tan(np.radians(-9.0))
    assert abs(error) * 2000 < 0.02, "lines over the length of the stripes"


def test_a_pattern_has_its_period():
    (planned,) = plan(stripe(scene(), 10.0, angle=0.0, axis="row", detectors=6))
    assert isinstance(planned, Stripes)
    assert planned.period == 6
    assert planned.offsets.shape == (3, 6)


@pytest.mark.parametrize("seed", [0, 2])
def test_a_tilted_pattern_with_few_cycles_has_its_period_and_not_half_of_it(seed):
    (planned,) = plan(stripe(scene((3, 170, 186)), 10.0, seed, angle=7.5, axis="row", detectors=16))
    assert isinstance(planned, Stripes)
    assert planned.period == 16


def test_a_band_without_stripes_keeps_its_bits():
    pixels = scene()
    striped = stripe(pixels, 25.0, angle=0.0, axis="column")
    striped[1] = pixels[1]
    result = corrected(striped)
    assert result[1].tobytes() == pixels[1].tobytes()
    assert (result[0] != striped[0]).any()


def test_gains_are_found_where_the_signal_varies():
    pixels = scene((1, 400, 400))
    pixels *= np.linspace(0.3, 3, 400)[:, None]
    gain = np.where(np.arange(400) % 2, 1.02, 0.98)[:, None]
    (planned,) = [some for some in plan(pixels * gain) if some.direction.axis == "row"][:1]
    assert np.abs(planned.gains).max() == pytest.approx(0.02, rel=0.25)
    result = corrected(pixels * gain)
    assert (
        np.abs(np.diff(result - pixels, axis=1)).mean()
        < 0.3 * np.abs(np.diff(pixels * gain - pixels, axis=1)).mean()
    )


@pytest.mark.skipif(not SHARED.exists(), reason="../shared is absent")
def test_even_and_odd_rows_of_a_real_frame():
    with rasterio.open(SHARED / "scenes/real_noise/micasense_rededge_raw_panel_nir.tif") as dataset:
        pixels = dataset.read()
    planned = plan(pixels)
    assert planned[0].period == 2

    def fold(band: np.ndarray) -> float:
        return float((band[2:-2:2] - (band[1:-3:2] + band[3:-1:2]) / 2).mean())

    before, after = fold(pixels[0].astype(np.float64)), fold(corrected(pixels)[0].astype(float))
    assert abs(after) < 0.1 * abs(before), "20 dB"
