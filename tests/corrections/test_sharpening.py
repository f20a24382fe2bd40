from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from geoae.corrections.chain import Corrections
from geoae.corrections.correction import ROUNDING
from geoae.corrections.sharpening import Sharpening, plan_sharpening
from geoae.diagnosis.findings.blur import measure_all_edges
from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import InputError
from geoae.radiometry.sharpness import RADIUS, design_kernel
from geoae.simulation.optics import Blur
from geoae.tiling.window import Window, reflect
from geoae.types import Samples
from tests.corrections.support import reader, scene
from tests.support.rasters import noise

SHAPE = (2, 90, 110)
WHOLE = Window(0, 0, *SHAPE[1:])
SHARPENING = Sharpening(0.2)
WINDOWS = [(0, 0, 40, 50), (13, 29, 31, 17), (60, 70, 30, 40), (-9, -20, 40, 60)]


def fields(mtf: float) -> Samples:
    """Rectangular fields at any place between pixels, seen with a modulation transfer, as a
    sample.
    """
    fine = np.kron(np.random.default_rng(2).uniform(100, 1000, (16, 16)), np.ones((67, 67)))
    deviation = 4 * np.sqrt(-2 * np.log(mtf)) / np.pi
    pixels = ndimage.gaussian_filter(fine, deviation)[None, ::4, ::4]
    return [(pixels + noise(pixels.shape, 0.5), np.ones(pixels.shape, bool))]


def hole() -> np.ndarray:
    mask = np.ones(SHAPE, bool)
    mask[:, 30:50, 40:60] = False
    mask[np.random.default_rng(0).random(SHAPE) < 0.01] = False
    return mask


def test_it_is_the_filter_but_for_the_border():
    pixels = scene(SHAPE)
    before = pixels.copy()
    found = SHARPENING.apply(pixels, None, WHOLE)
    inner = (slice(None), *(slice(RADIUS, -RADIUS),) * 2)
    expected = np.stack([ndimage.correlate(band, design_kernel(0.2)) for band in pixels])
    np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-6)
    assert found.dtype == pixels.dtype
    assert np.array_equal(pixels, before)
    assert np.std(found) > 1.05 * np.std(pixels)
    np.testing.assert_allclose(found.mean((1, 2)), pixels.mean((1, 2)), atol=0.5)


def test_a_slope_stays_at_the_border_of_the_scene():
    slope = np.add(*np.mgrid[0:90.0, 0:110.0])[None] * 10
    np.testing.assert_allclose(SHARPENING.apply(slope, None, WHOLE), slope)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 9), (2, 3, 2)])
def test_scenes_smaller_than_the_kernel_are_sharpened(shape):
    pixels = scene(SHAPE)[: shape[0], : shape[1], : shape[2]]
    found = SHARPENING.apply(pixels, None, Window(0, 0, *shape[1:]))
    assert found.shape == shape
    assert np.isfinite(found).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_any_window_has_the_bits_of_the_whole(dtype, masked):
    pixels, mask = scene(SHAPE).astype(dtype), hole() if masked else None
    read = Corrections().sharpen(SHARPENING).wrap(reader(pixels, mask), *SHAPE[1:])
    whole, _ = read(WHOLE)
    for row, col, rows, cols in WINDOWS:
        part, _ = read(Window(row, col, rows, cols))
        expected = whole[:, reflect(row, rows, SHAPE[1])][:, :, reflect(col, cols, SHAPE[2])]
        assert part.tobytes() == np.ascontiguousarray(expected).tobytes()


def test_what_is_invalid_stays_and_has_no_influence():
    mask, results = hole(), []
    for value in (np.nan, -1e30, 1000.0):
        pixels = scene(SHAPE)
        pixels[~mask] = value
        found = SHARPENING.apply(pixels, mask, WHOLE)
        assert np.array_equal(found[~mask], pixels[~mask], equal_nan=True)
        results.append(found[mask])
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    whole = SHARPENING.apply(scene(SHAPE), None, WHOLE)
    far = ndimage.minimum_filter(mask, (0, 13, 13))
    assert np.array_equal(SHARPENING.apply(scene(SHAPE), mask, WHOLE)[far], whole[far])


def test_a_slope_has_no_halo_around_nodata():
    slope = np.broadcast_to(10.0 * np.arange(110) - 7.0 * np.arange(90)[:, None], SHAPE).copy()
    inner = (slice(None), slice(RADIUS, -RADIUS), slice(RADIUS, -RADIUS))
    found = SHARPENING.apply(slope, hole(), WHOLE)
    np.testing.assert_allclose(found[inner], slope[inner], atol=1e-9)


def test_a_blurred_scene_comes_back_as_well_near_nodata():
    clean, mask = scene(SHAPE, sigma=0).astype(float), np.ones(SHAPE, bool)
    mask[:, 30:50, 40:60] = False
    near = mask & ~ndimage.minimum_filter(mask, (0, 13, 13))
    blurred = Blur(0.2)(clean, np.random.default_rng(0))
    sharp = SHARPENING.apply(blurred, mask, WHOLE)
    before, after = (np.sqrt(np.mean((one - clean)[near] ** 2)) for one in (blurred, sharp))
    assert after < 0.75 * before


