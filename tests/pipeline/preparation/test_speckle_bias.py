"""Scenes with speckle: less of it, the same mean, and zeros and nodata as they were."""

from dataclasses import replace

import numpy as np
import pytest

import geoae
from geoae.errors import InputError
from geoae.models.restorer import Identity
from geoae.pipeline.engine import restore_slabs
from geoae.pipeline.job import Job
from geoae.pipeline.preparation.prepare import prepare
from geoae.pipeline.preparation.speckle_bias import keep_means
from geoae.pipeline.tiles import Work
from geoae.radiometry.speckle import Speckle
from geoae.raster.memory import ArraySource
from geoae.raster.tags import read_tags
from geoae.tiling.plan import TilePlan
from tests.support.doubles import DTYPES, Blur, Parts, pixels_of, unscaled
from tests.support.rasters import read, texture, write

SHAPE = (1, 200, 220)
LOOKS = 4


def speckled(kind: str, clean: np.ndarray, looks: int = LOOKS) -> np.ndarray:
    """``clean`` amplitude or intensity under speckle whose mean is about 1."""
    factor = np.random.default_rng(0).gamma(looks, 1 / looks, clean.shape)
    if kind == "db":
        return 10 * np.log10(clean * factor)
    return clean * (factor**0.5 if kind == "amplitude" else factor)


def power(kind: str, pixels: np.ndarray) -> np.ndarray:
    pixels = pixels.astype(np.float64)
    return 10 ** (pixels / 10) if kind == "db" else pixels


@pytest.mark.parametrize("kind", ["amplitude", "intensity", "db"])
@pytest.mark.parametrize("dtype", ["float32", "uint16"])
def test_speckle_goes_and_the_mean_stays(tmp_path, kind, dtype):
    if (kind, dtype) == ("db", "uint16"):
        dtype = "float64"
    clean = texture(*SHAPE)
    source = write(tmp_path / "in.tif", speckled(kind, clean).astype(dtype))
    report = geoae.restore(source, tmp_path / "out.tif", speckle=kind)
    noisy, found = (power(kind, read(path)) for path in (source, tmp_path / "out.tif"))
    assert found.mean() == pytest.approx(noisy.mean(), rel=5e-3)
    assert (found / clean).std() < 0.35 * (noisy / clean).std()
    # of the logarithm of four looks: the root of the trigamma function
    expected = {"amplitude": 0.266, "intensity": 0.533, "db": 2.31}[kind]
    assert report.sigma_before == pytest.approx([expected], rel=0.1)
    assert report.sigma_after[0] < 0.3 * expected
    assert report.unit == ("dB" if kind == "db" else "of the logarithm")
    assert read_tags(str(tmp_path / "out.tif"))["UNIT"] == report.unit
    assert any(step.startswith("speckle: ") for step in report.steps)


def test_zeros_and_nodata_stay_and_influence_nothing(tmp_path):
    clean = texture(*SHAPE)
    whole = speckled("amplitude", clean).astype(np.float32)
    holes = np.zeros(SHAPE, bool)
    holes[0, 40:70, 30:90] = holes[0, 120, 100] = True
    found = {}
    for value in (0.0, -5.0, -9999.0, np.nan):
        pixels = np.where(holes, np.float32(value), whole)
        nodata = {"nodata": value} if value in (-9999.0,) else {}
        source = write(tmp_path / f"{value}.tif", pixels, **nodata)
        geoae.restore(source, tmp_path / "out.tif", speckle="amplitude", overwrite=True)
        found[value] = read(tmp_path / "out.tif")
        assert found[value][holes].tobytes() == pixels[holes].tobytes()
        assert np.isfinite(found[value][~holes]).all()
        assert (found[value][~holes] > 0).all()
        assert np.array_equal(found[value][~holes], found[0.0][~holes])


def test_single_zeros_of_integers_are_restored_and_no_pixel_becomes_zero(tmp_path):
    clean = np.where(np.arange(SHAPE[2]) < 110, 2.0, 40.0) * np.ones(SHAPE)
    pixels = np.rint(speckled("amplitude", clean) ** 2 / clean).astype(np.uint8)
    pixels[0, 60:90, 150:180] = 0
    area = np.zeros(SHAPE, bool)
    area[0, 60:90, 150:180] = True
    single = (pixels == 0) & ~area
    assert single.sum() > 100
    source = write(tmp_path / "in.tif", pixels)
    geoae.restore(source, tmp_path / "out.tif", speckle="amplitude")
    found = read(tmp_path / "out.tif")
    assert (found[area] == 0).all()
    assert (found[single] > 0).mean() > 0.9
    assert (found[pixels > 0] > 0).all()


