import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geoae
from geoae.errors import OutputError, RecipeError
from geoae.pipeline.job import Job, ModelSpec, resolve_options, target_of
from geoae.resources import shipped
from tests.support.rasters import noise, texture, write
from tests.support.toml import VALUES


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("0", 0),
        (" -9999 ", -9999),
        ("-9999.0", -9999),
        (1e4, 10000),
        ("0.5", 0.5),
        ("nan", None),
        (math.inf, None),
        (None, None),
        ("18446744073709551615", 2**64 - 1),
        ("-3.4028234663852886e+38", -3.4028234663852886e38),
    ],
)
def test_nodata_is_a_number(given, value):
    found = Job.checked(source="s.tif", nodata=given).nodata
    assert found == value
    assert type(found) in (int, float, type(None))
    assert (
        Job.model_validate_json(Job(source="s.tif", nodata=given).model_dump_json()).nodata == value
    )


@pytest.mark.parametrize("given", ["zero", "", "0,1", True, [0]])
def test_what_is_no_number_is_no_nodata(given):
    with pytest.raises(
        RecipeError, match=r"nodata: .* is no nodata value; give a number like 0 or -9999"
    ):
        Job.checked(source="s.tif", nodata=given)


def test_a_recipe_names_nodata_and_an_option_beats_it(tmp_path):
    (tmp_path / "r.toml").write_text("nodata = 0\n")
    assert resolve_options(Job(source="s.tif", recipe=str(tmp_path / "r.toml"))).nodata == 0
    assert (
        resolve_options(Job(source="s.tif", recipe=str(tmp_path / "r.toml"), nodata=7)).nodata == 7
    )
    assert resolve_options(Job(source="s.tif")).nodata is None


def test_a_flag_beats_the_recipe_and_the_recipe_the_default(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('tile = 640\nprofile = "gtiff"\nsigma = 5.0\n')
    options = resolve_options(Job(source="scene.tif", recipe=str(path), tile=320))
    assert (options.tile, options.profile, options.known_sigma("scene.tif", [1, 2])) == (
        320,
        "gtiff",
        [5.0, 5.0],
    )
    assert (
        resolve_options(Job(source="scene.tif", recipe=str(path), sigma="auto")).known_sigma(
            "scene.tif", [1]
        )
        is None
    )
    assert resolve_options(Job(source="scene.tif")).profile == "cog"


@given(st.dictionaries(st.sampled_from(sorted(Job.model_fields)), VALUES, max_size=4))
def test_any_options_are_a_job_or_one_line(options):
    job, said = None, ""
    try:
        job = Job.checked(**{"source": "scene.tif", **options})
    except RecipeError as error:
        said = str(error)
    assert "\n" not in said
    assert job is None or Job.model_validate_json(job.model_dump_json()) == job, (
        "it travels to any worker"
    )


def test_a_name_within_a_file_has_no_folder_beside_it(tmp_path):
    write(tmp_path / "in.tif", texture(1, 60, 60).astype(np.uint16))
    with pytest.raises(RecipeError, match=r"is not a local file, .* name the output with -o"):
        geoae.restore(f"GTIFF_DIR:1:{tmp_path}/in.tif", model="identity")
    write(tmp_path / "10:30.tif", texture(1, 60, 60).astype(np.uint16))
    assert geoae.restore(tmp_path / "10:30.tif", model="identity").target == str(
        tmp_path / "10:30_restored.tif"
    )


def test_a_model_is_told_by_resolved_options(tmp_path):
    recipe = tmp_path / "mine.toml"
    recipe.write_text('model = "theirs"\ntta = true\n')
    job = Job(source="s.tif", recipe=str(recipe), device="cpu", precision="fp32", batch_size=3)
    options = resolve_options(job)
    recipe.unlink()
    assert ModelSpec.of(job, options) == ModelSpec(
        "theirs", tta=True, device="cpu", precision="fp32", batch_size=3
    )
    plain = Job(source="s.tif")
    assert ModelSpec.of(plain, resolve_options(plain)) == ModelSpec("res-cae")


def test_the_output_is_named_after_the_scene_unless_it_is_given():
    assert target_of(Job(source="in/s.tif")) == "in/s_restored.tif"
    assert target_of(Job(source="in/s.jp2")) == "in/s_restored.tif"
    assert target_of(Job(source="/vsis3/b/s.tif", target="t.tif")) == "t.tif"
    for source in ("/vsis3/b/s.tif", "s3://b/s.tif"):
        with pytest.raises(RecipeError, match="is not a local file"):
            target_of(Job(source=source))


def test_an_option_that_nobody_knows_names_the_nearest():
    with pytest.raises(RecipeError, match=r"^unknown key tiel; did you mean tile\?$"):
        Job.checked(source="s.tif", tiel=512)


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        (None, None),
        ("auto", None),
        ("none", []),
        ("stripes,lines", ["lines", "stripes"]),
        (["noise"], ["noise"]),
    ],
)
def test_steps_are_in_their_order_and_of_recipes_too(tmp_path, given, steps):
    assert resolve_options(Job(source="s.tif", steps=given)).steps == steps
    path = tmp_path / "mine.toml"
    path.write_text('steps = ["pixels"]\n')
    resolved = resolve_options(Job(source="s.tif", recipe=str(path), steps=given))
    assert resolved.steps == (["pixels"] if steps is None else steps)


def test_an_unknown_step_is_named():
    with pytest.raises(RecipeError, match=r"'stripe' is no step; give some of lines, pixels,"):
        Job.checked(source="s.tif", steps="lines,stripe")