def test_the_network_is_told_the_noise_that_is_there():
    pixels, mask = noise((2, 300, 300), 5.0), np.ones((2, 300, 300), bool)
    pixels[1] *= 2
    facts = SceneStatistics.of([(pixels, mask)], [5.0, 10.0])
    told = SHARPENING.tell(facts, [(pixels, mask)], np.dtype(np.float32), given=True)
    sharp = SHARPENING.apply(pixels, None, Window(0, 0, 300, 300))
    np.testing.assert_allclose(told.sigma, sharp.std((1, 2)), rtol=0.02)
    np.testing.assert_allclose(np.diag(told.covariance), sharp.var((1, 2)), rtol=1e-6)
    assert told.correlation is not None
    np.testing.assert_allclose(
        told.correlation[0, 4, 5],
        np.mean(sharp[0, :, 1:] * sharp[0, :, :-1]) / 25 / told_growth(),
        atol=0.02,
    )
    assert told.digest == facts.digest


def told_growth() -> float:
    return float((design_kernel(0.2) ** 2).sum())


def test_noise_that_grows_keeps_its_share():
    pixels, mask = scene(SHAPE), np.ones(SHAPE, bool)
    facts = replace(SceneStatistics.of([(pixels, mask)], [4.0, 4.0]), slope=np.array([0.5, 0.0]))
    told = SHARPENING.tell(facts, [(pixels, mask)], np.dtype(np.float32), given=True)
    np.testing.assert_allclose(told.slope, facts.slope * told_growth())


@pytest.mark.parametrize(("dtype", "least"), [("uint16", ROUNDING), ("float32", 0.0)])
def test_rounding_is_told_too(dtype, least):
    flat = [(np.full((1, 60, 60), 7.0), np.ones((1, 60, 60), bool))]
    facts = SceneStatistics.of(flat, [0.0])
    told = SHARPENING.tell(facts, flat, np.dtype(dtype), given=True)
    np.testing.assert_allclose(told.sigma, least * np.sqrt(told_growth()))


def test_noise_in_doubt_counts_since_it_is_amplified():
    sample = [(scene((1, 200, 200), sigma=3.0), np.ones((1, 200, 200), bool))]
    facts = replace(SceneStatistics.of(sample), sigma=np.zeros(1))
    told = SHARPENING.tell(facts, sample, np.dtype(np.float32), given=False)
    assert 1.5 < told.sigma[0] / np.sqrt(told_growth()) < 4
    kept = SHARPENING.tell(facts, sample, np.dtype(np.float32), given=True)
    assert kept.sigma == 0, "what the user says is taken as it is"


@pytest.mark.parametrize("mtf", [0.1, 0.2, 0.3])
def test_auto_measures_the_blur(mtf):
    found = plan_sharpening("auto", fields(mtf), "s.tif")
    assert found.measured
    assert found.mtf == pytest.approx(mtf, abs=0.05)
    assert "measured at the sharpest edges" in found.describe([1])


def test_what_is_given_is_taken():
    found = plan_sharpening(0.3, fields(0.1), "s.tif")
    assert (found.mtf, found.measured) == (0.3, False)
    assert "0.3 at the Nyquist frequency, as given" in found.describe([1])


def test_a_scene_softer_than_a_sensor_makes_it_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"s\.tif: its sharpest edges are so soft.*--sharpen 0\.1"):
        plan_sharpening("auto", fields(0.01), "s.tif")


def test_a_blur_that_cannot_be_measured_is_refused_in_one_line():
    flat = [(noise((1, 100, 100), 20.0), np.ones((1, 100, 100), bool))]
    with pytest.raises(InputError, match=r"s\.tif: has too few clean edges.*--sharpen 0\.2"):
        plan_sharpening("auto", flat, "s.tif")


def test_a_scene_without_blur_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"s\.tif: its sharpest edges show no blur.*leave"):
        plan_sharpening("auto", fields(0.99), "s.tif")


@pytest.mark.parametrize(("given", "warned"), [(0.05, True), (0.5, True), ("auto", False)])
def test_a_transfer_that_edges_contradict_is_a_line(given, warned):
    samples = fields(0.2)
    lines = plan_sharpening(given, samples, "s.tif").doubt(samples, "s.tif")
    assert len(lines) == warned
    if warned:
        assert lines[0].startswith("s.tif: its sharpest edges show a modulation transfer of 0.")
        assert f", not {given} " in lines[0]


def test_a_transfer_that_is_measured_is_not_doubted():
    samples = fields(0.2)
    mtf = plan_sharpening("auto", samples, "s.tif").mtf
    low, high = measure_all_edges(samples)[0].mtf_range
    assert low <= mtf + 0.005
    assert mtf - 0.005 <= high
    assert Sharpening((low + high) / 2).doubt(samples, "s.tif") == []