@pytest.mark.parametrize("kind", ["amplitude", "db"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_identity_gives_back_every_bit(dtype, kind):
    pixels = pixels_of(dtype, (2, 90, 70))
    plan = TilePlan.fit(90, 70, tile=48, halo=8, multiple=8)
    speckle = Speckle(kind, (2.0, 3.0), (0.2, 0.1))
    work = Work(plan, unscaled(2), Identity(), [None, None], speckle=speckle)
    parts = Parts(pixels.shape, pixels.dtype)
    restore_slabs(work, ArraySource(pixels).read, list(plan.slabs()), parts)
    assert parts.pixels.tobytes() == pixels.tobytes()


def test_slabs_one_at_a_time_give_the_bits_of_all_at_once():
    pixels = np.rint(speckled("intensity", texture(1, 150, 110) / 100)).astype(np.uint8)
    pixels[:, 30:50, 20:60] = 0
    restorer = Blur()
    plan = TilePlan.fit(150, 110, tile=48, halo=restorer.halo, multiple=restorer.multiple)
    speckle = Speckle("intensity", (2.0,), (0.1,))
    channels = restorer.channels
    work = Work(plan, unscaled(channels, bands=1), restorer, [(0,)], speckle=speckle)
    found = []
    for runs in ([list(plan.slabs())], [[slab] for slab in plan.slabs()]):
        parts = Parts(pixels.shape, pixels.dtype)
        for run in runs:
            restore_slabs(work, ArraySource(pixels).read, run, parts)
        found.append(parts.pixels)
    assert np.array_equal(*found)
    assert (found[0] != pixels).mean() > 0.3


def test_the_bias_of_a_sample_keeps_its_mean_and_none_does_not():
    pixels = speckled("intensity", texture(*SHAPE)).astype(np.float32)
    mask = np.ones(SHAPE, bool)
    plan = TilePlan.fit(*SHAPE[1:], tile=1024, halo=8, multiple=8)
    restorer = Blur()
    speckle = Speckle("intensity", (1.0,), (0.0,))
    scale = unscaled(restorer.channels, bands=1)
    work = Work(plan, scale, restorer, [None], speckle=speckle)
    found = keep_means(work, [(pixels, mask)])
    assert found.speckle.bias[0] > 0.01
    assert keep_means(work, []) is work
    assert keep_means(replace(work, speckle=None), [(pixels, mask)]).speckle is None
    again = keep_means(found, [(pixels, mask)])
    assert again.speckle.bias == pytest.approx((0.0,), abs=1e-4), "nothing is left to put right"


def test_strong_scatterers_stay_bit_for_bit_and_the_mean_too(tmp_path):
    pixels = speckled("amplitude", texture(*SHAPE), looks=1).astype(np.float32)
    places = (0, np.arange(10, 190, 20), np.arange(15, 195, 20))
    pixels[places] = np.linspace(20_000, 40_000, 9)
    source = write(tmp_path / "in.tif", pixels)
    geoae.restore(source, tmp_path / "out.tif", speckle="amplitude")
    found = read(tmp_path / "out.tif")
    assert np.array_equal(found[places], pixels[places])
    assert (found == pixels).mean() < 0.01
    assert found.mean() == pytest.approx(pixels.mean(), rel=5e-3)


def test_the_fingerprint_names_the_kind(tmp_path):
    source = str(write(tmp_path / "in.tif", speckled("amplitude", texture(*SHAPE))))
    job = Job(source=source, model="identity", sigma=0.1)
    found = prepare(job)
    assert found.unit == "DN"
    speckle = prepare(job.model_copy(update={"speckle": "amplitude"}))
    other = prepare(job.model_copy(update={"speckle": "intensity"}))
    assert len({found.fingerprint, speckle.fingerprint, other.fingerprint}) == 3


def test_other_units_are_refused_before_any_work(tmp_path):
    source = write(tmp_path / "in.tif", speckled("db", texture(*SHAPE) * 1e-5))
    with pytest.raises(InputError, match=r"in\.tif: 100% of the pixels are below 0"):
        geoae.restore(source, tmp_path / "out.tif", speckle="amplitude")
    assert not (tmp_path / "out.tif").exists()