@pytest.mark.parametrize(
    ("given", "taken"), [(None, None), ("auto", "auto"), ("0.2", 0.2), (0.05, 0.05), (0.6, 0.6)]
)
def test_sharpening_is_asked_for_by_job_or_recipe(tmp_path, given, taken):
    assert resolve_options(Job.checked(source="s.tif", sharpen=given)).sharpen == taken
    path = tmp_path / "mine.toml"
    path.write_text("sharpen = 0.3\n")
    resolved = resolve_options(Job.checked(source="s.tif", recipe=path, sharpen=given))
    assert resolved.sharpen == (0.3 if given is None else taken)


@pytest.mark.parametrize("given", [0, 0.04, 0.7, 1, -0.2, "nan", "inf", "much", True, [0.2]])
def test_senseless_sharpening_is_refused(given):
    with pytest.raises(RecipeError, match=r"^sharpen: .* is no blur that can be undone; give .*"):
        Job.checked(source="s.tif", sharpen=given)


def test_speckle_is_not_sharpened():
    job = Job.checked(source="s.tif", sharpen=0.2, speckle="db")
    with pytest.raises(RecipeError, match=r"^s\.tif: speckle .* leave out --sharpen or --speckle$"):
        resolve_options(job)


@pytest.fixture
def scene(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = (texture(1, 60, 70) + noise((1, 60, 70), 9)).astype("uint16")
    return write(tmp_path / "in.tif", pixels)


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (None, "in_restored.tif"),
        ("out.tif", "out.tif"),
        ("new/", "new/in_restored.tif"),
        ("new/deeper/", "new/deeper/in_restored.tif"),
        ("there", "there/in_restored.tif"),
    ],
)
def test_a_folder_takes_the_file(scene, target, wanted):
    Path("there").mkdir()
    report = geoae.restore("in.tif", target, model="identity")
    assert report.target == wanted
    assert Path(wanted).is_file()


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("file:///data/out.tif", "/data/out.tif"),
        ("s3://bucket/out.tif", "/vsis3/bucket/out.tif"),
        ("s3://bucket/", "/vsis3/bucket/in_restored.tif"),
        ("gs://bucket/out.tif", "/vsigs/bucket/out.tif"),
        ("file:///data/new/", "/data/new/in_restored.tif"),
    ],
)
def test_addresses_of_rasterio(address, wanted, scene):
    found = target_of(Job(source="in.tif", target=address))
    assert found == wanted


@pytest.mark.parametrize(
    "target", ["zip://out.zip!x.tif", "/vsizip/a.zip/x.tif", "https://x/y.tif"]
)
def test_no_output_goes_into_an_archive(target, scene):
    with pytest.raises(OutputError, match="geoae does not write into"):
        geoae.restore("in.tif", target, model="identity")


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ('NETCDF:"{}":no2', "two_no2_restored.tif"),
        ("netcdf:{}:no2", "two_no2_restored.tif"),
        ('HDF5:"{}"://grid/cloud_mask', "two_grid_cloud_mask_restored.tif"),
        ('HDF4_EOS:EOS_GRID:"{}":Grid:b01', "two_Grid_b01_restored.tif"),
    ],
)
def test_variables_get_default_outputs(tmp_path, source, wanted):
    (tmp_path / "two.nc").touch()
    job = Job(source=source.format(tmp_path / "two.nc"))
    assert target_of(job) == str(tmp_path / wanted)


def test_a_variable_of_no_file_has_no_default():
    with pytest.raises(RecipeError, match="is not a local file"):
        target_of(Job(source='NETCDF:"missing.nc":no2'))


def test_paths_wherever_a_path_is_meant(scene):
    report = geoae.restore(
        Path("in.tif"),
        Path("out.tif"),
        model=shipped("models") / "res-cae",
        recipe=shipped("tiles") / "landsat-30m.toml",
    )
    assert report.status == "restored"


@pytest.mark.parametrize("length", [246, 251])
def test_names_up_to_what_a_file_system_takes(length, scene):
    name = "M" * length + ".tif"
    assert geoae.restore("in.tif", name, model="identity").status == "restored"
    assert geoae.restore("in.tif", name, model="identity").status == "skipped"
    assert sorted(path.name for path in Path().iterdir()) == [name, "in.tif"]


@pytest.mark.parametrize("name", ["a[1].tif", "a*b.tif", "a?.tif", "x y's.tif"])
def test_names_that_globs_interpret(name, scene):
    scene.rename(name)
    assert Path(geoae.restore(name, model="identity").target).is_file()
    assert np.ndim(geoae.restore(name, f"out {name}", model="identity").bands) == 1


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("/vsizip/in.zip/a/B1.TIF", "new/B1_restored.tif"),
        ("https://host/a/B1.tif?token=1", "new/B1_restored.tif"),
        ("GTIFF_DIR:2:a/in.tif", "new/in_page2_restored.tif"),
        ('NETCDF:"gone.nc":no2', "new/gone_no2_restored.tif"),
    ],
)
def test_a_folder_takes_what_has_no_folder_of_its_own(source, wanted):
    assert target_of(Job(source=source, target="new/")) == wanted


def test_a_name_too_long_is_refused_in_one_line(scene):
    with pytest.raises(OutputError, match=r"n\.tif: cannot be written \(File name too long\)"):
        geoae.restore("in.tif", "n" * 300 + ".tif", model="identity")
