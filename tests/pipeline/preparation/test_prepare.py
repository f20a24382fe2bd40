import contextlib
import dataclasses

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from geoae.diagnosis.statistics import SceneStatistics
from geoae.errors import InputError, RecipeError
from geoae.models.restorer import Identity, SelfEnsemble
from geoae.pipeline.job import Job, ModelSpec, resolve_options
from geoae.pipeline.preparation import measure as pipeline_measure
from geoae.pipeline.preparation.prepare import (
    TILE_BYTES,
    build_work,
    load_restorer,
    plan_for,
    prepare,
)
from geoae.pipeline.recipe import Recipe
from geoae.pipeline.run import run
from geoae.radiometry.sharpness import design_kernel
from geoae.radiometry.spectrum import KERNELS, correlation_of, to_shape
from geoae.raster.memory import ArraySource
from geoae.simulation import Gaussian
from tests.support.doubles import unscaled
from tests.support.networks import save_small_network
from tests.support.rasters import noise, texture, write


@given(
    tile=st.none() | st.integers(1, 10**7),
    overlap=st.none() | st.integers(1, 10**7),
    height=st.integers(1, 10**6),
    width=st.integers(1, 10**6),
    bands=st.integers(0, 500),
)
def test_any_tile_and_overlap_are_a_plan_or_one_line(tile, overlap, height, width, bands):
    with contextlib.suppress(RecipeError):
        plan = plan_for(Recipe(tile=tile, overlap=overlap), Identity(), height, width, bands)
        assert plan.tiles >= 1
        assert plan.rows.tile <= max(tile or 0, 1024)


@pytest.fixture
def scene(tmp_path):
    """A noisy scene, whose second band holds flags."""
    pixels = (texture(2, 90, 130) + noise((2, 90, 130), 20)).astype(np.uint16)
    path = write(tmp_path / "in.tif", pixels)
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(2, "QA_PIXEL")
    return path


def test_all_is_decided_and_nothing_written(scene):
    found = prepare(Job(source=str(scene), model="identity", tile=64))
    assert (found.scene.bands, found.scene.copied) == ((1,), {2: "quality or class band"})
    assert found.facts.sigma == pytest.approx([20], rel=0.25)
    assert (found.work.plan.rows.size, found.work.plan.cols.size) == (90, 130)
    assert found.work.plan.rows.tile <= 64
    assert (found.history, found.fill, found.warnings) == ([], None, [])
    assert found.target == str(scene.with_name("in_restored.tif"))
    assert [path.name for path in scene.parent.iterdir()] == ["in.tif"]


def test_options_that_were_resolved_are_not_read_again(scene, tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text("sigma = 5.0\n")
    job = Job(source=str(scene), model="identity", recipe=str(recipe))
    options = resolve_options(job)
    recipe.unlink()
    found = prepare(job, options)
    assert found.options is options
    assert found.facts.sigma.tolist() == [5.0]


def test_a_scene_of_flags_alone_has_no_noise_to_estimate(scene):
    with rasterio.open(scene, "r+") as dataset:
        dataset.set_band_description(1, "SCL")
    found = prepare(Job(source=str(scene), model="identity"))
    assert found.scene.bands == ()
    assert found.facts.digest == SceneStatistics.none().digest
    assert found.fingerprint


def test_noise_that_cannot_be_estimated_is_asked_for(scene, monkeypatch):
    class Failing(SceneStatistics):
        @classmethod
        def of(cls, samples, sigma=None, correlation=None, *, seeks_spectrum=False, most=None):
            return dataclasses.replace(SceneStatistics.of(samples, sigma), sigma=np.array([np.nan]))

    monkeypatch.setattr(pipeline_measure, "SceneStatistics", Failing)
    with pytest.raises(InputError, match=r"in\.tif: its noise cannot be estimated; give --sigma"):
        prepare(Job(source=str(scene), model="identity"))


def test_an_ensemble_is_loaded_where_it_is_asked_for(model):
    assert isinstance(load_restorer(ModelSpec(model, tta=True)), SelfEnsemble)
    assert isinstance(load_restorer(ModelSpec("identity", tta=True)), Identity)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_model_computes_as_it_is_asked_to(model, precision):
    spec = ModelSpec(model, device="cpu", precision=precision, batch_size=3)
    assert load_restorer(spec).setting.startswith(f"cpu {precision} ")
    assert load_restorer(spec).setting.endswith("batch 3")


def test_tiles_of_many_bands_are_smaller_within_limits():
    def tile(bands: int, **options: object) -> int:
        plan = plan_for(Recipe(**options), Identity(tile=1024), 9000, 9000, bands)
        return plan.rows.tile

    assert tile(1) == tile(30) == 1024
    assert tile(200) < 1024
    assert 12 * 200 * tile(200) ** 2 <= TILE_BYTES
    restorer = Identity(tile=1024)
    assert tile(10**6) <= 4 * (restorer.halo + restorer.multiple) <= tile(10**6) + restorer.multiple
    assert tile(10**6, tile=640) > 600, "what is asked for counts"


def test_every_source_makes_the_work_in_one_way():
    source = ArraySource(np.ones((2, 90, 130), np.uint16), nodata=[0, None])
    scale = unscaled(2)
    work = build_work(Recipe(tile=64, ramp="linear"), Identity(), source, scale)
    assert work.plan == plan_for(Recipe(tile=64), Identity(), 90, 130, 2)
    assert (work.nodata, work.ramp, work.scale) == ([0, None], "linear", scale)
    assert build_work(Recipe(), Identity(), source, scale).ramp == "smooth"


def test_a_band_without_a_valid_pixel_is_named(tmp_path):
    pixels = (texture(3, 90, 130) + noise((3, 90, 130), 20)).astype(np.uint16)
    pixels[1] = 0
    found = prepare(Job(source=str(write(tmp_path / "in.tif", pixels, nodata=0))))
    assert found.facts.sigma == pytest.approx([20, 20], rel=0.25)
    assert (found.scene.bands, found.empty) == ((1, 3), (2,))
    assert [note.partition(": ")[2] for note in found.warnings] == [
        "no valid pixel in band 2; copied unchanged"
    ]


def test_a_band_without_noise_is_named(tmp_path):
    pixels = (texture(3, 90, 130) + noise((3, 90, 130), 20)).astype(np.uint16)
    pixels[1:] = 700
    source = str(write(tmp_path / "in.tif", pixels))
    (note,) = (note for note in prepare(Job(source=source)).warnings if "no noise" in note)
    assert "no noise can be seen in bands 2-3; unchanged unless --sigma is given" in note
    given = prepare(Job(source=source, model="identity")).warnings
    assert not any("no noise" in note for note in given)


def test_too_few_pixels_side_by_side_need_a_sigma(tmp_path):
    pixels = (texture(1, 90, 130) + noise((1, 90, 130), 20)).astype(np.uint16)
    pixels[:, ::3], pixels[:, :, ::3] = 0, 0
    source = str(write(tmp_path / "in.tif", pixels, nodata=0))
    line = "too few valid pixels lie side by side to estimate the noise; give --sigma"
    assert line in prepare(Job(source=source)).unknown
    with pytest.raises(InputError, match=line):
        run(Job(source=source))
    assert prepare(Job(source=source, sigma=20.0)).facts.sigma == [20]
    assert prepare(Job(source=source, model="identity")).unchanged == ()


def test_a_scene_that_is_only_small_is_not_refused(tmp_path):
    source = str(write(tmp_path / "in.tif", texture(1, 12, 12).astype(np.uint16)))
    found = prepare(Job(source=source))
    assert found.unknown == ""
    assert "too few valid pixels lie side by side to estimate the noise" in found.warnings[0]


def test_a_spectrum_reaches_the_network_with_each_component(scene, tmp_path):
    save_small_network(tmp_path / "m", levels=9)
    job = Job(source=str(scene), model=str(tmp_path / "m"), sigma=20.0, psd="bilinear")
    found = prepare(job)
    assert found.warnings == []
    expected = to_shape(correlation_of(*KERNELS["bilinear"])[None])
    np.testing.assert_allclose(found.work.scale.shape, expected, atol=1e-9)
    assert prepare(job.model_copy(update={"psd": "white"})).work.scale.shape is None
    orders = {
        prepare(job.model_copy(update={"psd": name})).request_digest
        for name in ("cubic", "bilinear")
    }
    assert len(orders) == 2


def test_the_network_is_told_the_noise_after_sharpening(scene, tmp_path):
    save_small_network(tmp_path / "m", levels=9)
    job = Job(source=str(scene), model=str(tmp_path / "m"), sigma=20.0)
    plain, found = prepare(job), prepare(job.model_copy(update={"sharpen": 0.2}))
    assert plain.told is plain.facts
    np.testing.assert_array_equal(found.facts.sigma, plain.facts.sigma)
    np.testing.assert_allclose(found.told.sigma, 20 * np.sqrt((design_kernel(0.2) ** 2).sum()))
    np.testing.assert_array_equal(found.work.scale.noise, found.told.sigma)
    assert found.work.scale.shape is not None
    assert (found.work.scale.shape[:, 2] > found.work.scale.shape[:, 0]).all()
    assert found.fingerprint != plain.fingerprint
    assert found.steps[-1].endswith("of which the network is told level and spectrum")


def test_a_model_that_takes_no_spectrum_says_so(scene, tmp_path):
    save_small_network(tmp_path / "m")
    job = Job(source=str(scene), model=str(tmp_path / "m"), sigma=20.0, psd="bilinear")
    found = prepare(job)
    assert found.warnings == ["small: takes no spectrum of the noise; --psd is ignored"]
    assert found.fingerprint == prepare(job.model_copy(update={"psd": None})).fingerprint


def test_a_spectrum_sets_the_level_after_sharpening_whatever_the_model_takes(scene, tmp_path):
    for levels in (1, 9):
        save_small_network(tmp_path / str(levels), levels=levels)
    given = {"source": str(scene), "psd": "bilinear", "sharpen": 0.2}
    models = [str(tmp_path / "1"), str(tmp_path / "9"), "identity"]
    level, both, none = (prepare(Job(model=model, **given)) for model in models)
    np.testing.assert_array_equal(level.facts.sigma, both.facts.sigma)
    np.testing.assert_array_equal(level.told.sigma, both.told.sigma)
    np.testing.assert_array_equal(none.told.sigma, both.told.sigma)
    assert none.steps[-1].endswith("which stays, since no network runs")
    # The filter amplifies noise less that has little of the finest detail.
    known = Job(model=models[0], sigma=20.0, **given)
    white = prepare(known.model_copy(update={"psd": None}))
    assert (prepare(known).told.sigma < 0.7 * white.told.sigma).all()
    assert prepare(known).fingerprint != white.fingerprint


def test_speckle_is_a_step_only_where_there_is_some(tmp_path):
    flat = str(write(tmp_path / "flat.tif", np.full((1, 90, 90), 500, np.uint16)))
    assert prepare(Job(source=flat, speckle="intensity")).steps == []
    looks = np.random.default_rng(0).gamma(4, 125, (1, 90, 90)).astype(np.float32)
    radar = str(write(tmp_path / "radar.tif", looks))
    assert prepare(Job(source=radar, speckle="intensity")).steps[0].startswith("speckle: ")


@pytest.mark.parametrize("model", ["m", "identity"])
def test_a_spectrum_that_does_not_fit_is_refused_before_sharpening(scene, tmp_path, model):
    save_small_network(tmp_path / "m")
    np.save(tmp_path / "psd.npy", np.ones((7, 9, 9)))
    name = str(tmp_path / "m") if model == "m" else model
    job = Job(source=str(scene), model=name, psd=str(tmp_path / "psd.npy"), sharpen=0.2)
    with pytest.raises(RecipeError, match="has spectra of 7 bands"):
        prepare(job)


def test_a_spectrum_that_the_scene_contradicts_is_a_warning(tmp_path):
    pixels = (texture(1, 400, 400) + noise((1, 400, 400), 25)).astype(np.uint16)
    path = str(write(tmp_path / "in.tif", pixels))
    found = prepare(Job(source=path, psd="bilinear"))
    assert len(found.warnings) == 1
    assert "band 1 does not look like the spectrum given with --psd" in found.warnings[0]
    assert found.facts.correlation is not None
    assert not prepare(Job(source=path)).warnings


def test_noise_that_bands_share_is_whitened_and_told(tmp_path):
    clean = np.repeat(texture(1, 200, 200) * 1.0, 3, axis=0)
    noisy = Gaussian(300.0, 0.8)(8 * clean + 9000, np.random.default_rng(1))
    source = write(tmp_path / "in.tif", np.rint(noisy).astype(np.uint16))
    save_small_network(tmp_path / "model")
    found = prepare(Job(source=str(source), model=str(tmp_path / "model")))
    assert found.work.scale.between[0, 1:] == pytest.approx(0.8, abs=0.06)
    assert found.facts.sigma == pytest.approx(300, rel=0.1)
    assert any("from band to band by 0.8" in step for step in found.steps)
    independent = dataclasses.replace(found.facts, between=None)
    assert dataclasses.replace(found, facts=independent).fingerprint != found.fingerprint
